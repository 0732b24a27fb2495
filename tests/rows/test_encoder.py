"""A row is one line of JSON with every logged value in its column, among the extras or in the message."""

import datetime as dt
import itertools
import json
import logging
import sys
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logging_azmon._config.presets import PRESETS
from logging_azmon._rows.encoder import Encoder
from logging_azmon.errors import ConfigurationError
from logging_azmon.table import Column, Constant, Extra, Table
from support.odd_values import Person
from support.rows import Rows, exc_info, load, make_record
from support.strategies import events, records, tables

MESSAGE = {"Message": "message"}
REST = {"Message": "message", "Rest": "*"}


class TestExtras:
    @pytest.mark.parametrize(
        ("column", "extra", "row"),
        [
            ("user", {"user": "ada"}, {"User": "ada"}),
            ("extra.user", {"user": "ada"}, {"User": "ada"}),
            ("extra.level", {"level": "high"}, {"User": "high"}),
            ("user.name", {"user": {"name": "ada"}}, {"User": "ada"}),
            ("user.name", {"user": {"name": "ada", "age": 36}}, {"User": "ada", "Rest": {"user": {"age": 36}}}),
            ("user.name.first", {"user": {"name": {"first": "ada"}}, "a": 1}, {"User": "ada", "Rest": {"a": 1}}),
            ("user.name", {"user": {"name": None}}, {"Rest": {"user": {"name": None}}}),
            ("user.name", {"user.name": "ada"}, {"User": "ada"}),
            ("user.name", {"user": "ada"}, {"Rest": {"user": "ada"}}),
            ("user.name.first", {"user": {"name": "ada"}}, {"Rest": {"user": {"name": "ada"}}}),
            ("user.name", {"user": Person("ada", 7)}, {"User": "ada", "Rest": {"user": {"friend": 7}}}),
            ("user", {"other": 1}, {"Rest": {"other": 1}}),
            ("user", {"user": None, "other": 1}, {"Rest": {"other": 1}}),
            ("user", {"user": 0}, {"User": "0"}),
            ("user", {"user": ""}, {"User": ""}),
        ],
    )
    def test_a_column_takes_the_extra_of_its_name_and_the_star_column_the_rest(self, column, extra, row):
        """Dots reach into mappings, of which the rest keeps what no column takes."""
        assert Rows({"User": column, **REST}).record(make_record(extra=extra)) == {"Message": "hello", **row}

    def test_a_column_with_several_names_takes_the_first_that_is_there_and_leaves_the_others(self):
        """A rule's column DurationMs takes DurationMs, duration_ms or durationMs."""
        table = Table(
            (
                Column("D", "long", Extra(("DurationMs", "duration_ms"))),
                Column("Rest", "dynamic", "*"),
                Column("Message", "string", "message"),
            )
        )

        for extra in ({"duration_ms": 2, "DurationMs": 1}, {"DurationMs": 1, "duration_ms": 2}):
            assert Rows(table).record(make_record(extra=extra)) == {
                "D": 1,
                "Rest": {"duration_ms": 2},
                "Message": "hello",
            }
        assert Rows(table).record(make_record(extra={"duration_ms": 2}))["D"] == 2

    def test_a_column_without_its_extra_takes_its_default(self):
        """The default fills one column while extras fill the others."""
        table = Table(
            (
                Column("A", "string", Extra(("A",), "a")),
                Column("B", "string", Extra(("B",), "b")),
                Column("Message", "string", "message"),
            )
        )

        assert Rows(table).record(make_record()) == {"A": "a", "B": "b", "Message": "hello"}
        assert Rows(table).record(make_record(extra={"B": "own", "x": 1})) == {"A": "a", "B": "own", "Message": "hello"}
        assert Rows(table).record(make_record(extra={"B": None})) == {"A": "a", "B": "b", "Message": "hello"}

    def test_an_extra_cannot_forge_a_column_that_a_field_fills(self):
        """Time, level and instance are the library's; an extra of that name goes to the star column."""
        forged = {"TimeGenerated": "2000-01-01", "Level": "CRITICAL", "Instance": "x", "Sequence": -1, "Properties": 5}
        rows = Rows(PRESETS["default"])

        row = rows.record(make_record(extra=forged))

        assert row["Properties"] == forged
        assert (row["Level"], row["Instance"], row["Sequence"]) == ("INFO", rows.encoder.instance, 0)
        assert not row["TimeGenerated"].startswith("2000")

    def test_extras_without_a_column_are_not_sent_if_there_is_no_star_column(self):
        """The table alone decides which values are sent."""
        assert Rows({"User": "user", **MESSAGE}).record(make_record(extra={"a": 1})) == {"Message": "hello"}

    def test_a_star_column_of_type_string_holds_json(self):
        """A long value is cut so that parse_json can still read it."""
        row = Rows({"Rest": "*:string"}).record(make_record(extra={"a": 1, "long": ["x" * 1_000] * 100}))

        assert json.loads(row["Rest"])["a"] == 1
        assert len(row["Rest"].encode()) <= 65_536

    def test_encoding_changes_neither_the_record_nor_its_extras(self):
        """Other handlers receive the same record."""
        extra = {"number": "text", "a": 1}
        record = make_record(extra=extra, exc_info=exc_info())
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
            ("int", bool),
            pytest.param("real", "9" * 2_000, id="very long text"),
        ],
    )
    def test_an_extra_that_does_not_fit_its_column_goes_to_the_star_column_under_its_name(self, type_name, value):
        """The service would silently replace the value with null. It is counted as a misfit."""
        rows = Rows({"Column": f"given:{type_name}", **REST})

        row = rows.record(make_record(extra={"given": value}))

        shown = "NaN" if value != value else value  # noqa: PLR0124 - only NaN differs from itself
        shown = "builtins.bool" if value is bool else shown
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
    def test_an_extra_that_does_not_fit_is_converted_or_joins_the_message_if_there_is_no_star_column(
        self, type_name, value, row
    ):
        """The value is converted if its text stands for a value of the type; otherwise it follows the message."""
        rows = Rows({"Column": f"given:{type_name}", **MESSAGE})

        assert rows.record(make_record(extra={"given": value})) == row
        assert rows.misfits == 1

    @pytest.mark.parametrize(
        ("type_name", "value", "shown"),
        [
            ("int", "200", 200),
            ("int", " 200 ", 200),
            ("long", "-7", -7),
            ("real", "59.9", 59.9),
            ("boolean", "true", True),
            ("boolean", "False", False),
        ],
    )
    def test_text_that_stands_for_a_value_of_the_columns_type_is_converted_beside_a_star_column(
        self, type_name, value, shown
    ):
        """Headers and environment variables are text. The value is in its column alone, and counts as a misfit."""
        rows = Rows({"Column": f"given:{type_name}", **REST})

        assert rows.record(make_record(extra={"given": value, "a": 1})) == {
            "Message": "hello",
            "Column": shown,
            "Rest": {"a": 1},
        }
        assert rows.misfits == 1

    @pytest.mark.parametrize("field", ["level", "logger", "function", "thread_name", "process_name", "module"])
    def test_a_site_or_thread_field_that_does_not_fit_goes_to_the_star_column_in_every_row(self, field):
        """Rows after the first have the value too, and the neighbouring columns are filled."""
        rows = Rows({"Column": f"{field}:int", "Line": "line", "Process": "process_id", **REST})

        for number in (1, 2):
            row = rows.record(make_record(extra={"a": 1}))
            assert row.keys() == {"Line", "Process", "Message", "Rest"}
            assert row["Rest"].keys() == {field, "a"}
            assert rows.misfits == number

    def test_a_field_that_does_not_fit_joins_the_message_if_there_is_no_star_column(self):
        """Nothing readable is lost."""
        assert Rows({"Column": "logger:int", **MESSAGE}).record(make_record()) == {"Message": "hello\nlogger: app"}

    @pytest.mark.parametrize("field", ["trace_id", "span_id"])
    def test_span_ids_that_do_not_fit_their_column_go_to_the_star_column(self, field):
        """A rule may declare TraceId as a number."""
        from opentelemetry.sdk.trace import TracerProvider

        rows = Rows({"Column": f"{field}:int", **REST})
        with TracerProvider().get_tracer("tests").start_as_current_span("work"):
            row = rows.record(make_record())

        assert row["Rest"].keys() == {field}
        assert rows.misfits == 1

    def test_a_misfit_and_an_extra_of_the_same_name_are_both_kept(self):
        """The name of the extra is extended."""
        row = Rows({"Column": "logger:int", **REST}).record(make_record(extra={"logger": "mine"}))

        assert row["Rest"] == {"logger": "app", "logger_": "mine"}

    def test_an_error_raised_by_a_columns_callable_is_shown_in_the_row(self):
        """A column's callable is the application's code."""
        table = Table(
            (
                Column("Good", "string", lambda record: record.name.upper()),
                Column("Bad", "int", lambda record: 1 / 0),
                Column("None", "int", lambda record: None),
                Column("Rest", "dynamic", "*"),
                Column("Message", "string", "message"),
            )
        )

        assert Rows(table).record(make_record()) == {
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
            (1.9999999, "1970-01-01T00:00:02.000000Z"),
            (0.25, "1970-01-01T00:00:00.250000Z"),
            (-1.5, "1969-12-31T23:59:58.500000Z"),
            (253_402_300_799.5, "9999-12-31T23:59:59.500000Z"),
            (1_700_000_000, "2023-11-14T22:13:20.000000Z"),
            ("2026-01-02T03:04:05+01:00", "2026-01-02T02:04:05.000000Z"),
            (dt.datetime(2026, 1, 2, tzinfo=dt.UTC), "2026-01-02T00:00:00.000000Z"),
        ],
    )
    @pytest.mark.parametrize("type_name", ["datetime", "string", "dynamic"])
    def test_every_time_is_written_in_utc_with_six_decimals(self, created, shown, type_name):
        """Auxiliary tables accept no other form, and columns of text take the same."""
        assert (
            Rows({"Time": f"time:{type_name}"}).record(logging.makeLogRecord({"msg": None, "created": created}))["Time"]
            == shown
        )

    @pytest.mark.parametrize(
        ("type_name", "value"), [("real", 1_700_000_000.25), ("long", 1_700_000_000), ("int", 1_700_000_000)]
    )
    def test_a_time_in_a_number_column_is_in_seconds_since_the_epoch(self, type_name, value):
        """An integer column takes whole seconds."""
        rows = Rows({"Time": f"time:{type_name}", **MESSAGE})

        assert rows.event({"event": "x", "timestamp": "2023-11-14T22:13:20.25Z"})["Time"] == value
        assert rows.misfits == 0

    @pytest.mark.parametrize("odd", ["yesterday", float("nan"), 1e300, float("inf"), [1], True, -1e300])
    def test_an_unreadable_time_goes_to_the_star_column_and_the_row_gets_the_current_time(self, odd):
        """All time columns agree, and the misfit is counted once."""
        rows = Rows({"Time": "time", "Again": "time", "Text": "time:string", **REST})
        before = dt.datetime.now(dt.UTC)

        row = rows.event({"event": "hello", "timestamp": odd})

        assert before <= dt.datetime.fromisoformat(row["Time"]) <= dt.datetime.now(dt.UTC)
        assert row["Time"] == row["Again"] == row["Text"]
        assert row["Rest"].keys() == {"time"}
        assert rows.misfits == 1

    def test_an_unreadable_time_joins_the_message_if_there_is_no_star_column(self):
        """The value stays visible to a reader."""
        assert (
            Rows({"Time": "time", **MESSAGE}).event({"event": "hello", "timestamp": "soon"})["Message"]
            == "hello\ntime: soon"
        )

    def test_an_event_without_a_time_gets_the_same_current_time_in_all_time_columns(self):
        """Syslog has two of them, CommonSecurityLog a datetime and a string."""
        row = Rows({"Time": "time", "Again": "time", "Text": "time:string"}).event({"event": "x"})

        assert row["Time"] == row["Again"] == row["Text"]

    def test_the_cached_text_of_a_second_is_not_used_for_another_second(self):
        """With several handlers and threads, the seconds of successive rows are in any order."""
        rows = Rows({"Time": "time"})
        for second in [*range(1, 40), 1, 2, 1_700_000_000, 1]:
            row = rows.record(logging.makeLogRecord({"msg": None, "created": second + 0.5}))
            assert (
                row["Time"]
                == dt.datetime.fromtimestamp(second + 0.5, dt.UTC).isoformat(timespec="microseconds")[:-6] + "Z"
            )

    def test_a_time_in_a_boolean_column_is_a_misfit(self):
        """A boolean cannot hold a time."""
        rows = Rows({"Time": "time:boolean", **REST})

        assert rows.record(make_record())["Rest"].keys() == {"time"}


