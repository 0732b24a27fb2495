"""A row is one line of JSON that holds what was logged, each thing in its column or where it is looked for next."""

import datetime as dt
import itertools
import json
import logging
import re
import sys
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logging_azmon._config.presets import PRESETS
from logging_azmon._rows.column_cache import CACHED_PIECES
from logging_azmon._rows.encoder import Encoder, shrink
from logging_azmon._rows.fields import NOT_EXTRA
from logging_azmon.errors import ConfigurationError
from logging_azmon.table import TYPES, Column, Constant, Extra, Table
from support.odd_values import ODD_VALUES, Person
from support.rows import Rows, load, make, raised
from support.strategies import events, plain, records, tables

MESSAGE = {"Message": "message"}
REST = {"Message": "message", "Rest": "*"}


class TestExtras:
    @pytest.mark.parametrize(
        ("column", "extra", "row"),
        [
            ("user", {"user": "ada"}, {"User": "ada"}),
            ("extra.user", {"user": "ada"}, {"User": "ada"}),
            ("extra.level", {"level": "high"}, {"User": "high"}),
            ("user.name", {"user": {"name": "ada"}}, {"User": "ada", "Rest": {"user": {"name": "ada"}}}),
            ("user.name", {"user.name": "ada"}, {"User": "ada"}),
            ("user.name", {"user": "ada"}, {"Rest": {"user": "ada"}}),
            ("user.name.first", {"user": {"name": "ada"}}, {"Rest": {"user": {"name": "ada"}}}),
            ("user.name", {"user": Person("ada", 7)}, {"User": "ada", "Rest": {"user": {"name": "ada", "friend": 7}}}),
            ("user", {"other": 1}, {"Rest": {"other": 1}}),
            ("user", {"user": None, "other": 1}, {"Rest": {"other": 1}}),
            ("user", {"user": 0}, {"User": "0"}),
            ("user", {"user": ""}, {"User": ""}),
        ],
    )
    def test_a_column_takes_the_extra_of_its_name_and_the_star_what_is_left(self, column, extra, row):
        """Dots reach into mappings, whose outermost name stays among the rest."""
        assert Rows({"User": column, **REST}).record(make(extra=extra)) == {"Message": "hello", **row}

    def test_the_first_of_several_names_wins_and_the_others_stay(self):
        """A rule's column DurationMs takes DurationMs, duration_ms or durationMs."""
        table = Table(
            (
                Column("D", "long", Extra(("DurationMs", "duration_ms"))),
                Column("Rest", "dynamic", "*"),
                Column("Message", "string", "message"),
            )
        )

        for extra in ({"duration_ms": 2, "DurationMs": 1}, {"DurationMs": 1, "duration_ms": 2}):
            assert Rows(table).record(make(extra=extra)) == {"D": 1, "Rest": {"duration_ms": 2}, "Message": "hello"}
        assert Rows(table).record(make(extra={"duration_ms": 2}))["D"] == 2

    def test_a_default_stands_in(self):
        """For one column, while the others are filled."""
        table = Table(
            (
                Column("A", "string", Extra(("A",), "a")),
                Column("B", "string", Extra(("B",), "b")),
                Column("Message", "string", "message"),
            )
        )

        assert Rows(table).record(make()) == {"A": "a", "B": "b", "Message": "hello"}
        assert Rows(table).record(make(extra={"B": "own", "x": 1})) == {"A": "a", "B": "own", "Message": "hello"}
        assert Rows(table).record(make(extra={"B": None})) == {"A": "a", "B": "b", "Message": "hello"}

    def test_mapped_fields_win_over_extras_of_their_columns_name(self):
        """Nobody forges a row's time, level or instance; what clashes goes to the star."""
        forged = {"TimeGenerated": "2000-01-01", "Level": "CRITICAL", "Instance": "x", "Sequence": -1, "Properties": 5}
        rows = Rows(PRESETS["default"])

        row = rows.record(make(extra=forged))

        assert row["Properties"] == forged
        assert (row["Level"], row["Instance"], row["Sequence"]) == ("INFO", rows.encoder.instance, 0)
        assert not row["TimeGenerated"].startswith("2000")

    def test_without_a_star_extras_of_no_column_are_not_sent(self):
        """The table says what is."""
        assert Rows({"User": "user", **MESSAGE}).record(make(extra={"a": 1})) == {"Message": "hello"}

    def test_a_star_of_type_string_holds_json(self):
        """Cut so that parse_json reads it."""
        row = Rows({"Rest": "*:string"}).record(make(extra={"a": 1, "long": ["x" * 1_000] * 100}))

        assert json.loads(row["Rest"])["a"] == 1
        assert len(row["Rest"].encode()) <= 65_536

    def test_extras_are_not_changed(self):
        """They belong to the record, which other handlers see, too."""
        extra = {"number": "text", "a": 1}
        record = make(extra=extra, exc_info=raised())
        before = dict(record.__dict__)

        Rows({"Number": "number:int", "Rest": "*"}).record(record)

        assert record.__dict__ == before
        assert extra == {"number": "text", "a": 1}


