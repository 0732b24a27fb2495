"""The compiled fast path returns the very bytes of the pure one, which is the definition.

LOGGING_AZMON_TWIN_ROWS sets how many generated records are compared; `tox run -e twin` compares 500,000.
"""

# ruff: noqa: SLF001 - both paths are made of one encoder's parts

import itertools
import logging
import os
import random
from types import SimpleNamespace

import pytest

from logging_azmon._config.presets import PRESETS
from logging_azmon._process import implementation
from logging_azmon._rows.fast import Caches
from logging_azmon._rows.fast.compiled import make_compiled_encoder
from logging_azmon._rows.fast.record import make_record_encoder
from support.odd_values import ODD_VALUES
from support.rows import Rows, exc_info, make_record

ROWS = int(os.environ.get("LOGGING_AZMON_TWIN_ROWS", "20000"))
TABLES = {
    "default": PRESETS["default"],
    "lean": PRESETS["lean"],
    "no rest": {"Time": "time:string", "Level": "level", "M%d": "message", "N": "sequence:long", "Trace": "trace_id"},
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
NAMES = [
    *("order", "a", "é", "exception", "message", "asctime", "taskName", "extra", "color_message", "Level", 'q"', "null")
]


def pair(table, **options):
    """Return the pure and the compiled function for a table, each with numbers of its own, and the misfits counted."""
    rows = Rows(table, **options)
    encoder = rows.encoder

    def made(make):
        number = itertools.count().__next__

        def fallback(record, formatter, given=None):
            return encoder._encode_record(record, formatter, number() if given is None else given)

        return make(
            encoder._layout,
            Caches(encoder._threads, encoder._sites, number, encoder._encode_spans, encoder._limit),
            fallback,
        )

    return made(make_record_encoder), made(make_compiled_encoder)


def generated(chance):
    """Make a record as a logger does, ordinary or odd."""
    args = tuple(chance.choice(VALUES) for _ in range(chance.choice((0, 0, 1, 3))))
    if chance.random() < 0.5:
        args = (chance.randrange(10**6), "ada", chance.random() * 100)
    extra = {chance.choice(NAMES[:2]): chance.choice(VALUES) for _ in range(chance.choice((0, 1, 2)))}
    record = logging.LogRecord(
        chance.choice(("app", "app.orders", "é")),
        chance.choice((10, 20, 30, 35, 40)),
        chance.choice(("/srv/app.py", "/srv/é.py", "")),
        chance.choice((1, 12, 300, 70_000)),
        TEMPLATES[2] if chance.random() < 0.5 else chance.choice(TEMPLATES),
        args,
        chance.choice((None,) * 6 + (EXC, (None, None, None), True)),
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


EXC = exc_info()
needs_twin = pytest.mark.skipif(implementation.compiled is None, reason="the pure code runs alone here")


@needs_twin
class TestRows:
    @pytest.mark.parametrize("name", TABLES)
    def test_generated_records_become_the_same_bytes(self, name):
        """Numbers, too, are taken once by each."""
        chance = random.Random(f"{name} {ROWS}")
        pure, twin = pair(TABLES[name], max_line_bytes=40_000)
        assert type(twin) is implementation.compiled.RecordEncoder
        for _ in range(ROWS // len(TABLES)):
            record = generated(chance)
            assert twin(record, None) == pure(record, None), record.__dict__

    @pytest.mark.parametrize(("name", "value"), ODD_VALUES, ids=[name for name, _ in ODD_VALUES])
    def test_every_odd_value_becomes_the_same_bytes(self, name, value):
        """As an extra, and as an argument; in a record of its own for each, because some are used up."""
        for table in TABLES.values():
            pure, twin = pair(table)
            found = []
            for encode in (pure, twin):
                lines = []
                for record in (make_record("hello", extra={"a": value(), "b": 1}), make_record("%s")):
                    record.created, record.args = 1.5, record.args if len(lines) == 0 else (value(),)
                    lines.append(encode(record, None).count(b"\n"))
                found.append(lines)
            assert found[0] == found[1] == [1, 1]

    def test_an_ordinary_record_needs_no_python_code(self):
        """Otherwise the twin would only add to the cost."""
        _, twin = pair(TABLES["default"])
        record = make_record("order %d", 5, extra={"a": 1, "b": "text", "c": 1.5, "d": True})
        twin(record, None)

        assert twin.handed_over == 0
        twin(make_record({"a": 1}), None)
        assert twin.handed_over == 1

    def test_an_argument_that_empties_its_own_record_does_no_harm(self):
        class Emptying:
            def __str__(self):
                record.__dict__.clear()
                return "empty"

        _, twin = pair(TABLES["default"])
        record = make_record("%s", Emptying(), extra={"a": 1, "b": [1]})

        assert twin(record, None).endswith(b"\n")

    def test_an_object_that_logs_while_it_is_written_becomes_two_rows(self):
        """The state of a row is in local variables."""

        class Logging:
            def __str__(self):
                lines.append(twin(make_record("inner"), None))
                return "text"

        lines = []
        _, twin = pair(TABLES["default"])
        lines.append(twin(make_record("outer %s", Logging(), extra={"a": 1}), None))

        assert [b'"inner"' in lines[0], b'"outer text"' in lines[1]] == [True, True]
        assert [b'"Sequence":%d,' % number in line for number, line in enumerate(lines)] == [True, True]

    @pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
    def test_an_interruption_goes_through(self, error):
        class Interrupting:
            def __str__(self):
                raise error

        with pytest.raises(error):
            pair(TABLES["default"])[1](make_record("%s", Interrupting()), None)


class TestChoice:
    @pytest.mark.parametrize("wanted", ["", "compiled"])
    def test_the_compiled_code_is_taken_where_it_is(self, wanted):
        assert implementation.choose(wanted, lambda: logging) is logging

    def test_python_forces_the_pure_code(self):
        assert implementation.choose("python", lambda: logging) is None

    def test_a_missing_compiled_module_means_pure_code_unless_it_is_asked_for(self):
        def missing():
            raise ImportError("No module named '_compiled'")

        assert implementation.choose("", missing) is None
        with pytest.raises(ImportError, match=r"LOGGING_AZMON_IMPL='compiled', but .* without its compiled module"):
            implementation.choose("compiled", missing)

    def test_any_other_wish_is_refused(self):
        with pytest.raises(ImportError, match="LOGGING_AZMON_IMPL='fast' is not accepted; set it to 'python' or"):
            implementation.choose("fast", lambda: logging)

    def test_only_a_table_of_the_commonest_kind_gets_the_twin(self, monkeypatch):
        """Where columns take extras, the pure function is the faster of what there is."""
        monkeypatch.setattr(implementation, "compiled", SimpleNamespace(RecordEncoder=lambda **_: "twin"))

        assert pair(TABLES["default"])[1] == "twin"
        assert pair({"Time": "time", "Message": "message", "User": "user_id"})[1] != "twin"
        assert pair({"Time": "time"})[1] != "twin"

    def test_its_name_is_shown(self, monkeypatch):
        monkeypatch.setattr(implementation, "compiled", None)
        assert implementation.name() == "pure Python"
        monkeypatch.setattr(implementation, "compiled", logging)
        assert implementation.name() == "compiled"