class TestMessage:
    @pytest.mark.parametrize(("type_name", "value"), [("dynamic", "hello"), ("string", "hello")])
    def test_a_message_is_text_in_string_and_dynamic_columns(self, type_name, value):
        """Two columns may take the message at once."""
        assert Rows({"M": f"message:{type_name}", "N": "message"}).record(make_record()) == {"M": value, "N": value}

    @pytest.mark.parametrize("type_name", ["int", "boolean", "datetime", "real"])
    def test_a_message_in_a_column_of_another_type_is_a_misfit(self, type_name):
        """The message goes to the star column under its field's name."""
        rows = Rows({"M": f"message:{type_name}", "Rest": "*"})

        assert rows.record(make_record()) == {"Rest": {"message": "hello"}}
        assert rows.misfits == 1

    def test_a_message_that_fits_a_number_column_is_sent_as_a_number(self):
        """`logger.info("%d", 5)` logs such a message."""
        assert Rows({"M": "message:int"}).record(make_record("%d", 5)) == {"M": 5}

    def test_a_message_without_a_column_goes_to_the_star_column(self):
        """Every log call has a message, so it is never left out."""
        assert Rows({"Level": "level", "Rest": "*"}).record(make_record(extra={"a": 1})) == {
            "Level": "INFO",
            "Rest": {"message": "hello", "a": 1},
        }

    def test_a_long_message_is_cut_with_a_visible_mark(self):
        """The limit is 64 KB of UTF-8."""
        message = Rows(MESSAGE).record(make_record("é" * 50_000))["Message"]

        assert message.endswith("…(cut, 100,000 bytes)")
        assert len(message.encode()) <= 65_536

    @pytest.mark.parametrize("event", [5, 1.5, True, dt.datetime(2026, 1, 1, tzinfo=dt.UTC), {"a": 1}, [1], b"x"])
    def test_an_event_of_any_type_is_text_in_the_message_column(self, event):
        """An event may be of any type, but the column takes strings."""
        assert isinstance(Rows(MESSAGE).event({"event": event})["Message"], str)


