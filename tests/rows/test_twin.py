"""The compiled fast path returns the very bytes of the pure one, which is the definition.

LOGGING_AZMON_TWIN_ROWS sets how many generated records and events are compared; `tox run -e compiled` compares 600,000.
"""

import importlib
import logging
import os
import random
import re
from types import FunctionType, SimpleNamespace
from unittest.mock import patch

import pytest

from logging_azmon._config.presets import PRESETS
from logging_azmon._process import implementation
from support.odd_values import ODD_VALUES
from support.rows import Rows, exc_info, make_record

# Built or not, whatever LOGGING_AZMON_IMPL has chosen for this process.
try:
    TWIN = importlib.import_module("logging_azmon._compiled")
except ImportError:
    TWIN = None
needs_twin = pytest.mark.skipif(TWIN is None, reason="nothing was compiled here")

ROWS = int(os.environ.get("LOGGING_AZMON_TWIN_ROWS", "20000"))
TABLES = {
    "default": PRESETS["default"],
    "lean": PRESETS["lean"],
    "no rest": {"Time": "time:string", "Level": "level", "M%d": "message", "N": "sequence:long", "Trace": "trace_id"}
    | {"Logger": "logger"},
    "no exception": {"Time": "time", "Message": "message", "Rest": "*", "File": "file", "Id": "thread_id"},
}
# Values of which each is the same whenever it is written.
VALUES = [
    *(0, -1, 7, 2**31, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**30, True, False, None),
    *(0.0, -0.0, 59.9, 1e-4, 9.9e-5, 1e15, 1e16, 123456789.123456789, 0.1 + 0.2, 5e-324, 1e308, -1.5),
    *(float("nan"), float("inf"), "", "ada", 'quote " and \\', "tab\t\n\r\b\f\x00\x1f\x7f", "null", "é", "漢字", "😀"),
    *("lone \ud800", "x" * 3_000, "x" * 70_000, [1, "a", None], [], {}, {"a": {"b": 1.5}}, {"é": "ü"}, {5: 6}),
    *((1, 2), b"bytes", {"x" * 40: "y" * 5_000}),
]
TEMPLATES = [
    *("hello", "", "order %d paid by %s after %.1f s", "%s", "%r %s", "100%", "%(a)s", "é %s", 'q"\\\n%s', "%%", 5)
]
FILLED = [
    TEMPLATES[2],
    "%d%%: %s, %.2f",
    "%i %s %.0f",
    "%s %s %.6f",
    'q" %d\t%s\x00%.3f',
    "%s %s %s",
    "%.1f %s %d",
    "%5d %s %f",
]
NAMES = [
    *("order", "a", "é", "exception", "message", "asctime", "taskName", "extra", "color_message", "Level", 'q"', "null")
]
KEYS = [*NAMES, "event", "level", "logger", "timestamp", "exc_info", "stack", "lineno", "thread", "_record", "module"]
METHODS = ["info", "warn", "exception", "error", "msg", "", None]
EXC = exc_info()


class Pair:
    """One table's encoder in both implementations, which count numbers and misfits each for themselves."""

    def __init__(self, table, **options):
        with patch("secrets.token_hex", lambda _: "same"):
            with patch.object(implementation, "compiled", None):
                self.pure = Rows(table, **options)
            with patch.object(implementation, "compiled", TWIN):
                self.twin = Rows(table, **options)
        # How many rows the pure code gave to the encoder.
        self.fallbacks = 0
        for reader in (self.pure.encoder.record_reader, self.pure.encoder.event_reader):
            reader.read = self.counting(reader.read)

    def counting(self, read):
        def counted(*args):
            self.fallbacks += 1
            return read(*args)

        return counted

    def check(self, kind, *args):
        """Compare the two lines, and the misfits counted so far."""
        pure, twin = (getattr(rows.encoder, kind)(*args) for rows in (self.pure, self.twin))
        assert twin == pure, args
        assert self.twin.misfits == self.pure.misfits, args


def generated_float(chance):
    """Make a float of few decimals or many, also one that is halfway between two decimals."""
    number = chance.choice((0.5, 0.125, 2.675, chance.random(), round(chance.random(), chance.randrange(9))))
    return chance.choice((1, -1)) * (chance.randrange(10 ** chance.randrange(1, 16)) + number)