class TestMisfits:
    @pytest.mark.parametrize(
        ("type_name", "value"),
        [
            ("int", "text"),
            ("int", 2**31),
            ("long", 2**63),
            ("real", float("nan")),
            ("datetime", "soon"),
            ("boolean", 1),
            ("int", [1]),
        ],
    )
    def test_an_extra_that_does_not_fit_goes_to_the_star_under_its_name(self, type_name, value):
        """The service would make null of it in silence. It is counted."""
        rows = Rows({"Column": f"given:{type_name}", **REST})

        row = rows.record(make(extra={"given": value}))

        shown = "NaN" if value != value else value  # noqa: PLR0124 - what tells NaN from all numbers
        assert row == {"Message": "hello", "Rest": {"given": shown}}
        assert rows.misfits == 1

    @pytest.mark.parametrize(
        ("type_name", "value", "row"),
        [
            ("int", "12", {"Column": 12, "Message": "hello"}),
            ("boolean", "false", {"Column": False, "Message": "hello"}),
            ("real", "1.5", {"Column": 1.5, "Message": "hello"}),
            ("int", "twelve", {"Message": "hello\ngiven: twelve"}),
            ("datetime", "soon", {"Message": "hello\ngiven: soon"}),
        ],
    )
    def test_without_a_star_it_becomes_the_nearest_thing_that_can_be_read(self, type_name, value, row):
        """In its column if that is possible, else behind the message."""
        rows = Rows({"Column": f"given:{type_name}", **MESSAGE})

        assert rows.record(make(extra={"given": value})) == row
        assert rows.misfits == 1

    @pytest.mark.parametrize("field", ["level", "logger", "function", "thread_name", "process_name", "module"])
    def test_a_field_of_a_site_or_thread_that_does_not_fit_goes_to_the_star(self, field):
        """In each row, not only in the first; its neighbours arrive."""
        rows = Rows({"Column": f"{field}:int", "Line": "line", "Process": "process_id", **REST})

        for number in (1, 2):
            row = rows.record(make(extra={"a": 1}))
            assert row.keys() == {"Line", "Process", "Message", "Rest"}
            assert row["Rest"].keys() == {field, "a"}
            assert rows.misfits == number

    def test_without_a_star_it_joins_the_message(self):
        """Nothing readable is lost."""
        assert Rows({"Column": "logger:int", **MESSAGE}).record(make()) == {"Message": "hello\nlogger: app"}

    @pytest.mark.parametrize("field", ["trace_id", "span_id"])
    def test_span_ids_that_do_not_fit_go_to_the_star(self, field):
        """A rule may declare TraceId as a number."""
        from opentelemetry.sdk.trace import TracerProvider

        rows = Rows({"Column": f"{field}:int", **REST})
        with TracerProvider().get_tracer("tests").start_as_current_span("work"):
            row = rows.record(make())

        assert row["Rest"].keys() == {field}
        assert rows.misfits == 1

    def test_a_misfit_and_an_extra_of_the_same_name_are_both_kept(self):
        """One under a longer name."""
        row = Rows({"Column": "logger:int", **REST}).record(make(extra={"logger": "mine"}))

        assert row["Rest"] == {"logger": "app", "logger_": "mine"}

    def test_a_callable_that_raises_or_misfits_is_shown(self):
        """Its own table of columns is Python."""
        table = Table(
            (
                Column("Good", "string", lambda record: record.name.upper()),
                Column("Bad", "int", lambda record: 1 / 0),
                Column("None", "int", lambda record: None),
                Column("Rest", "dynamic", "*"),
                Column("Message", "string", "message"),
            )
        )

        assert Rows(table).record(make()) == {
            "Good": "APP",
            "Rest": {"Bad": "ZeroDivisionError: division by zero"},
            "Message": "hello",
        }


