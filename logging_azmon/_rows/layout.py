"""Sorts a table's columns, once, by how often their values change and what a call must have to fill them.

fixed      constants, host, instance: the same in every row of a process
thread     process and thread
site       level, logger, module, function, line: the same for every call from one place
times      the moment, in whatever form the columns want it
sequence, message          the one column of each that is written in the quickest way
exception, stack, spans    filled in few rows
extras     filled by names among the extras
rest       the column that takes every extra left over
always     all others, asked in every row
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..table import Column, Constant, Extra, Table
from . import tracebacks
from .fields import SITE_FIELDS, THREAD_FIELDS, Fields, Reader, message_of, origin_of, task_name
from .jsonable import simple
from .values import ENCODERS


class Key(NamedTuple):
    """Hold what stands before a column's value, how that value is encoded, and what it is called elsewhere."""

    json: bytes
    encode: Callable[[Any], bytes | None]
    type: str
    field: str

    @property
    def column(self) -> str:
        """Return the column's name."""
        return self.json[1:-2].decode()


class Slot(NamedTuple):
    """Fill a column from one of the values of a site or a thread: the one at this place, or what is derived from it."""

    key: Key
    place: int
    derive: Callable[[Any], Any] | None


_NO_COLUMN = (None, 0)


@dataclass
class ExtraColumns:
    """Find the columns that extras fill."""

    # By plain name: the column and the place of this name among those it accepts.
    named: dict[str, tuple[Key | None, int]] = field(default_factory=dict)
    # By path into nested mappings; the outermost extra itself stays among the rest.
    paths: list[tuple[Key, str]] = field(default_factory=list)
    defaults: dict[Key, Any] = field(default_factory=dict)

    def add(self, key: Key, source: Extra) -> None:
        """Add a column; of two columns that accept a name, the first has it."""
        for rank, name in enumerate(source.names):
            self.named.setdefault(name, (key, rank))
            if "." in name:
                self.paths.append((key, name))
        if source.default is not None:
            self.defaults[key] = source.default

    def __bool__(self) -> bool:
        return bool(self.named)

    def match(self, extras: Mapping[str, Any]) -> tuple[dict[Key, tuple[str, Any]], dict[str, Any]]:
        """Return what fills each column, as name and value, and what no column takes."""
        found: dict[Key, tuple[str, Any]] = {}
        ranks: dict[Key, int] = {}
        rest: dict[str, Any] = {}
        for name, value in extras.items():
            key, rank = self.named.get(name, _NO_COLUMN)
            if key is None:
                rest[name] = value
            elif value is None:
                continue
            elif key not in found or rank < ranks[key]:
                if key in found:
                    rest[found[key][0]] = found[key][1]
                found[key], ranks[key] = (name, value), rank
            else:
                rest[name] = value
        for key, path in self.paths:
            value = None if key in found else follow(extras, path.split("."))
            if value is not None:
                found[key] = (path, value)
        return found, rest


