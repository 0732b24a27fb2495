"""Text is cut by its length before anything encodes it: orjson crashes if it lacks eight times the memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from logging_azmon._config.service_limits import MAX_VALUE_BYTES
from logging_azmon._rows.jsonable import FRAGMENT, LONG_TEXT, MAX_NODES, dumps, hazard_in
from logging_azmon._rows.shrink import cut, cut_inside, utf8_bytes
from logging_azmon._rows.values import ENCODERS, LENIENT
from support.odd_values import Word
from support.rows import Rows, exc_info, load, make_record

TABLES = [
    {"Time": "time", "Message": "message", "Rest": "*"},
    {"Time": "time", "Message": "message", "Body": "body", "Data": "data:dynamic", "Inner": "data.inner", "Rest": "*"},
    {"Time": "time", "Message": "message", "Template": "template", "Body": "body:int"},
]
# Under 1.2 GB of address space, orjson cannot encode the text of 150 MB.
LIMITED = """
import resource
from support.rows import Rows, exc_info, make_record
resource.setrlimit(resource.RLIMIT_AS, (1_200_000_000, 1_200_000_000))
text = "x" * 150_000_000
rows = Rows({"Time": "time", "Message": "message", "Count": "count:int", "Rest": "*"})
calls = {
    "message": lambda: rows.record(make_record("%*d", 150_000_000, 5)),
    "message without arguments": lambda: rows.record(make_record(text)),
    "message with an exception": lambda: rows.record(make_record(text, exc_info=exc_info())),
    "extra": lambda: rows.record(make_record(extra={"body": text})),
    "nested extra": lambda: rows.record(make_record(extra={"body": {"parts": [{"text": text}]}})),
    "key": lambda: rows.record(make_record(extra={"body": {text: 1}})),
    "misfit": lambda: rows.record(make_record(extra={"count": text})),
    "mapping as message": lambda: rows.record(make_record({"body": text})),
    "event": lambda: rows.event({"event": text}),
    "key of an event": lambda: rows.event({"event": "hello", "body": [text], "lineno": 5}),
}
for name, call in calls.items():
    print(name, "…(cut, " in str(call()), flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory as Linux does")
def test_no_text_of_whatever_length_ends_the_process():
    """`log.info("%*d", 2_000_000_000, 5)` used to; here the memory is limited, so that less text does."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-2_000:]
    assert {line.rsplit(" ", 1)[1] for line in done.stdout.splitlines()} == {"True"}, done.stdout
    assert done.stdout.count("\n") == 10


@pytest.mark.parametrize("columns", TABLES)
@pytest.mark.parametrize(
    "extra",
    [
        {"body": "é" * 70_000},
        {"body": "\ud800" * 70_000},
        {"data": {"inner": "é" * 70_000, "small": 1}},
        {"data": ["x" * 70_000, 1.5, None]},
        {"more": {"a": ("x" * 70_000,), "small": 1}},
        {"more": {"x" * 70_000: 1}},
        {"more": [0] * 100_000},
        {"more": Word.YES, "a": orjson.Fragment(b'{"b":\n1}')},
    ],
    ids=lambda extra: str(extra)[:20],
)
def test_both_paths_cut_long_text_in_the_same_way(columns, extra):
    """A text that is too long leaves the fast path before it is encoded."""
    rows = Rows(columns)
    record = make_record("hello", extra=extra)
    fast = load(rows.encoder.record(record, None))
    misfits, rows.misfits = rows.misfits, 0

    assert fast == load(rows.encoder(rows.encoder.record_reader.read(record, None)))
    assert misfits == rows.misfits


@pytest.mark.parametrize(
    "extra", [{"body": "é" * 70_000}, {"data": ["x" * 70_000]}, {"a": [orjson.Fragment(b"[1,\n2]")]}], ids=[*"abc"]
)
def test_both_paths_cut_the_long_text_of_an_event_in_the_same_way(extra):
    rows = Rows({"Time": "time", "Level": "level", "Logger": "logger", "Message": "message", "Rest": "*"})
    event = {"event": "hello", "timestamp": 1.5, **extra}

    assert rows.event(event) == load(rows.encoder(rows.encoder.event_reader.read(event, "info", None)))


class TestHazards:
    @pytest.mark.parametrize(
        ("value", "found"),
        [
            ("x" * MAX_VALUE_BYTES, ""),
            ("x" * (MAX_VALUE_BYTES + 1), LONG_TEXT),
            ([1, 1.5, True, None, "x", (b"x",), {"a": 1}, object()], ""),
            ({"a": [{"b": ("x" * 70_000,)}]}, LONG_TEXT),
            ({"x" * 70_000: 1}, LONG_TEXT),
            ([0] * MAX_NODES, LONG_TEXT),
            (Word.YES, ""),
            ([orjson.Fragment(b"1")], FRAGMENT),
            ([orjson.Fragment(b"1"), "x" * 70_000], LONG_TEXT),
        ],
        ids=lambda value: str(value)[:20],
    )
    def test_long_text_is_found_at_any_depth(self, value, found):
        """So is a Fragment, which may hold anything."""
        assert hazard_in(value) == found

    def test_a_cycle_and_a_value_that_is_shared_many_times_are_looked_at_in_bounded_time(self):
        """The number of nodes is limited, and a value that exceeds it is cut anyway."""
        cycle, shared = [], ["x"]
        cycle.append(cycle)
        for _ in range(60):
            shared = [shared, shared]

        assert hazard_in(cycle) == hazard_in(shared) == LONG_TEXT

    def test_an_enum_of_a_fragment_is_one(self):
        import enum

        class Odd(enum.Enum):
            RAW = orjson.Fragment(b"1\n")

        assert hazard_in({"a": Odd.RAW}) == FRAGMENT

    @pytest.mark.parametrize(("raw", "shown"), [(b'{"a":\n1}', b'[{"a":1}]'), (b"[1]", b"[[1]]")])
    def test_a_fragment_is_written_on_one_line(self, raw, shown):
        """A line end would break the row in two."""
        assert dumps([orjson.Fragment(raw)]) == shown

    @pytest.mark.parametrize("raw", [b"not JSON", b'{"a":\n'])
    def test_a_fragment_that_is_not_json_does_not_break_the_row(self, raw):
        """The whole batch would be refused."""
        assert "Fragment" in json.dumps(json.loads(dumps([orjson.Fragment(raw)])))
        assert "Fragment" in str(Rows(TABLES[0]).record(make_record(extra={"a": orjson.Fragment(raw)})))


class TestCut:
    def test_bytes_are_counted_without_encoding_the_whole_text(self):
        for text in ("x" * 3_000_000, "é" * 2_500_000, "\ud800" * 10, ""):
            assert utf8_bytes(text) == len(text.encode("utf-8", "backslashreplace"))

    def test_text_that_was_cut_before_keeps_the_mark_with_its_first_length(self):
        """A structure is cut after the texts in it, and a row after its values."""
        once = cut("x" * 70_000, 65_536)

        assert cut(once, 1_000) == "x" * 978 + "…(cut, 70,000 bytes)"

    @pytest.mark.parametrize("limit", [0, 5, 100])
    def test_the_result_fits_any_limit(self, limit):
        """A limit below the length of the mark leaves the mark alone."""
        assert len(cut("é" * 1_000, limit).encode()) <= max(limit, 25)

    def test_text_is_cut_inside_by_its_length_too(self):
        text = "first" + "é" * 1_000_000 + "last"

        shown = cut_inside(text, 1_000)
        assert shown.startswith("firsté")
        assert shown.endswith("élast")
        assert "…(cut, 2,000,009 bytes)" in shown
        assert len(shown.encode()) <= 1_000


class TestNumbers:
    @pytest.mark.parametrize("number", [2**63, 2**64 - 1, -(2**63)])
    @pytest.mark.parametrize(
        "neighbour", [1, float("nan"), {1: 2}, {1, 2}, "x" * 70_000], ids=lambda value: str(value)[:20]
    )
    def test_a_whole_number_does_not_depend_on_its_neighbours(self, number, neighbour):
        """Up to 2^64 - 1 it is a number in a dynamic column, whatever stands beside it, and on either path."""
        rows = Rows({"Time": "time", "Message": "message", "Rest": "*"})
        for more in ({}, {"exc_info": exc_info()}):
            row = rows.record(make_record(extra={"n": number, "m": neighbour}, **more))
            assert row["Rest"]["n"] == number
        assert rows.event({"event": "x", "n": number, "m": neighbour})["Rest"]["n"] == number

    @pytest.mark.parametrize("number", [2**64, -(2**63) - 1])
    def test_a_number_beyond_is_text(self, number):
        assert json.loads(ENCODERS["dynamic"]([number])) == [str(number)]

    @pytest.mark.parametrize("type_name", ["int", "long"])
    def test_a_number_beyond_the_columns_bits_does_not_fit_it(self, type_name):
        assert ENCODERS[type_name](2**63) is None

    @pytest.mark.parametrize("type_name", LENIENT)
    def test_a_very_long_text_is_not_taken_for_a_number(self, type_name):
        """To read it would take a while."""
        assert LENIENT[type_name]("1" * 1_001) is None