class TestTime:
    @pytest.mark.parametrize(
        ("created", "shown"),
        [
            (1_700_000_000.0, "2023-11-14T22:13:20.000000Z"),
            (1_700_000_000.123456, "2023-11-14T22:13:20.123456Z"),
            (1_700_000_000.9999999, "2023-11-14T22:13:21.000000Z"),
            (0.25, "1970-01-01T00:00:00.250000Z"),
            (-1.5, "1969-12-31T23:59:58.500000Z"),
            (253_402_300_799.5, "9999-12-31T23:59:59.500000Z"),
            (1_700_000_000, "2023-11-14T22:13:20.000000Z"),
            ("2026-01-02T03:04:05+01:00", "2026-01-02T02:04:05.000000Z"),
            (dt.datetime(2026, 1, 2, tzinfo=dt.UTC), "2026-01-02T00:00:00.000000Z"),
        ],
    )
    @pytest.mark.parametrize("type_name", ["datetime", "string", "dynamic"])
    def test_every_moment_has_z_and_six_decimals(self, created, shown, type_name):
        """Auxiliary tables take nothing else. Text columns get the same."""
        assert (
            Rows({"Time": f"time:{type_name}"}).record(logging.makeLogRecord({"msg": None, "created": created}))["Time"]
            == shown
        )

    @pytest.mark.parametrize(
        ("type_name", "value"), [("real", 1_700_000_000.25), ("long", 1_700_000_000), ("int", 1_700_000_000)]
    )
    def test_number_columns_get_seconds_since_the_epoch(self, type_name, value):
        """Whole ones where the column holds nothing else."""
        rows = Rows({"Time": f"time:{type_name}", **MESSAGE})

        assert rows.event({"event": "x", "timestamp": "2023-11-14T22:13:20.25Z"})["Time"] == value
        assert rows.misfits == 0

    @pytest.mark.parametrize("odd", ["yesterday", float("nan"), 1e300, float("inf"), [1], True, -1e300])
    def test_a_time_that_cannot_be_read_goes_to_the_star_and_the_row_is_stamped_now(self, odd):
        """In all columns of time, and counted once."""
        rows = Rows({"Time": "time", "Again": "time", "Text": "time:string", **REST})
        before = dt.datetime.now(dt.UTC)

        row = rows.event({"event": "hello", "timestamp": odd})

        assert before <= dt.datetime.fromisoformat(row["Time"]) <= dt.datetime.now(dt.UTC)
        assert row["Time"] == row["Again"] == row["Text"]
        assert row["Rest"].keys() == {"time"}
        assert rows.misfits == 1

    def test_without_a_star_it_joins_the_message(self):
        """So that somebody can see it."""
        assert (
            Rows({"Time": "time", **MESSAGE}).event({"event": "hello", "timestamp": "soon"})["Message"]
            == "hello\ntime: soon"
        )

    def test_an_event_without_a_time_is_stamped_now_in_all_columns(self):
        """Syslog has two, CommonSecurityLog a datetime and a string."""
        row = Rows({"Time": "time", "Again": "time", "Text": "time:string"}).event({"event": "x"})

        assert row["Time"] == row["Again"] == row["Text"]

    def test_the_text_of_a_second_is_not_used_for_another(self):
        """Seconds come and go in any order, when handlers and threads mix."""
        rows = Rows({"Time": "time"})
        for second in [*range(1, 40), 1, 2, 1_700_000_000, 1]:
            row = rows.record(logging.makeLogRecord({"msg": None, "created": second + 0.5}))
            assert (
                row["Time"]
                == dt.datetime.fromtimestamp(second + 0.5, dt.UTC).isoformat(timespec="microseconds")[:-6] + "Z"
            )

    def test_a_time_in_a_boolean_column_is_a_misfit(self):
        """There is no truth in it."""
        rows = Rows({"Time": "time:boolean", **REST})

        assert rows.record(make())["Rest"].keys() == {"time"}


class TestMessage:
    @pytest.mark.parametrize(("type_name", "value"), [("dynamic", "hello"), ("string", "hello")])
    def test_a_message_is_text_in_columns_that_take_it(self, type_name, value):
        """Also in two of them."""
        assert Rows({"M": f"message:{type_name}", "N": "message"}).record(make()) == {"M": value, "N": value}

    @pytest.mark.parametrize("type_name", ["int", "boolean", "datetime", "real"])
    def test_in_other_columns_it_is_a_misfit(self, type_name):
        """It goes to the star under its field's name."""
        rows = Rows({"M": f"message:{type_name}", "Rest": "*"})

        assert rows.record(make()) == {"Rest": {"message": "hello"}}
        assert rows.misfits == 1

    def test_a_message_that_fits_another_type_is_sent_as_it(self):
        """logger.info("%d", 5) into a number."""
        assert Rows({"M": "message:int"}).record(make("%d", 5)) == {"M": 5}

    def test_without_a_column_it_goes_to_the_star(self):
        """The one thing that nobody logs without."""
        assert Rows({"Level": "level", "Rest": "*"}).record(make(extra={"a": 1})) == {
            "Level": "INFO",
            "Rest": {"message": "hello", "a": 1},
        }

    def test_long_messages_are_cut_with_a_visible_mark(self):
        """64 KB of UTF-8."""
        message = Rows(MESSAGE).record(make("é" * 50_000))["Message"]

        assert message.endswith("…(cut, 100,000 bytes)")
        assert len(message.encode()) <= 65_536

    @pytest.mark.parametrize("event", [5, 1.5, True, dt.datetime(2026, 1, 1, tzinfo=dt.UTC), {"a": 1}, [1], b"x"])
    def test_a_message_of_any_type_is_text(self, event):
        """Events may be anything; the column is a string."""
        assert isinstance(Rows(MESSAGE).event({"event": event})["Message"], str)


