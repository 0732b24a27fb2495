"""The ordinary record and event are encoded in one step, and the row is the same as the encoder's own."""

import datetime as dt
import json
import logging
import re
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logging_azmon._config.presets import PRESETS
from logging_azmon._rows.column_cache import MAX_CACHED
from logging_azmon._rows.record_extras import NOT_EXTRA
from logging_azmon.table import TYPES, Column, Extra, Table
from support.odd_values import ODD_VALUES
from support.rows import Rows, exc_info, load, make_record
from support.strategies import events, records

ORDINARY_TABLES = {
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
EXCEPTION_TABLES = {
    "default": PRESETS["default"],
    "type and message": {"Time": "time", "Message": "message", "Rest": "*"}
    | {"Type": "exception_type", "Why": "exception_message:dynamic"},
    "no column": {"Time": "time", "Message": "message", "Rest": "*", "Lost": "exception_text"},
    "structured": {"Time": "time", "Message": "message", "Rest": "*", "Exceptions": "exceptions:dynamic"},
    "not text": {"Time": "time", "Message": "message", "Rest": "*", "Why": "exception_message:int"},
    "no rest": {"Time": "time", "Message": "message"},
}
OTHER_TABLES = {
    "no message": {"Time": "time", "Rest": "*"},
    "two times": {"Time": "time", "T2": "time", "Message": "message", "Rest": "*"},
    "no time": {"Message": "message", "Rest": "*"},
}


class TextLikeError(Exception):
    """Return a text of a subclass as its own."""

    class Text(str):
        __slots__ = ()

    def __str__(self):
        return self.Text("like text")


class UnreadableError(Exception):
    """Raise when asked for its text."""

    def __str__(self):
        raise ValueError("unreadable")


WRITTEN, WRITTEN_SHORT = "2026-11-20T10:00:00.123456Z", "2026-11-20T10:00:00Z"


def without_addresses(value):
    """Return a value as text that is the same for each new object."""
    return re.sub("0x[0-9a-f]+", "0x", json.dumps(value))


class TestRecords:
    """The fast path returns the same row as the encoder itself."""

    @staticmethod
    def both_ways(table, record, formatter=None):
        """Encode a record by both paths; return the two rows without their numbers, and the misfits of each."""
        rows = Rows(table)
        fast = load(rows.encoder.record(record, formatter))
        misfits, rows.misfits = rows.misfits, 0
        expected = load(rows.encoder(rows.encoder.record_reader.read(record, formatter)))
        for name in [column.name for column in rows.table if column.source == "sequence"]:
            first, second = fast.pop(name), expected.pop(name)
            assert (int(first), int(second), type(first)) == (0, 1, type(second))
        return fast, expected, misfits, rows.misfits

    @settings(max_examples=400)
    @given(record=records())
    def test_any_record_becomes_the_same_row_as_from_the_encoder(self, record):
        """Each record is tried in every table, because generating one takes longer; each row takes one number."""
        if type(record.__dict__.get("msg")) is dict:
            record.msg.pop("timestamp", None)
        created = record.__dict__.get("created")
        if type(created) is not float or not -1e9 < created < 2e11:
            record.created = 1.5  # the present time would differ between the two rows
        for name, table in (ORDINARY_TABLES | OTHER_TABLES).items():
            fast, expected, misfits, expected_misfits = self.both_ways(table, record)

            assert misfits == expected_misfits, name
            assert {column: without_addresses(value) for column, value in fast.items()} == {
                column: without_addresses(value) for column, value in expected.items()
            }, name

    @pytest.mark.parametrize("name", sorted(NOT_EXTRA))
    def test_an_attribute_that_a_formatter_or_pickle_leaves_on_a_record_is_not_an_extra(self, name):
        """Another handler's formatter sets one or two of them; a pickle from another version of Python adds a third."""
        record = make_record("hello", extra={"a": 1})
        setattr(record, name, "left behind")
        fast, expected, *_ = self.both_ways(ORDINARY_TABLES["default"], record)
        assert fast == expected
        assert fast["Properties"] == {"a": 1}

    @pytest.mark.parametrize("name", ORDINARY_TABLES)
    @pytest.mark.parametrize(
        "record",
        [
            make_record("hello"),
            make_record("hello %s", "ada"),
            make_record("hello", extra={"a": 1, "user_id": "u", "ip": "not a number", "Level": 5}),
            make_record("hello", extra={"ip": 5, "a": {"b": 1}}),
            make_record("hello", extra={"a": {"b": 1, "c": "not a number"}}),
            make_record("hello", extra={"user_id": None, "ip": 5}),
            make_record("hello", extra={"nan": float("nan")}),
            make_record("hello", extra={"null": None}),
            make_record("hello", extra={"large": "x" * 100_000}),
            make_record("é" * 50_000),
            make_record("lone \ud800"),
        ],
        ids=lambda record: f"{str(record.msg)[:10]!r} {list(record.__dict__)[-1]}",
    )
    def test_ordinary_records_become_the_same_row_as_from_the_encoder(self, name, record):
        """Extras are in the order in which the caller gave them."""
        fast, expected, misfits, expected_misfits = self.both_ways(ORDINARY_TABLES[name], record)

        assert fast == expected
        assert misfits == expected_misfits
        assert json.dumps(fast.get("Properties")) == json.dumps(expected.get("Properties"))

    def test_an_ordinary_record_is_encoded_without_the_fallback(self, monkeypatch):
        """Otherwise, the fast path would only add to the cost."""
        rows = Rows(PRESETS["default"])
        monkeypatch.setattr(rows.encoder.record_reader, "read", None)

        assert rows.record(make_record("hello %s", "ada", extra={"a": 1}))["Properties"] == {"a": 1}

    @pytest.mark.parametrize("name", EXCEPTION_TABLES)
    @pytest.mark.parametrize(
        "error",
        [LookupError("lost"), LookupError(), LookupError("x" * 100_000), TextLikeError(), UnreadableError()],
        ids=lambda error: f"{type(error).__name__}{len(error.args)}",
    )
    @pytest.mark.parametrize("extra", [None, {"exception": "own", "a": 1}, {"exception_text": 5}], ids=str)
    def test_an_exception_becomes_the_same_row_as_from_the_encoder(self, name, error, extra):
        """This holds whether or not another handler's formatter has kept the text on the record."""
        for kept in (None, "kept by a formatter"):
            record = make_record("hello %s", "ada", extra=extra, exc_info=exc_info(error))
            record.exc_text = kept
            fast, expected, misfits, expected_misfits = self.both_ways(EXCEPTION_TABLES[name], record)

            assert fast == expected
            assert misfits == expected_misfits

    @pytest.mark.parametrize("name", ["default", "type and message", "no column"])
    def test_an_exception_is_encoded_without_the_fallback(self, name, monkeypatch):
        """A call that logs an exception is as ordinary as any other."""
        rows = Rows(EXCEPTION_TABLES[name])
        monkeypatch.setattr(rows.encoder.record_reader, "read", None)
        row = rows.record(make_record(exc_info=exc_info(), extra={"a": 1}))

        text = (row["Properties"] if name == "default" else row["Rest"]).get("exception") or row.get("Exception")
        assert text.startswith("Traceback (most recent call last):\n")
        assert text.endswith("\nLookupError: lost")
        assert row.get("Type", "LookupError") == "LookupError"

    @pytest.mark.parametrize(
        "given", [True, (None, None, None), (LookupError, LookupError("lost"), None), LookupError("lost"), ()], ids=str
    )
    def test_every_form_of_exc_info_becomes_the_same_row_as_from_the_encoder(self, given):
        record = make_record()
        record.exc_info = given
        try:
            raise ValueError("current")  # noqa: TRY301 - so that True stands for it
        except ValueError:
            fast, expected, *_ = self.both_ways(PRESETS["default"], record)

        assert fast == expected

    @pytest.mark.parametrize(("name", "value"), ODD_VALUES + EDGES, ids=[name for name, _ in ODD_VALUES + EDGES])
    def test_any_value_in_any_column_is_encoded_as_by_the_encoder(self, name, value):
        """The value may be encoded by either path."""
        rows = Rows(ORDINARY_TABLES["a column of each type"])
        ways = (rows.encoder.record, lambda record, _: rows.encoder(rows.encoder.record_reader.read(record, None)))
        for kind in TYPES:
            found = []
            for encode in ways:
                record = make_record(extra={f"{kind}_value": value(), "other": name})
                record.created, rows.misfits = 1.5, 0
                row = load(encode(record, None))
                found.append(({column: without_addresses(row[column]) for column in sorted(row)}, rows.misfits))

            assert found[0] == found[1], kind

    def test_values_that_fit_their_columns_are_encoded_without_the_fallback(self, monkeypatch):
        """This includes values that the column converts: a whole number for a real, a datetime, a mapping."""
        rows = Rows(ORDINARY_TABLES["a column of each type"])
        monkeypatch.setattr(rows.encoder.record_reader, "read", None)
        moment = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
        given = {
            "int": -(2**31),
            "long": 2**63 - 1,
            "real": 3,
            "boolean": True,
            "datetime": moment,
            "dynamic": {"a": 1},
        }
        row = rows.record(
            make_record(extra={f"{kind}_value": value for kind, value in given.items()} | {"string_value": "s"})
        )

        shown = {kind.title(): value for kind, value in given.items()} | {"Datetime": "2026-11-20T12:00:00.000000Z"}
        assert {name: row[name] for name in shown} == shown
        assert row["String"] == "s"
        assert "Rest" not in row

    @pytest.mark.parametrize("table", ORDINARY_TABLES.values(), ids=ORDINARY_TABLES)
    def test_a_long_row_is_shrunk_to_the_limit(self, table):
        rows = Rows(table, max_line_bytes=4_095)

        line = rows.encoder.record(make_record("x" * 10_000, extra={"a": "y" * 10_000}), None)

        assert len(line) <= 4_095
        load(line)

    def test_span_ids_are_in_a_row_that_is_encoded_in_one_step(self):
        """Applications with tracing use the fast path as well."""
        from opentelemetry.sdk.trace import TracerProvider

        rows = Rows(PRESETS["default"])
        with TracerProvider().get_tracer("tests").start_as_current_span("work") as span:
            row = rows.record(make_record())

        assert row["TraceId"] == f"{span.get_span_context().trace_id:032x}"
        assert row["SpanId"] == f"{span.get_span_context().span_id:016x}"
        assert "TraceId" not in rows.record(make_record())

    def test_no_span_is_asked_for_its_ids_where_there_is_none(self, monkeypatch):
        """Most rows of an application that has merely imported OpenTelemetry are logged outside of any span."""
        from opentelemetry import trace

        monkeypatch.setattr(type(trace.INVALID_SPAN), "get_span_context", None)

        assert "TraceId" not in Rows(PRESETS["default"]).record(make_record())

    def test_attributes_that_a_formatter_sets_on_a_record_are_not_extras(self):
        """A console handler usually formats the record before this one."""
        record = make_record("hello", extra={"a": 1})
        record.taskName = None
        logging.Formatter("%(asctime)s %(message)s").format(record)

        assert Rows(PRESETS["default"]).record(record)["Properties"] == {"a": 1}

    def test_the_caches_of_the_fast_path_are_bounded_and_never_stale(self):
        """There may be many pairs of a call site and a thread."""
        rows = Rows(PRESETS["default"])
        for number in range(MAX_CACHED + 50):
            record = make_record(level=number)
            assert rows.record(record)["Level"] == record.levelname
        large = make_record(name="x" * 5_000)

        assert rows.record(large)["Logger"] == rows.record(large)["Logger"] == "x" * 5_000
        encode = rows.encoder.record
        # The compiled twin has 256 slots.
        caches = [
            cell.cell_contents for cell in getattr(encode, "__closure__", ()) if isinstance(cell.cell_contents, dict)
        ]
        assert all(len(cache) <= MAX_CACHED for cache in caches if cache is not sys.modules)


class TestEvents:
    """The fast path for event dicts returns the same row as the encoder itself."""

    @staticmethod
    def both_ways(table, event, method="info", name=None):
        """Encode an event by both paths; return the two rows without their numbers, and the misfits of each."""
        rows = Rows(table)
        fast = load(rows.encoder.event(event, method, name))
        misfits, rows.misfits = rows.misfits, 0
        expected = load(rows.encoder(rows.encoder.event_reader.read(event, method, name)))
        for column in rows.table:
            if column.source == "sequence":
                assert (int(fast.pop(column.name)), int(expected.pop(column.name))) == (0, 1)
            elif column.source == "time" and event.get("timestamp") not in (1.5, WRITTEN, WRITTEN_SHORT):
                del fast[column.name], expected[column.name]  # the present time, which differs
        return fast, expected, misfits, rows.misfits

    @settings(max_examples=300)
    @given(
        event=events,
        stamp=st.sampled_from([1.5, 3e11, WRITTEN, WRITTEN_SHORT, "soon", None]),
        method=st.sampled_from(["info", "warn", "exception", "msg", "own", ""]),
    )
    def test_any_event_becomes_the_same_row_as_from_the_encoder(self, event, stamp, method):
        """Each event is tried in every table; each row takes one number."""
        event = {**event, **({} if stamp is None else {"timestamp": stamp})}
        for name, table in (ORDINARY_TABLES | OTHER_TABLES).items():
            fast, expected, misfits, expected_misfits = self.both_ways(table, event, method, "shop")
            assert misfits == expected_misfits, name
            assert {column: without_addresses(value) for column, value in fast.items()} == {
                column: without_addresses(value) for column, value in expected.items()
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
    def test_ordinary_events_become_the_same_row_as_from_the_encoder(self, name, event):
        fast, expected, misfits, expected_misfits = self.both_ways(ORDINARY_TABLES[name], event)

        assert fast == expected
        assert misfits == expected_misfits

    def test_an_ordinary_event_is_encoded_without_the_fallback(self, monkeypatch):
        rows = Rows(ORDINARY_TABLES["default"])
        monkeypatch.setattr(rows.encoder.event_reader, "read", None)
        row = rows.event({"event": "hello", "timestamp": WRITTEN, "level": "warn", "a": 1}, "info")

        assert (row["Message"], row["Level"], row["Properties"]) == ("hello", "WARNING", {"a": 1})
        assert row["TimeGenerated"] == WRITTEN
        assert row["Thread"] == threading.current_thread().name

    def test_encoding_does_not_change_the_event(self):
        event = {"event": "hello", "timestamp": 1.5, "level": "info", "logger": "shop", "a": 1}
        Rows(ORDINARY_TABLES["default"]).event(event)

        assert event == {"event": "hello", "timestamp": 1.5, "level": "info", "logger": "shop", "a": 1}

    def test_the_caches_of_events_are_bounded(self):
        """The names of levels and loggers may come from outside, in any number."""
        rows = Rows(ORDINARY_TABLES["default"])
        for number in range(MAX_CACHED + 10):
            assert rows.event({"event": "hello", "timestamp": 1.5, "logger": f"l{number}"})["Logger"] == f"l{number}"
