"""The columns of call sites and threads are encoded once, and are never stale."""

import itertools
import logging

from logging_azmon._config.presets import PRESETS
from logging_azmon._rows.column_cache import MAX_CACHED
from support.rows import Rows, make_record


def test_the_caches_of_call_sites_and_threads_are_bounded():
    """A program may create loggers and threads with new names for as long as it runs."""
    rows = Rows(PRESETS["default"])
    for number in range(MAX_CACHED + 50):
        record = make_record(name=f"app.{number}")
        record.threadName = f"T-{number}"
        assert rows.record(record)["Logger"] == f"app.{number}"

    assert 0 < len(rows.encoder._sites) <= MAX_CACHED  # noqa: SLF001 - caches are not public
    assert 0 < len(rows.encoder._threads) <= MAX_CACHED  # noqa: SLF001 - caches are not public


def test_large_values_are_not_cached_and_do_not_go_missing():
    rows = Rows(PRESETS["default"])

    assert rows.record(make_record(name="x" * 5_000))["Logger"] == "x" * 5_000
    assert not rows.encoder._sites  # noqa: SLF001 - caches are not public


def test_a_value_that_may_change_is_not_cached():
    """A logger's name may be an object whose text changes."""

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


def test_call_sites_are_distinguished_by_all_their_values():
    """Another level or function at the same line is another call site."""
    rows = Rows(PRESETS["default"])
    for level, function, line, thread in itertools.product((10, 20), ("f", "g"), (1, 2), ("T", "U")):
        record = make_record(level=level)
        record.funcName, record.lineno, record.threadName = function, line, thread
        row = rows.record(record)
        assert (row["Level"], row["Function"], row["Line"], row["Thread"]) == (
            logging.getLevelName(level),
            function,
            line,
            thread,
        )


def test_the_repr_of_a_cache_names_its_columns_and_counts_its_entries():
    rows = Rows({"Logger": "logger", "Line": "line", "Thread": "thread_name", "Message": "message"})
    rows.record(make_record())

    assert repr(rows.encoder._sites) == "<ColumnCache of [Logger, Line]: 1 of 1024 entries>"  # noqa: SLF001 - caches are not public
    assert repr(rows.encoder._threads) == "<ColumnCache of [Thread]: 1 of 1024 entries>"  # noqa: SLF001 - caches are not public
