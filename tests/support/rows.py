"""Records as loggers make them, and the rows that a table makes of them."""

import json
import logging
import sys

import pytest

from logging_azmon._rows.encoder import Encoder
from logging_azmon.table import Table


class Rows:
    """Encode with a table and decode again; `misfits` counts."""

    def __init__(self, table, **options):
        self.misfits = 0
        self.table = table if isinstance(table, Table) else Table.from_mapping(table, declared=True)
        self.encoder = Encoder(
            self.table, max_line_bytes=options.pop("max_line_bytes", 999_999), on_misfit=self._misfit
        )

    def _misfit(self):
        self.misfits += 1

    def record(self, record, formatter=None):
        return load(self.encoder.record(record, formatter))

    def event(self, event, method="info", logger=None):
        return load(self.encoder.event(event, method, logger))


def load(line):
    """Decode a row, and hold it to what every row is: one line, one object, no key twice."""
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1

    def unique(pairs):
        assert len(dict(pairs)) == len(pairs), pairs
        return dict(pairs)

    row = json.loads(line, object_pairs_hook=unique, parse_constant=pytest.fail)
    assert isinstance(row, dict)
    return row


def make(msg="hello", *args, extra=None, exc_info=None, name="app", level=20, **options):
    """Make a record as a logger does."""
    logger = logging.getLogger(name)
    return logger.makeRecord(name, level, __file__, 12, msg, args, exc_info, "function", extra, **options)


def fail():
    raise LookupError("lost")


def raised():
    """Return what sys.exc_info says of an exception."""
    try:
        fail()
    except LookupError:
        return sys.exc_info()