class TestExceptions:
    @pytest.mark.parametrize("column", ["exception_type", "exception_message"])
    def test_a_traceback_is_kept_beside_columns_that_take_a_part_of_it(self, column):
        """Under its field's name."""
        row = Rows({"Part": column, **REST}).record(make(exc_info=raised()))

        assert row["Rest"]["exception"].startswith("Traceback")
        assert "L" in row["Part"] or "lost" in row["Part"]

    def test_a_long_traceback_is_cut_in_the_middle(self):
        """Its first lines say where it began, its last ones what happened."""
        error = ValueError("the reason " + 90_000 * "é" + " the end")
        row = Rows({"Exception": "exception"}).record(make(exc_info=(ValueError, error, None)))

        assert row["Exception"].startswith("ValueError: the reason")
        assert "\n…(cut, 180," in row["Exception"]
        assert row["Exception"].endswith(" the end")
        assert 65_500 < len(row["Exception"].encode()) <= 65_536

    def test_text_in_a_column_of_structured_exceptions_goes_to_the_star(self):
        """It was rendered before anybody could take it apart."""
        row = Rows({"E": "exceptions", **REST}).event({"event": "x", "exception": "Traceback: lost"})

        assert row == {"Message": "x", "Rest": {"exception": "Traceback: lost"}}

    def test_exception_and_stack_without_columns_go_to_the_star(self):
        """Under their fields' names."""
        row = Rows(REST).record(make(exc_info=raised(), sinfo="Stack: here", extra={"a": 1}))

        assert row["Rest"].keys() == {"exception", "stack", "a"}

    def test_exception_and_stack_without_columns_and_star_go_to_the_message(self):
        """Nothing readable is lost."""
        message = Rows(MESSAGE).record(make(exc_info=raised(), sinfo="Stack: here"))["Message"]

        assert message.startswith("hello\n")
        assert "\nstack: Stack: here" in message
        assert "\nexception: Traceback" in message

    def test_a_traceback_that_a_formatter_wrote_is_not_written_twice(self):
        """Syslog's way, as SysLogHandler does it."""
        message = Rows(MESSAGE).record(make(exc_info=raised()), logging.Formatter())["Message"]

        assert message.count("Traceback") == 1

    def test_without_any_text_column_all_of_it_is_left_out(self):
        """A table of numbers holds numbers."""
        assert Rows({"Line": "line"}).record(make(exc_info=raised())) == {"Line": 12}


class TestLimits:
    def test_a_row_beyond_the_limit_loses_its_largest_values_first(self):
        """Small ones are what tells rows apart."""
        rows = Rows({"A": "a", "B": "b", "C": "c", **MESSAGE}, max_line_bytes=10_000)

        row = rows.record(make(extra={"a": "x" * 60_000, "b": "y" * 50_000, "c": "small"}))

        assert row["C"] == "small"
        assert row["Message"] == "hello"
        assert row["A"].endswith("(cut, 60,000 bytes)")
        assert row["B"].endswith("(cut, 50,000 bytes)")

    @given(st.dictionaries(st.text("abc", min_size=1), plain, min_size=1), st.integers(256, 4_000))
    def test_shrinking_keeps_the_limit_and_valid_json(self, row, limit):
        """Whatever the row is."""
        line = json.dumps(row, ensure_ascii=False).encode() + b"\n"

        assert len(shrink(line, limit)) <= max(limit, 3)
        load(shrink(line, limit))

    @settings(max_examples=300)
    @given(tables(), records() | events, st.sampled_from([4_095, 60_000, 999_999]))
    def test_encoding_is_total(self, table, logged, limit):
        """Any table, any record or event: one line of valid JSON, keys unique, within the limit."""
        lines = []
        rows = Rows(table, max_line_bytes=limit)
        encode = rows.encoder
        for _ in range(2):  # the second time from the caches
            if type(logged) is dict:
                lines.append(encode(encode.reader.event(logged, "info", None)))
            else:
                lines.append(encode.record(logged, None))

        names = {column.name for column in table}
        for line in lines:
            assert len(line) <= limit
            assert load(line).keys() - names <= {"…"}


class TestConfiguration:
    @pytest.mark.parametrize(
        ("column", "message"),
        [
            (Column("C", "int", Constant("text")), "column 'C': 'text' (of type str) does not fit its type 'int'"),
            (Column("C", "int", Constant(2**31)), "column 'C': '2147483648' (of type int) does not fit its type 'int'"),
            (
                Column("C", "datetime", Constant("soon")),
                "column 'C': 'soon' (of type str) does not fit its type 'datetime'",
            ),
            (
                Column("C", "boolean", Extra(("a",), "x")),
                "column 'C': 'x' (of type str) does not fit its type 'boolean'",
            ),
            (
                Column("C", "long", Constant(object)),
                "column 'C': 'builtins.object' (of type type) does not fit its type 'long'",
            ),
        ],
    )
    def test_a_constant_that_does_not_fit_is_refused(self, column, message):
        """It would be missing in every row."""
        with pytest.raises(ConfigurationError) as caught:
            Encoder(Table((column,)), max_line_bytes=9_999, on_misfit=lambda: None)

        assert str(caught.value) == message

    def test_all_mistakes_are_told_together(self):
        """And a host name is a constant, too."""
        table = Table((Column("A", "int", Constant("x")), Column("H", "int", "host"), Column("I", "real", "instance")))

        with pytest.raises(ConfigurationError) as caught:
            Encoder(table, max_line_bytes=9_999, on_misfit=lambda: None)

        assert len(caught.value.problems) == 3

    @pytest.mark.parametrize("value", [None, "x", 5, 1.5, True, {"a": [1]}])
    def test_constants_are_in_every_row(self, value):
        """Of whatever type; none is no value."""
        row = Rows({"C": {"value": value, "type": "dynamic"}, **MESSAGE}).record(make())

        assert row == {"Message": "hello"} | ({} if value is None else {"C": value})


