"""Map entries that other programs have written to the columns of a table, as `Fields` for the encoder.

A key goes to the column of the same name, or to the column whose field other programs call by that name (``msg``,
``@timestamp``, ``levelname``); case is ignored. All other keys become extras. An entry's own host, instance, sequence
and trace are kept, because this process did not log it.
"""

from __future__ import annotations

import datetime as dt
import math
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from ..._config.rule_table import lookup
from ..._config.service_limits import MAX_AGE, MAX_LEAD
from ..._rows import levels
from ..._rows.fields import LEVEL_FIELDS, SITE_FIELDS, THREAD_FIELDS, Fields, WantedFields
from ..._rows.timestamps import moment_text
from ...table import YIELDING_FIELDS, Column, Constant, Extra, Table
from .journal import is_journal, read_journal

# The names that programs give a field, the most specific first; a row exported from a table has TimeGenerated.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "time": ("TimeGenerated", "timestamp", "@timestamp", "time", "ts", "datetime", "asctime", "created", "date"),
    "level": ("level", "levelname", "severity", "log.level", "SeverityText", "loglevel", "lvl"),
    "level_number": ("level_number", "levelno"),
    "logger": ("logger", "logger_name", "log.logger", "name", "category"),
    "message": ("message", "msg", "event", "body", "text"),
    "exception": ("exception", "exc_info", "exc_text", "traceback", "stack_trace", "error.stack_trace"),
    "stack": ("stack", "stack_info"),
    "file": ("file", "pathname", "filename"),
    "module": ("module",),
    "function": ("function", "funcName", "func_name"),
    "line": ("line", "lineno"),
    "process_id": ("process_id", "process", "pid"),
    "process_name": ("process_name", "processName"),
    "thread_id": ("thread_id",),
    "thread_name": ("thread_name", "threadName", "thread"),
    "host": ("host", "hostname"),
    "task": ("task", "taskName"),
    "trace_id": ("trace_id", "traceId", "trace.id", "otelTraceID"),
    "span_id": ("span_id", "spanId", "span.id", "otelSpanID"),
}
# The fields that the tuple `Fields` can hold; every other field becomes an extra under its column's name.
_IN_FIELDS = (
    frozenset({"time", "message", "exception", "stack", "*"}) | set(SITE_FIELDS) | set(THREAD_FIELDS) | LEVEL_FIELDS
)
ORIGINAL_TIME = "OriginalTime"
_MAX_NAMES = 50


def import_table(table: Table) -> Table:
    """Return a table with the same columns, filled from entries instead of log calls."""
    return Table(tuple(Column(column.name, column.type, _source(column)) for column in table))


def _source(column: Column) -> Any:
    source = column.source
    if isinstance(source, Constant):
        return source
    if isinstance(source, Extra):
        return Extra(tuple(dict.fromkeys((column.name, *source.names))), source.default)
    if column.field in _IN_FIELDS:
        return column.field
    if column.field in YIELDING_FIELDS:
        return Extra((column.name, column.field))
    default = socket.gethostname() if source == "host" else None
    # A callable source needs a log record, which an entry is not: its column is filled by name.
    return Extra((column.name,), default)