class TestExceptions:
    @pytest.mark.parametrize("column", ["exception_type", "exception_message"])
    def test_a_traceback_is_kept_if_columns_take_only_a_part_of_the_exception(self, column):
        """The traceback goes to the star column, under its field's name."""
        row = Rows({"Part": column, **REST}).record(make_record(exc_info=exc_info()))

        assert row["Rest"]["exception"].startswith("Traceback")
        assert "L" in row["Part"] or "lost" in row["Part"]

    def test_a_long_traceback_is_cut_in_the_middle(self):
        """Its first lines say where it began, its last ones what happened."""
        error = ValueError("the reason " + 90_000 * "é" + " the end")
        row = Rows({"Exception": "exception"}).record(make_record(exc_info=(ValueError, error, None)))

        assert row["Exception"].startswith("ValueError: the reason")
        assert "\n…(cut, 180," in row["Exception"]
        assert row["Exception"].endswith(" the end")
        assert 65_500 < len(row["Exception"].encode()) <= 65_536

    def test_a_rendered_exception_does_not_fit_a_column_of_structured_exceptions(self):
        """It goes to the star column, because rendered text cannot be structured."""
        row = Rows({"E": "exceptions", **REST}).event({"event": "x", "exception": "Traceback: lost"})

        assert row == {"Message": "x", "Rest": {"exception": "Traceback: lost"}}

    def test_exception_and_stack_without_columns_go_to_the_star_column(self):
        """The star column has them under their fields' names."""
        row = Rows(REST).record(make_record(exc_info=exc_info(), sinfo="Stack: here", extra={"a": 1}))

        assert row["Rest"].keys() == {"exception", "stack", "a"}

    def test_exception_and_stack_join_the_message_if_there_is_no_other_column(self):
        """Nothing readable is lost."""
        message = Rows(MESSAGE).record(make_record(exc_info=exc_info(), sinfo="Stack: here"))["Message"]

        assert message.startswith("hello\n")
        assert "\nstack: Stack: here" in message
        assert "\nexception: Traceback" in message

    def test_a_traceback_that_a_formatter_has_put_into_the_message_is_not_written_twice(self):
        """SysLogHandler's formatters do so."""
        message = Rows(MESSAGE).record(make_record(exc_info=exc_info()), logging.Formatter())["Message"]

        assert message.count("Traceback") == 1

    @pytest.mark.parametrize(
        ("columns", "where"),
        [
            ({"Exception": "exception"}, lambda row: row["Exception"]),
            ({"Structured": "exceptions"}, lambda row: str(row["Structured"])),
            ({"Rest": "*"}, lambda row: row["Rest"]["exception"]),
        ],
    )
    def test_a_formatter_does_not_put_the_traceback_into_the_message_where_a_column_takes_it(self, columns, where):
        """Otherwise it would be stored, and billed, twice; the record itself is not changed."""
        record = make_record("failed", exc_info=exc_info())
        before = dict(record.__dict__)
        row = Rows(columns | MESSAGE).record(record, logging.Formatter("<%(message)s>"))

        assert row["Message"] == "<failed>"
        assert "LookupError" in where(row)
        assert record.__dict__ == before

    @pytest.mark.parametrize(
        ("columns", "message"),
        [
            ({"Stack": "stack"}, "<hello>"),
            ({"Rest": "*"}, "<hello>"),
            ({"Exception": "exception"}, "<hello>\nStack: here"),
        ],
    )
    def test_a_formatter_does_not_put_the_stack_into_the_message_where_a_column_takes_it(self, columns, message):
        """In a table without a place for it, the message has it."""
        row = Rows(columns | MESSAGE).record(make_record(sinfo="Stack: here"), logging.Formatter("<%(message)s>"))

        assert row["Message"] == message

    def test_an_exception_is_left_out_of_a_table_without_any_text_column(self):
        """A table of numbers has no place for text."""
        assert Rows({"Line": "line"}).record(make_record(exc_info=exc_info())) == {"Line": 12}