class TestLife:
    @pytest.mark.parametrize(
        ("type_name", "kind"), [("long", int), ("int", int), ("string", str), ("real", int), ("dynamic", int)]
    )
    def test_rows_are_counted_from_0(self, type_name, kind):
        """A query finds gaps and duplicates by instance and sequence."""
        rows = Rows({"S": f"sequence:{type_name}"})

        assert [rows.record(make())["S"] for _ in range(3)] == [kind(number) for number in range(3)]

    def test_renewed_it_is_another_instance_that_counts_from_0(self):
        """A forked child is."""
        rows = Rows({"I": "instance", "S": "sequence", "L": "line"})
        before = [rows.record(make()) for _ in range(2)]

        rows.encoder.renew()
        after = rows.record(make())

        assert after["S"] == 0
        assert after["I"] != before[0]["I"] == before[1]["I"]
        assert after["I"] == rows.encoder.instance

    def test_two_encoders_are_two_instances(self):
        """Each pipeline counts its own rows."""
        assert Rows({"I": "instance"}).encoder.instance != Rows({"I": "instance"}).encoder.instance

    def test_many_threads_use_one_encoder(self):
        """No number twice, no row torn, no cache beyond its bound."""
        rows = Rows(PRESETS["default"])
        lines = [[] for _ in range(4)]
        start = threading.Barrier(4, timeout=30)

        def work(mine):
            start.wait()
            for number in range(1_500):
                record = make("%d", number, level=number, extra={"a": number})
                record.created = number + 0.5
                mine.append(rows.encoder.record(record, None))

        threads = [threading.Thread(target=work, args=(mine,)) for mine in lines]
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
        finally:
            sys.setswitchinterval(interval)

        found = [load(line) for line in itertools.chain(*lines)]
        assert sorted(row["Sequence"] for row in found) == list(range(6_000))
        for row in found:
            number = int(row["Message"])
            assert row["Properties"] == {"a": number}
            assert row["TimeGenerated"] == time.strftime("%Y-%m-%dT%H:%M:%S.500000Z", time.gmtime(number))

    def test_an_object_that_logs_while_it_is_encoded_disturbs_nothing(self):
        """Its row is complete, and so is the one around it."""
        rows = Rows({"S": "sequence", "Time": "time", **REST})
        inner = []

        class Logs:
            def __repr__(self):
                inner.append(rows.record(make("inner", extra={"b": [2]})))
                return "<logs>"

        outer = rows.record(make("outer", extra={"a": Logs()}))

        assert (outer["Message"], outer["Rest"]) == ("outer", {"a": "<logs>"})
        assert [(row["Message"], row["Rest"]) for row in inner] == [("inner", {"b": [2]})]
        assert {outer["S"], inner[0]["S"]} == {0, 1}


QUICK = {
    "default": PRESETS["default"],
    "lean": PRESETS["lean"],
    "columns": {"Time": "time", "Message": "message", "Rest": "*", "User": "user_id", "Ip": "ip:long"}
    | {"Nested": "a.b", "Count": "a.c:int"},
    "an application's": {"Time": "time", "Level": "level", "Logger": "logger", "Message": "message", "Rest": "*"}
    | {"User": "user_id", "Ip": "ip:long"},
    "columns and no rest": {"Time": "time", "Level": "level", "Logger": "logger", "Message": "message"}
    | {"User": "user_id", "Ip": "ip:long", "Count": "a.c:int"},
    "no rest": {"Time": "time:string", "Message": "message", "N%d": "sequence:string", "Trace": "trace_id"},
    "a column of each type": {"Time": "time", "Message": "message", "Rest": "*"}
    | {kind.title(): f"{kind}_value:{kind}" for kind in TYPES},
    "two names for a column": Table(
        (
            Column("Time", "datetime", "time"),
            Column("Message", "string", "message"),
            Column("A", "int", Extra(("a", "user_id"))),
            Column("Rest", "dynamic", "*"),
        )
    ),
    "default value": Table(
        (
            Column("Time", "dynamic", "time"),
            Column("Vendor", "string", Extra(("Level",), "own")),
            Column("Rest", "dynamic", "*"),
            Column("100%s", "string", "message"),
        )
    ),
}
EDGES = [
    (str(number), lambda number=number: number)
    for number in [
        *(limit + more for bits in (31, 63, 64) for limit in (2**bits, -(2**bits)) for more in (-1, 0)),
        1e308, float("inf"), float("nan"), True, 5, 5.5,
    ]
]  # fmt: skip
SLOW = {
    "no message": {"Time": "time", "Rest": "*"},
    "two times": {"Time": "time", "T2": "time", **REST},
    "no time": REST,
}


