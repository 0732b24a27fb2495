"""Make records as loggers do, encode them with a table, and decode the rows."""

import json
import logging
import sys

import pytest

from logging_azmon._rows.encoder import Encoder
from logging_azmon.table import FIELD_TYPES, Table

EVERY_FIELD = Table.from_mapping({f"The_{name}": name for name in FIELD_TYPES if name != "*"} | {"Rest": "*"})
DEFAULT_COLUMNS = {"Time": "time", "Level": "level", "Message": "message", "Exception": "exception", "Rest": "*"}


class Rows:
    """Encode with a table and decode again; `misfits` counts the values that did not fit."""

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
    """Decode a row, and check what holds for every row: one line, one object, no key twice."""
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1

    def unique(pairs):
        assert len(dict(pairs)) == len(pairs), pairs
        return dict(pairs)

    row = json.loads(line, object_pairs_hook=unique, parse_constant=pytest.fail)
    assert isinstance(row, dict)
    return row


def make_record(msg="hello", *args, extra=None, exc_info=None, name="app", level=20, **options):
    """Make a record as a logger does."""
    logger = logging.getLogger(name)
    return logger.makeRecord(name, level, __file__, 12, msg, args, exc_info, "function", extra, **options)


def fail():
    raise LookupError("lost")


def exc_info(error=None):
    """Raise an error, by default a LookupError, and return the result of sys.exc_info."""
    try:
        raise LookupError("lost") if error is None else error  # noqa: TRY301 - its traceback is wanted
    except Exception:  # noqa: BLE001 - any error may be given
        return sys.exc_info()