class TestLimits:
    def test_a_row_over_the_limit_loses_its_largest_values_first(self):
        """Small values, such as ids, are what readers search for."""
        rows = Rows({"A": "a", "B": "b", "C": "c", **MESSAGE}, max_line_bytes=10_000)

        row = rows.record(make_record(extra={"a": "x" * 60_000, "b": "y" * 50_000, "c": "small"}))

        assert row["C"] == "small"
        assert row["Message"] == "hello"
        assert row["A"].endswith("(cut, 60,000 bytes)")
        assert row["B"].endswith("(cut, 50,000 bytes)")

    @settings(max_examples=300)
    @given(tables(), records() | events, st.sampled_from([4_095, 60_000, 999_999]))
    def test_any_record_or_event_is_encoded_by_any_table(self, table, logged, limit):
        """The row is one line of valid JSON with unique keys, within the limit."""
        lines = []
        rows = Rows(table, max_line_bytes=limit)
        encode = rows.encoder
        for _ in range(2):  # the second time from the caches
            if type(logged) is dict:
                lines.append(encode(encode.event_reader.read(logged, "info", None)))
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
    def test_a_constant_that_does_not_fit_its_column_is_refused(self, column, message):
        """Otherwise, the column would be missing in every row."""
        with pytest.raises(ConfigurationError) as caught:
            Encoder(Table((column,)), max_line_bytes=9_999, on_misfit=lambda: None)

        assert str(caught.value) == message

    def test_all_constants_that_do_not_fit_are_reported_together(self):
        """The host name counts as a constant."""
        table = Table((Column("A", "int", Constant("x")), Column("H", "int", "host"), Column("I", "real", "instance")))

        with pytest.raises(ConfigurationError) as caught:
            Encoder(table, max_line_bytes=9_999, on_misfit=lambda: None)

        assert len(caught.value.problems) == 3

    @pytest.mark.parametrize("value", [None, "x", 5, 1.5, True, {"a": [1]}])
    def test_a_constant_is_in_every_row(self, value):
        """A constant of None fills no column."""
        row = Rows({"C": {"value": value, "type": "dynamic"}, **MESSAGE}).record(make_record())

        assert row == {"Message": "hello"} | ({} if value is None else {"C": value})