class TestQuickWay:
    """The ordinary record is encoded in one step, and nobody can tell but by the clock."""

    @staticmethod
    def both(table, record, formatter=None):
        """Encode in both ways; return the rows without their numbers, the misfits, and what has the numbers."""
        rows = Rows(table)
        quick = load(rows.encoder.record(record, formatter))
        misfits, rows.misfits = rows.misfits, 0
        general = load(rows.encoder(rows.encoder.reader.record(record, formatter)))
        for name in [column.name for column in rows.table if column.source == "sequence"]:
            assert (int(quick.pop(name)), int(general.pop(name))) == (0, 1)
        return quick, general, misfits, rows.misfits

    @settings(max_examples=400)
    @given(record=records())
    def test_it_gives_the_same_row_as_the_general_way(self, record):
        """Whatever the record, and in each table, for a record takes longer to make up; each takes one number."""
        if type(record.__dict__.get("msg")) is dict:
            record.msg.pop("timestamp", None)
        created = record.__dict__.get("created")
        if type(created) is not float or not -1e9 < created < 2e11:
            record.created = 1.5  # a row that is stamped now is not the same twice
        for name, table in (QUICK | SLOW).items():
            quick, general, misfits, general_misfits = self.both(table, record)

            assert misfits == general_misfits, name
            assert {column: without_addresses(value) for column, value in quick.items()} == {
                column: without_addresses(value) for column, value in general.items()
            }, name

    @pytest.mark.parametrize("name", sorted(NOT_EXTRA))
    def test_what_others_leave_on_a_record_is_no_extra(self, name):
        """Each attribute alone: another handler's formatter sets one or two, another Python's pickle brings a third."""
        record = make("hello", extra={"a": 1})
        setattr(record, name, "left behind")
        quick, general, *_ = self.both(QUICK["default"], record)
        assert quick == general
        assert quick["Properties"] == {"a": 1}

    @pytest.mark.parametrize("name", QUICK)
    @pytest.mark.parametrize(
        "record",
        [
            make("hello"),
            make("hello %s", "ada"),
            make("hello", extra={"a": 1, "user_id": "u", "ip": "not a number", "Level": 5}),
            make("hello", extra={"ip": 5, "a": {"b": 1}}),
            make("hello", extra={"a": {"b": 1, "c": "not a number"}}),
            make("hello", extra={"nan": float("nan")}),
            make("hello", extra={"null": None}),
            make("hello", extra={"large": "x" * 100_000}),
            make("é" * 50_000),
            make("lone \ud800"),
        ],
        ids=lambda record: f"{str(record.msg)[:10]!r} {list(record.__dict__)[-1]}",
    )
    def test_ordinary_records_take_it(self, name, record):
        """And extras are in the order in which the caller gave them."""
        quick, general, misfits, general_misfits = self.both(QUICK[name], record)

        assert quick == general
        assert misfits == general_misfits
        assert json.dumps(quick.get("Properties")) == json.dumps(general.get("Properties"))

    def test_it_asks_nobody_else(self, monkeypatch):
        """Else it would be a detour."""
        rows = Rows(PRESETS["default"])
        monkeypatch.setattr(rows.encoder.reader, "record", None)

        assert rows.record(make("hello %s", "ada", extra={"a": 1}))["Properties"] == {"a": 1}

    @pytest.mark.parametrize(("name", "value"), ODD_VALUES + EDGES, ids=[name for name, _ in ODD_VALUES + EDGES])
    def test_any_value_in_any_column_is_what_the_general_way_makes_of_it(self, name, value):
        """Which of them it takes is its own affair."""
        rows = Rows(QUICK["a column of each type"])
        ways = (rows.encoder.record, lambda record, _: rows.encoder(rows.encoder.reader.record(record, None)))
        for kind in TYPES:
            found = []
            for encode in ways:
                record = make(extra={f"{kind}_value": value(), "other": name})
                record.created, rows.misfits = 1.5, 0
                row = load(encode(record, None))
                found.append(({column: without_addresses(row[column]) for column in sorted(row)}, rows.misfits))

            assert found[0] == found[1], kind

    def test_what_columns_take_as_it_is_and_what_they_write_in_their_own_way(self, monkeypatch):
        """A number for a real, a moment, a mapping: no detour either."""
        rows = Rows(QUICK["a column of each type"])
        monkeypatch.setattr(rows.encoder.reader, "record", None)
        moment = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
        given = {
            "int": -(2**31),
            "long": 2**63 - 1,
            "real": 3,
            "boolean": True,
            "datetime": moment,
            "dynamic": {"a": 1},
        }
        row = rows.record(make(extra={f"{kind}_value": value for kind, value in given.items()} | {"string_value": "s"}))

        shown = {kind.title(): value for kind, value in given.items()} | {"Datetime": "2026-11-20T12:00:00.000000Z"}
        assert {name: row[name] for name in shown} == shown
        assert row["String"] == "s"
        assert "Rest" not in row

    @pytest.mark.parametrize("table", QUICK.values(), ids=QUICK)
    def test_long_rows_are_shrunk(self, table):
        """To the limit for lines."""
        rows = Rows(table, max_line_bytes=4_095)

        line = rows.encoder.record(make("x" * 10_000, extra={"a": "y" * 10_000}), None)

        assert len(line) <= 4_095
        load(line)

    def test_spans_are_written(self):
        """Tracing applications take the quick way, too."""
        from opentelemetry.sdk.trace import TracerProvider

        rows = Rows(PRESETS["default"])
        with TracerProvider().get_tracer("tests").start_as_current_span("work") as span:
            row = rows.record(make())

        assert row["TraceId"] == f"{span.get_span_context().trace_id:032x}"
        assert row["SpanId"] == f"{span.get_span_context().span_id:016x}"
        assert "TraceId" not in rows.record(make())

    def test_a_formatters_leavings_are_no_extras(self):
        """A console handler that comes first is the rule."""
        record = make("hello", extra={"a": 1})
        record.taskName = None
        logging.Formatter("%(asctime)s %(message)s").format(record)

        assert Rows(PRESETS["default"]).record(record)["Properties"] == {"a": 1}

    def test_its_caches_are_bounded_and_forget_nothing_that_changes(self):
        """Call sites times threads may be many."""
        rows = Rows(PRESETS["default"])
        for number in range(CACHED_PIECES + 50):
            record = make(level=number)
            assert rows.record(record)["Level"] == record.levelname
        large = make(name="x" * 5_000)

        assert rows.record(large)["Logger"] == rows.record(large)["Logger"] == "x" * 5_000
        caches = [
            cell.cell_contents for cell in rows.encoder.record.__closure__ if isinstance(cell.cell_contents, dict)
        ]
        assert all(len(cache) <= CACHED_PIECES for cache in caches if cache is not sys.modules)