def generated(chance):
    """Make a record as a logger does, ordinary or odd."""
    is_filled = chance.random() < 0.6
    args = tuple(chance.choice(VALUES) for _ in range(chance.choice((0, 0, 1, 3))))
    if is_filled and chance.random() < 0.8:
        args = (chance.randrange(10**6), "ada", generated_float(chance))
    extra = {
        chance.choice(NAMES[:2]): chance.choice((*VALUES, generated_float(chance)))
        for _ in range(chance.choice((0, 1, 2)))
    }
    record = logging.LogRecord(
        chance.choice(("app", "app.orders", "é")),
        chance.choice((10, 20, 30, 35, 40)),
        chance.choice(("/srv/app.py", "/srv/é.py", "")),
        chance.choice((1, 12, 300, 70_000)),
        chance.choice(FILLED) if is_filled else chance.choice(TEMPLATES),
        args,
        chance.choice((None,) * 17 + (EXC, EXC, (None, None, None))),
        chance.choice(("function", "<module>", None)),
    )
    # From after each second's beginning to just before its end.
    record.created = chance.choice((1_790_000_000.0, 1.5, 1_790_000_000.9999999, -5.0, 1_790_000_000 + chance.random()))
    if chance.random() < 0.05:
        record.exc_text = "kept"
    if chance.random() < 0.05:
        record.stack_info = "Stack"
    for name, value in extra.items():
        record.__dict__[name] = value
    if chance.random() < 0.2:
        record.__dict__[chance.choice(NAMES)] = chance.choice(VALUES)
    if chance.random() < 0.03:
        record.__dict__[chance.choice([*record.__dict__])] = chance.choice(VALUES)
    if chance.random() < 0.03:
        del record.__dict__[chance.choice([*record.__dict__])]
    created = record.__dict__.get("created")
    if type(created) is not float or not -1e9 < created < 2e11:
        record.created = 1.5  # the present time would differ between the two rows
    return record


def generated_event(chance):
    """Make an event dict as structlog does, ordinary or odd, with its method and logger."""
    event = {chance.choice(("order", "a", "user")): chance.choice(VALUES) for _ in range(chance.choice((0, 1, 3)))}
    event["event"] = (
        chance.choice(("hello", "paid", "é", 'q"\n', "", "x" * 70_000)) if chance.random() < 0.3 else "paid"
    )
    if chance.random() < 0.7:
        event["level"] = chance.choice(("info", "warning", "INFO", "warn", "own", None, 5, "é"))
    if chance.random() < 0.5:
        event["logger"] = chance.choice(("shop", "é", None, "lone \ud800", 5))
    if chance.random() < 0.1:
        event[chance.choice(KEYS)] = chance.choice(VALUES)
    event["timestamp"] = chance.choice(
        (1.5, 1_790_000_000 + chance.random(), "2026-11-20T10:00:00.123456Z", "2026-11-20T10:00:00Z", -5.0)
    )
    if chance.random() < 0.02:
        event[5] = "no text"
    return event, chance.choice(METHODS) if chance.random() < 0.2 else "info", chance.choice(("shop", None, "é"))


def without_addresses(line):
    """Return a line that is the same for each new object."""
    return re.sub(rb"(?i)0x[0-9a-f]+", b"0x", line)