class Mapper:
    """Turn entries into `Fields` for a table made by `import_table`."""

    def __init__(self, table: Table, origin: Table, instance: str, now: float) -> None:
        """Prepare for a table; `origin` is the one before `import_table`, `instance` is for rows without their own."""
        self._table_fields = WantedFields(column.source for column in table if isinstance(column.source, str))
        self._now = now
        # By key in lower case: the field or column that it fills, and its rank; a lower rank is more specific.
        self._targets: dict[str, tuple[str, int]] = {}
        self.has_rest = any(column.source == "*" for column in table)
        for column, before in zip(table, origin, strict=True):
            self._add_column(column, before)
        if any(column.source in LEVEL_FIELDS for column in table if isinstance(column.source, str)):
            # A level's name and number can be derived from each other, so either fills both.
            for field in ("level", "level_number"):
                self._claim(field, _NAMES[field])
        marks = ("instance", "sequence")
        self._own = {str(column.source): column.name for column in origin if column.source in marks}
        self._instance = instance
        self._wanted = frozenset(
            name for column in table if isinstance(column.source, Extra) for name in column.source.names
        )
        # How many rows have a time that the service will replace.
        self.old = 0
        # Keys that no column takes, in the order of their appearance.
        self.left_out: dict[str, None] = {}

    def _add_column(self, column: Column, before: Column) -> None:
        if column.source == "*" or isinstance(column.source, Constant):
            return
        if isinstance(column.source, str):
            target, names = column.source, (column.name, *_NAMES.get(column.source, ()))
        else:
            field = before.field or ""
            looked_up = lookup(column.name, column.type)
            more = looked_up.names if isinstance(looked_up, Extra) else (looked_up,)
            target = column.name
            names = (column.name, *_NAMES.get(field, ()), *(name for name in more if isinstance(name, str)))
        self._claim(target, names)

    def _claim(self, target: str, names: Sequence[str]) -> None:
        for rank, name in enumerate(names):
            known = self._targets.get(name.lower())
            if known is None or rank < known[1]:
                self._targets[name.lower()] = (target, rank)

    def __call__(self, entry: Mapping[str, Any], index: int) -> Fields:
        """Map an entry; `index` counts the lines from 0, and is the entry's sequence unless it has one."""
        if is_journal(entry):
            entry = read_journal(entry, self._wanted)
        values: dict[str, Any] = {}
        extras: dict[str, Any] = {}
        ranks: dict[str, tuple[int, str]] = {}
        for key, value in entry.items():
            target, rank = self._targets.get(key.lower(), ("", 0))
            if not target:
                extras[key] = value
            elif target not in values:
                values[target], ranks[target] = value, (rank, key)
            elif rank < ranks[target][0]:
                extras[ranks[target][1]] = values[target]
                values[target], ranks[target] = value, (rank, key)
            else:
                extras[key] = value
        self._identify(values, index)
        return self._fields(values, extras)

    def _identify(self, values: dict[str, Any], index: int) -> None:
        """Give a row its instance and sequence unless it has its own, so that copies of a line can be recognised."""
        own = self._own
        if "sequence" in own and values.get(own["sequence"]) is None:
            values[own["sequence"]] = index
            if "instance" in own:
                values[own["instance"]] = self._instance
        elif "instance" in own:
            values.setdefault(own["instance"], self._instance)

    def _fields(self, values: dict[str, Any], extras: dict[str, Any]) -> Fields:
        values["level"], values["level_number"] = levels.of_entry(values.get("level"), values.get("level_number"))
        moment = read_time(values.get("time"))
        if moment is None and values.get("time") is not None:
            extras.setdefault("time", values["time"])
        if moment is not None and not -MAX_LEAD.total_seconds() < self._now - moment < MAX_AGE.total_seconds():
            self.old += 1
            if self.has_rest:
                extras.setdefault(ORIGINAL_TIME, moment_text(moment))
        for name in ("exception", "stack"):
            if values.get(name) is not None and not isinstance(values[name], str):
                extras.setdefault(name, values.pop(name))  # a flag, or structured by the program
        if not self.has_rest:
            for key in extras:
                if key not in self._wanted and len(self.left_out) < _MAX_NAMES:
                    self.left_out[key] = None
        extras |= {target: value for target, value in values.items() if target not in _IN_FIELDS}
        return self._table_fields.pack(
            values,
            time=moment,
            message=values.get("message"),
            exception=values.get("exception"),
            stack=values.get("stack"),
            extras=extras or None,
        )


def read_time(value: Any) -> float | None:
    """Parse a time, as text or as seconds, milli-, micro- or nanoseconds since the epoch; None if it is not a time.

    >>> read_time("2026-11-20T10:00:00Z") == read_time(1_795_168_800_000)
    True
    """
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            written = moment_text(value)
            return None if written is None else dt.datetime.fromisoformat(written).timestamp()
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    # The magnitude shows the unit: in any other unit, the time would be before 1974 or after 5000.
    for scale in (1, 1_000, 1_000_000, 1_000_000_000):
        if abs(value) < 1e11 * scale:
            return float(value / scale)
    return None