def without_addresses(value):
    """Make texts of objects comparable that are new each time."""
    return re.sub("0x[0-9a-f]+", "0x", json.dumps(value))


class TestCaches:
    def test_call_sites_and_threads_are_bounded(self):
        """Names of loggers and threads may be made up as a program goes."""
        rows = Rows(PRESETS["default"])
        for number in range(CACHED_PIECES + 50):
            record = make(name=f"app.{number}")
            record.threadName = f"T-{number}"
            assert rows.record(record)["Logger"] == f"app.{number}"

        assert 0 < len(rows.encoder._sites) <= CACHED_PIECES  # noqa: SLF001 - a cache is seen from inside only
        assert 0 < len(rows.encoder._threads) <= CACHED_PIECES  # noqa: SLF001 - a cache is seen from inside only

    def test_large_values_are_not_remembered(self):
        """Nor do they go missing."""
        rows = Rows(PRESETS["default"])

        assert rows.record(make(name="x" * 5_000))["Logger"] == "x" * 5_000
        assert not rows.encoder._sites  # noqa: SLF001 - a cache is seen from inside only

    def test_what_may_change_is_not_remembered(self):
        """A logger's name may be an object with a text of its own."""

        class Name:
            def __init__(self):
                self.text = "before"

            def __repr__(self):
                return self.text

        rows, name = Rows({"Logger": "logger"}), Name()
        record = logging.makeLogRecord({"name": name, "msg": None})
        assert rows.record(record)["Logger"] == "before"
        name.text = "after"

        assert rows.record(record)["Logger"] == "after"

    def test_sites_are_known_by_their_values(self):
        """Another level or function at the same line is another site."""
        rows = Rows(PRESETS["default"])
        for level, function, line, thread in itertools.product((10, 20), ("f", "g"), (1, 2), ("T", "U")):
            record = make(level=level)
            record.funcName, record.lineno, record.threadName = function, line, thread
            row = rows.record(record)
            assert (row["Level"], row["Function"], row["Line"], row["Thread"]) == (
                logging.getLevelName(level),
                function,
                line,
                thread,
            )


class TestNotices:
    @pytest.mark.parametrize("name", PRESETS)
    def test_a_notice_fits_every_preset(self, name):
        """1,234 rows dropped: the library's own words, as a row of its own."""
        rows = Rows(PRESETS[name])

        row = load(rows.encoder.notice("5 rows dropped: queue_full", "WARNING", 30))

        assert "5 rows dropped: queue_full" in json.dumps(row)
        assert rows.misfits == 0
        assert row["TimeGenerated"].endswith("Z")

    @pytest.mark.parametrize(
        "columns",
        [
            {"Level": "level"},
            {"Line": "line", "Name": "name"},
            {"event": "event", "n": "n:int"},
            {"Rest": "*"},
            {"Message": "message:dynamic"},
            {"Level": {"value": "fixed"}, "Thread": "thread_name"},
            {
                "Seen": Column("Seen", "string", lambda record: record.name),
                "N": Column("N", "int", lambda record: record.lineno),
            },
            {"Message": "message"},
            {"Message": "message:int", "Logger": "logger"},
        ],
    )
    def test_a_notice_finds_its_place_in_any_table_that_takes_text(self, columns):
        """Nobody is asked for a column for it, and no callable for a record that is none."""
        rows = Rows(columns)

        row = load(rows.encoder.notice("5 rows dropped", "WARNING", 30))

        assert "5 rows dropped" in json.dumps(row)
        assert row.keys() <= columns.keys()
        assert rows.misfits == 0

    def test_a_table_of_numbers_gets_an_empty_one(self):
        """A row without a value is still a row."""
        assert Rows({"Line": "line"}).encoder.notice("5 rows dropped", "WARNING", 30) == b"{}\n"

    def test_notices_are_counted_as_rows_are(self):
        """A gap would look like a loss."""
        rows = Rows({"S": "sequence", **MESSAGE})

        assert load(rows.encoder.notice("a", "INFO", 20))["S"] == 0
        assert rows.record(make())["S"] == 1


