"""Finds the columns of a table for entries that other programs have written, and makes `Fields` of them.

An entry's key goes to the column of its name, or to the one whose field it is called by elsewhere (``msg``,
``@timestamp``, ``levelname``), whatever its case; the rest goes where extras go. What an entry says of its own origin
(host, instance, sequence, trace) is believed, because it was not this process that logged.
"""

from __future__ import annotations

import datetime as dt
import math
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from .._config.rule_table import lookup
from .._config.service_limits import MAX_AGE, MAX_LEAD
from .._rows import levels
from .._rows.fields import LEVEL_FIELDS, SITE_FIELDS, THREAD_FIELDS, Fields, WantedFields
from .._rows.timestamps import moment_text
from ..table import Column, Constant, Extra, Table
from ._journal import is_journal, read_journal

# What programs call a field, the most telling first; "time" of a row in a table is its TimeGenerated.
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
# What can be said by the tuple of `Fields`; every other field becomes an extra under its column's name.
_IN_FIELDS = (
    frozenset({"time", "message", "exception", "stack", "*"}) | set(SITE_FIELDS) | set(THREAD_FIELDS) | LEVEL_FIELDS
)
ORIGINAL_TIME = "OriginalTime"
_MOST_NAMES = 50


def importing(table: Table) -> Table:
    """Return a table like this one whose rows are filled by entries instead of log calls."""
    return Table(tuple(Column(column.name, column.type, _source(column)) for column in table))


def _source(column: Column) -> Any:
    source = column.source
    if isinstance(source, Constant):
        return source
    if isinstance(source, Extra):
        return Extra(tuple(dict.fromkeys((column.name, *source.names))), source.default)
    if isinstance(source, str) and source in _IN_FIELDS:
        return source
    default = socket.gethostname() if source == "host" else None
    # A callable of the application's has no record to look at here.
    return Extra((column.name,), default)


class Mapper:
    """Make `Fields` of entries for one table, made by `importing`."""

    def __init__(self, table: Table, origin: Table, instance: str, now: float) -> None:
        """Prepare; `origin` is the table as it was, `instance` marks rows that do not say where they are from."""
        self._table_fields = WantedFields(column.source for column in table if isinstance(column.source, str))
        self._now = now
        # By a key in lower case: the field or column that it fills, and how telling it is.
        self._places: dict[str, tuple[str, int]] = {}
        self.has_rest = any(column.source == "*" for column in table)
        for column, before in zip(table, origin, strict=True):
            self._place(column, before)
        if any(column.source in LEVEL_FIELDS for column in table if isinstance(column.source, str)):
            # A level's name and number tell each other, and what is derived from them.
            for field in ("level", "level_number"):
                self._take(field, _NAMES[field])
        marks = ("instance", "sequence")
        self._own = {str(column.source): column.name for column in origin if column.source in marks}
        self._instance = instance
        self._wanted = frozenset(
            name for column in table if isinstance(column.source, Extra) for name in column.source.names
        )
        # Rows so old that the service will stamp them anew; keys that no column takes.
        self.old = 0
        self.left_out: dict[str, None] = {}

    def _place(self, column: Column, before: Column) -> None:
        if column.source == "*" or isinstance(column.source, Constant):
            return
        if isinstance(column.source, str):
            place, names = column.source, (column.name, *_NAMES.get(column.source, ()))
        else:
            field = before.source if isinstance(before.source, str) else ""
            looked_up = lookup(column.name, column.type)
            more = looked_up.names if isinstance(looked_up, Extra) else (looked_up,)
            place = column.name
            names = (column.name, *_NAMES.get(field, ()), *(name for name in more if isinstance(name, str)))
        self._take(place, names)

    def _take(self, place: str, names: Sequence[str]) -> None:
        for rank, name in enumerate(names):
            known = self._places.get(name.lower())
            if known is None or rank < known[1]:
                self._places[name.lower()] = (place, rank)

    def __call__(self, entry: Mapping[str, Any], number: int) -> Fields:
        """Map an entry; `number` is its line's, and its sequence unless it has one."""
        if is_journal(entry):
            entry = read_journal(entry, self._wanted)
        values: dict[str, Any] = {}
        extras: dict[str, Any] = {}
        ranks: dict[str, tuple[int, str]] = {}
        for key, value in entry.items():
            place, rank = self._places.get(key.lower(), ("", 0))
            if not place:
                extras[key] = value
            elif place not in values:
                values[place], ranks[place] = value, (rank, key)
            elif rank < ranks[place][0]:
                extras[ranks[place][1]] = values[place]
                values[place], ranks[place] = value, (rank, key)
            else:
                extras[key] = value
        self._say_where_from(values, number)
        return self._fields(values, extras)

    def _say_where_from(self, values: dict[str, Any], number: int) -> None:
        """Give a row that does not say so an instance and a sequence: two copies of a line can be told to be one."""
        own = self._own
        if "sequence" in own and values.get(own["sequence"]) is None:
            values[own["sequence"]] = number
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
                extras.setdefault(name, values.pop(name))  # a flag, or somebody's structure
        if not self.has_rest:
            for key in extras:
                if key not in self._wanted and len(self.left_out) < _MOST_NAMES:
                    self.left_out[key] = None
        extras |= {place: value for place, value in values.items() if place not in _IN_FIELDS}
        return self._table_fields.pack(
            values,
            time=moment,
            message=values.get("message"),
            exception=values.get("exception"),
            stack=values.get("stack"),
            extras=extras or None,
        )


def read_time(value: Any) -> float | None:
    """Read a time, as text or as seconds, milli-, micro- or nanoseconds since the epoch; None if it is none.

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
    # The unit is seen from the size: read as another, the time would be before 1974 or after 5000.
    for scale in (1, 1_000, 1_000_000, 1_000_000_000):
        if abs(value) < 1e11 * scale:
            return float(value / scale)
    return None