class TestLife:
    @pytest.mark.parametrize(
        ("type_name", "kind"), [("long", int), ("int", int), ("string", str), ("real", int), ("dynamic", int)]
    )
    @pytest.mark.parametrize("more", [{}, {"Time": "time", "Message": "message", "Rest": "*"}])
    def test_rows_are_numbered_from_0_on_either_path(self, type_name, kind, more):
        """A query finds gaps and duplicates by instance and sequence; a column of text has text in every row."""
        rows = Rows({"S": f"sequence:{type_name}", **more})
        ways = (
            lambda: rows.record(make_record()),
            lambda: rows.record(make_record(exc_info=exc_info())),
            lambda: rows.event({"event": "hello"}),
        )

        numbers = [way()["S"] for way in ways]
        assert numbers == [kind(number) for number in range(3)]
        assert [type(number) for number in numbers] == [kind] * 3

    def test_a_restarted_encoder_is_another_instance_and_numbers_rows_from_0(self):
        """A forked child restarts its encoders."""
        rows = Rows({"I": "instance", "S": "sequence", "L": "line"})
        before = [rows.record(make_record()) for _ in range(2)]

        rows.encoder.restart()
        after = rows.record(make_record())

        assert after["S"] == 0
        assert after["I"] != before[0]["I"] == before[1]["I"]
        assert after["I"] == rows.encoder.instance

    def test_each_encoder_has_an_instance_of_its_own(self):
        """Each pipeline numbers its own rows."""
        assert Rows({"I": "instance"}).encoder.instance != Rows({"I": "instance"}).encoder.instance

    def test_threads_that_share_an_encoder_get_complete_rows_with_unique_numbers(self):
        """No cache grows beyond its bound."""
        rows = Rows(PRESETS["default"])
        lines = [[] for _ in range(4)]
        start = threading.Barrier(4, timeout=30)

        def work(mine):
            start.wait()
            for number in range(1_500):
                record = make_record("%d", number, level=number, extra={"a": number})
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

    def test_encoding_is_reentrant_for_an_object_that_logs_in_its_repr(self):
        """Both its own row and the enclosing one are complete."""
        rows = Rows({"S": "sequence", "Time": "time", **REST})
        inner = []

        class Logs:
            def __repr__(self):
                inner.append(rows.record(make_record("inner", extra={"b": [2]})))
                return "<logs>"

        outer = rows.record(make_record("outer", extra={"a": Logs()}))

        assert (outer["Message"], outer["Rest"]) == ("outer", {"a": "<logs>"})
        assert [(row["Message"], row["Rest"]) for row in inner] == [("inner", {"b": [2]})]
        assert {outer["S"], inner[0]["S"]} == {0, 1}


class TestNotices:
    @pytest.mark.parametrize("name", PRESETS)
    def test_a_notice_fits_every_preset(self, name):
        """A notice is a row of the library's own: "1,234 rows dropped"."""
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
    def test_a_notice_fits_any_table_with_a_text_column(self, columns):
        """A notice needs no column of its own, and no column's callable is called without a record."""
        rows = Rows(columns)

        row = load(rows.encoder.notice("5 rows dropped", "WARNING", 30))

        assert "5 rows dropped" in json.dumps(row)
        assert row.keys() <= columns.keys()
        assert rows.misfits == 0

    def test_a_notice_is_an_empty_row_in_a_table_without_text(self):
        """A row without values is still a row."""
        assert Rows({"Line": "line"}).encoder.notice("5 rows dropped", "WARNING", 30) == b"{}\n"

    def test_notices_are_numbered_with_the_rows(self):
        """A gap in the sequence would look like a loss."""
        rows = Rows({"S": "sequence", **MESSAGE})

        assert load(rows.encoder.notice("a", "INFO", 20))["S"] == 0
        assert rows.record(make_record())["S"] == 1