@dataclass
class Layout:
    """Hold a table's columns, sorted."""

    fixed: list[tuple[Key, str | Constant]] = field(default_factory=list)
    thread: list[Slot] = field(default_factory=list)
    site: list[Slot] = field(default_factory=list)
    times: list[Key] = field(default_factory=list)
    sequence: Key | None = None
    message: Key | None = None
    exception: list[tuple[Key, Callable[[Any], Any]]] = field(default_factory=list)
    stack: list[Key] = field(default_factory=list)
    spans: list[tuple[Key, int]] = field(default_factory=list)
    extras: ExtraColumns = field(default_factory=ExtraColumns)
    rest: Key | None = None
    always: list[tuple[Key, Callable[[Fields], Any]]] = field(default_factory=list)
    reader: Reader = field(init=False)

    @classmethod
    def of(cls, table: Table) -> Layout:
        """Sort a table's columns."""
        layout = cls()
        layout.reader = Reader(column.source for column in table if isinstance(column.source, str))
        for column in table:
            layout._place(column)
        return layout

    def _place(self, column: Column) -> None:
        source = column.source
        name = source if isinstance(source, str) else column.name
        key = Key(b'"%b":' % column.name.encode(), ENCODERS[column.type], column.type, name)
        if isinstance(source, Extra):
            self.extras.add(key, source)
        elif isinstance(source, Constant):
            self.fixed.append((key, source))
        elif isinstance(source, str):
            self._place_field(key, source)
        else:
            self.always.append((key, lambda fields: _asked(source, origin_of(fields))))

    def _place_field(self, key: Key, source: str) -> None:
        if source in ("host", "instance"):
            self.fixed.append((key, source))
        elif source in _DERIVED:
            self.site.append(Slot(key, self.reader.site_fields.index("level_number"), _DERIVED[source]))
        elif source in SITE_FIELDS:
            self.site.append(Slot(key, self.reader.site_fields.index(source), None))
        elif source in THREAD_FIELDS:
            self.thread.append(Slot(key, self.reader.thread_fields.index(source), None))
        elif source in _OF_EXCEPTION:
            self.exception.append((key, _OF_EXCEPTION[source]))
        elif source == "stack":
            self.stack.append(key)
        elif source in _SPAN_FIELDS:
            self.spans.append((key, _SPAN_FIELDS.index(source)))
        elif source == "*":
            self.rest = key
        elif source == "sequence":
            self.sequence = key
        else:
            self._place_quick(key, source)

    def _place_quick(self, key: Key, source: str) -> None:
        if source == "time":
            self.times.append(key)
        elif source == "message" and key.type == "string" and self.message is None:
            self.message = key
        else:
            self.always.append((key, _ASKED[source]))


def _asked(source: Callable[[Any], Any], origin: Any) -> Any:
    """Ask a column's callable; the library's own notices have no origin to ask it about."""
    return None if origin is None else source(origin)


def follow(extras: Mapping[str, Any], path: list[str]) -> Any:
    """Reach into nested mappings, and into what is shown as one: a Django request, a dataclass."""
    node: Any = extras
    for name in path:
        node = node if issubclass(type(node), dict) else simple(node)
        node = dict.get(node, name) if issubclass(type(node), dict) else None
    return node


def _stepped(*steps: tuple[int, Any]) -> Callable[[Any], Any]:
    """Map a level number to the word of the highest step that it reaches."""

    def derive(number: Any) -> Any:
        if type(number) is not int:
            return None
        return next((word for least, word in steps if number >= least), steps[-1][1])

    return derive


_DERIVED: Mapping[str, Callable[[Any], Any]] = {
    "syslog_severity": _stepped(
        (logging.CRITICAL, "crit"),
        (logging.ERROR, "err"),
        (logging.WARNING, "warning"),
        (logging.INFO + 5, "notice"),
        (logging.INFO, "info"),
        (0, "debug"),
    ),
    "cef_severity": _stepped(
        (logging.CRITICAL, "10"), (logging.ERROR, "8"), (logging.WARNING, "6"), (logging.INFO, "3"), (0, "1")
    ),
    "event_level": _stepped((logging.CRITICAL, 1), (logging.ERROR, 2), (logging.WARNING, 3), (logging.INFO, 4), (0, 5)),
    "event_level_name": _stepped(
        (logging.CRITICAL, "Critical"),
        (logging.ERROR, "Error"),
        (logging.WARNING, "Warning"),
        (logging.INFO, "Information"),
        (0, "Verbose"),
    ),
    "event_type": _stepped((logging.ERROR, 1), (logging.WARNING, 2), (0, 4)),
}
_OF_EXCEPTION: Mapping[str, Callable[[Any], Any]] = {
    "exception": tracebacks.exception_text,
    "exception_type": tracebacks.exception_type,
    "exception_message": tracebacks.exception_message,
    "exceptions": tracebacks.exceptions,
}
_SPAN_FIELDS = ("trace_id", "span_id")
_ASKED: Mapping[str, Callable[[Fields], Any]] = {
    "message": message_of,
    "task": lambda fields: task_name(origin_of(fields)),
}