@needs_twin
class TestRows:
    @pytest.mark.parametrize("name", TABLES)
    @pytest.mark.parametrize("part", range(3))
    def test_generated_records_become_the_same_bytes(self, name, part):
        """Numbers and misfits are counted alike, and the twin makes nearly all rows that the pure code makes."""
        chance, rows = random.Random(f"{name} {part} {ROWS}"), ROWS // len(TABLES) // 4
        pair = Pair(TABLES[name], max_line_bytes=40_000)
        for _ in range(rows):
            pair.check("record", generated(chance), None)
        own, expected = rows - pair.twin.encoder.record.handed_over, rows - pair.fallbacks
        assert own >= 0.75 * expected
        assert expected >= 0.3 * rows

    @pytest.mark.parametrize("name", TABLES)
    def test_generated_events_become_the_same_bytes(self, name):
        chance, rows = random.Random(f"{name} {ROWS}"), ROWS // len(TABLES) // 4
        pair = Pair(TABLES[name], max_line_bytes=40_000)
        for _ in range(rows):
            pair.check("event", *generated_event(chance))
        # A table without a level or a logger is not for events.
        assert (type(pair.twin.encoder.event) is TWIN.EventEncoder) == (name != "no exception")
        if name != "no exception":
            own, expected = rows - pair.twin.encoder.event.handed_over, rows - pair.fallbacks
            assert own >= 0.75 * expected
            assert expected >= 0.3 * rows

    @pytest.mark.parametrize(("name", "value"), ODD_VALUES, ids=[name for name, _ in ODD_VALUES])
    def test_every_odd_value_becomes_the_same_bytes(self, name, value):
        """As an extra, an argument, a message and under a key: a new one for each, because some are used up."""

        def lines(rows):
            cases = [make_record("hello", extra={"a": value(), "b": 1}), make_record("%s", 1, extra={"b": 1})]
            cases += [make_record("%s %s"), make_record("hello")]
            cases[1].args, cases[2].args, cases[3].msg = (value(),), (1, value()), value()
            for record in cases:
                record.created = 1.5
                yield rows.encoder.record(record, None)
            for key in ("a", "event") if is_large else ("a", "event", "logger", "level", "exception"):
                yield rows.encoder.event({"event": "hello", "timestamp": 1.5, "b": 1, key: value()}, "info", "shop")

        # Writing a very large value takes seconds on some Pythons, so one table has to do.
        is_large = any(mark in name for mark in ("deep", "000", "million"))
        for table in ("default",) if is_large else ("default", "no exception"):
            pair = Pair(TABLES[table])
            pure, twin = ([*map(without_addresses, lines(rows))] for rows in (pair.pure, pair.twin))
            assert twin == pure
            assert pair.twin.misfits == pair.pure.misfits

    def test_an_ordinary_record_needs_no_python_code(self):
        """Otherwise the twin would only add to the cost."""
        encode = Pair(PRESETS["default"]).twin.encoder.record
        assert type(encode) is TWIN.RecordEncoder
        record = make_record("order %d", 5, extra={"a": 1, "b": "text", "c": 1.5, "d": True})
        encode(record, None)

        assert encode.handed_over == 0
        encode(make_record({"a": 1}), None)
        assert encode.handed_over == 1

    def test_an_ordinary_event_needs_no_python_code(self):
        encode = Pair(PRESETS["default"]).twin.encoder.event
        for moment in (None, 1.5, "2026-11-20T10:00:00.123456Z"):
            encode({"event": "paid", "level": "info", "timestamp": moment, "a": 1, "b": [1], "c": 1.5}, "info", "shop")
        assert encode.handed_over == 0

    def test_no_argument_is_asked_for_its_text_twice(self):
        """Not after an odd exception either: __str__ may count, or be slow."""

        class Counting:
            def __str__(self):
                asked.append(self)
                raise error

        for error in (ValueError("odd"), RecursionError("odd"), UnicodeError("odd")):
            asked = []
            pair = Pair(PRESETS["default"])
            pair.pure.encoder.record(make_record("%s", Counting(), extra={"a": 1, "b": [1]}), None)
            expected, asked = len(asked), []
            pair.twin.encoder.record(make_record("%s", Counting(), extra={"a": 1, "b": [1]}), None)
            assert len(asked) == expected, error

    def test_an_argument_that_empties_its_own_record_does_no_harm(self):
        class Emptying:
            def __str__(self):
                record.__dict__.clear()
                return "empty"

        record = make_record("%s", Emptying(), extra={"a": 1, "b": [1]})
        assert Pair(PRESETS["default"]).twin.encoder.record(record, None).endswith(b"\n")

    def test_an_object_that_logs_while_it_is_written_becomes_two_rows(self):
        """The state of a row is in local variables."""

        class Logging:
            def __str__(self):
                lines.append(encode(make_record("inner"), None))
                return "text"

        lines = []
        encode = Pair(PRESETS["default"]).twin.encoder.record
        lines.append(encode(make_record("outer %s", Logging(), extra={"a": 1}), None))

        assert [b'"inner"' in lines[0], b'"outer text"' in lines[1]] == [True, True]
        assert [b'"Sequence":%d,' % number in line for number, line in enumerate(lines)] == [True, True]

    @pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
    def test_an_interruption_goes_through(self, error):
        class Interrupting:
            def __str__(self):
                raise error

        with pytest.raises(error):
            Pair(PRESETS["default"]).twin.encoder.record(make_record("%s", Interrupting()), None)


class TestChoice:
    def test_only_a_table_of_the_commonest_kind_gets_the_twin(self, monkeypatch):
        """Where columns take extras, the pure function is the faster of what there is."""
        made = SimpleNamespace(RecordEncoder=lambda **_: "twin", EventEncoder=lambda **_: "twin")
        monkeypatch.setattr(implementation, "compiled", made)

        assert Rows(TABLES["default"]).encoder.record == "twin"
        assert Rows({"Time": "time", "Message": "message", "User": "user_id"}).encoder.record != "twin"
        assert Rows({"Time": "time"}).encoder.record != "twin"

    def test_the_pure_code_makes_rows_where_nothing_is_compiled(self, monkeypatch):
        monkeypatch.setattr(implementation, "compiled", None)

        assert type(Rows(TABLES["default"]).encoder.record) is FunctionType