class TestPresets:
    @pytest.mark.parametrize("name", PRESETS)
    def test_records_fit(self, name):
        """An ordinary one, an exception, extras: no misfit."""
        rows = Rows(PRESETS[name])

        for record in (
            make("hello %s", "ada"),
            make("hello", exc_info=raised(), level=40),
            make("hello", extra={"user": "ada", "number": 5}, sinfo="Stack: here"),
        ):
            row = rows.record(record)
            assert row["TimeGenerated"].endswith("Z")
            assert any("hello" in str(value) for value in row.values())
            if record.exc_info:
                assert "LookupError: lost" in json.dumps(row)
        assert rows.misfits == 0

    @pytest.mark.parametrize("name", PRESETS)
    def test_events_fit(self, name):
        """structlog's dicts do, too."""
        rows = Rows(PRESETS[name])

        assert rows.event({"event": "hello", "user": "ada"}, "warning", "app")["TimeGenerated"]
        assert rows.misfits == 0

    @pytest.mark.parametrize("name", [name for name in PRESETS if name not in ("default", "lean")])
    def test_extras_fill_the_columns_of_their_names(self, name):
        """extra={"SourceIP": ...} fills CommonSecurityLog.SourceIP."""
        samples = {"string": "x", "int": 5, "long": 5, "real": 1.5, "boolean": True, "datetime": "2026-01-02T03:04:05Z"}
        extra = {
            column.name: samples.get(column.type, {"a": 1})
            for column in PRESETS[name]
            if isinstance(column.source, Extra)
        }
        rows = Rows(PRESETS[name])

        row = rows.record(make(extra=extra))

        for column, value in extra.items():
            assert row[column] == ("2026-01-02T03:04:05.000000Z" if value == samples["datetime"] else value)
        assert rows.misfits == 0

    def test_event_counts_levels_in_its_own_way(self):
        """1 is an error here, 2 a warning, 4 information."""
        rows = Rows(PRESETS["event"])

        assert [rows.record(make(level=level))["EventLevel"] for level in (50, 40, 30, 20, 10)] == [1, 1, 2, 4, 4]


WRITTEN, WRITTEN_SHORT = "2026-11-20T10:00:00.123456Z", "2026-11-20T10:00:00Z"


class TestQuickEvents:
    """The same for event dicts."""

    @staticmethod
    def both(table, event, method="info", name=None):
        """Encode in both ways; return the rows without their numbers."""
        rows = Rows(table)
        quick = load(rows.encoder.event(event, method, name))
        misfits, rows.misfits = rows.misfits, 0
        general = load(rows.encoder(rows.encoder.reader.event(event, method, name)))
        for column in rows.table:
            if column.source == "sequence":
                assert (int(quick.pop(column.name)), int(general.pop(column.name))) == (0, 1)
            elif column.source == "time" and event.get("timestamp") not in (1.5, WRITTEN, WRITTEN_SHORT):
                del quick[column.name], general[column.name]  # stamped now, one after the other
        return quick, general, misfits, rows.misfits

    @settings(max_examples=300)
    @given(
        event=events,
        stamp=st.sampled_from([1.5, 3e11, WRITTEN, WRITTEN_SHORT, "soon", None]),
        method=st.sampled_from(["info", "warn", "exception", "msg", "own", ""]),
    )
    def test_it_gives_the_same_row_as_the_general_way(self, event, stamp, method):
        """Whatever the event, and in each table; each takes one number."""
        event = {**event, **({} if stamp is None else {"timestamp": stamp})}
        for name, table in (QUICK | SLOW).items():
            quick, general, misfits, general_misfits = self.both(table, event, method, "shop")
            assert misfits == general_misfits, name
            assert {column: without_addresses(value) for column, value in quick.items()} == {
                column: without_addresses(value) for column, value in general.items()
            }, name

    @pytest.mark.parametrize("name", ["default", "lean", "an application's", "columns and no rest"])
    @pytest.mark.parametrize(
        "event",
        [
            {"event": "hello", "timestamp": 1.5},
            {
                "event": "hello",
                "timestamp": WRITTEN,
                "level": "warning",
                "logger": "shop",
                "a": 1,
            },
            {"event": "hello", "timestamp": 1.5, "nan": float("nan"), "none": None},
            {"event": "hello", "timestamp": 1.5, "ip": "not a number", "a": {"c": "not a number"}},
            {"event": "hello", "timestamp": 1.5, "date": dt.date(2026, 1, 2), "large": "x" * 100_000},
            {"event": "é" * 50_000, "timestamp": 1.5},
            {"event": "lone \ud800", "timestamp": 1.5},
        ],
        ids=" ".join,
    )
    def test_ordinary_events_take_it(self, name, event):
        quick, general, misfits, general_misfits = self.both(QUICK[name], event)

        assert quick == general
        assert misfits == general_misfits

    def test_it_is_taken_in_truth(self, monkeypatch):
        rows = Rows(QUICK["default"])
        monkeypatch.setattr(rows.encoder.reader, "event", None)
        row = rows.event({"event": "hello", "timestamp": WRITTEN, "level": "warn", "a": 1}, "info")

        assert (row["Message"], row["Level"], row["Properties"]) == ("hello", "WARNING", {"a": 1})
        assert row["TimeGenerated"] == WRITTEN
        assert row["Thread"] == threading.current_thread().name

    def test_the_event_is_left_as_it_is(self):
        event = {"event": "hello", "timestamp": 1.5, "level": "info", "logger": "shop", "a": 1}
        Rows(QUICK["default"]).event(event)

        assert event == {"event": "hello", "timestamp": 1.5, "level": "info", "logger": "shop", "a": 1}

    def test_what_is_remembered_is_bounded(self):
        """By levels and loggers that come from outside."""
        rows = Rows(QUICK["default"])
        for number in range(CACHED_PIECES + 10):
            assert rows.event({"event": "hello", "timestamp": 1.5, "logger": f"l{number}"})["Logger"] == f"l{number}"
