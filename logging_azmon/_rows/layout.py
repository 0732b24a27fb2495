"""Sort a table's columns, once, by how often their values change and by what fills them.

fixed      constants, host, instance: the same in every row of a process
thread     process and thread: the same in every row of a thread
site       level, logger, module, function, line: the same for every call from one place
times      the moment, in the form that each column wants
sequence, message          the one column of each that has a shortcut
exception, stack, spans    filled in few rows
extras     filled by names among the extras
rest       the column that takes all remaining extras
always     all others, computed in every row
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..table import Column, Constant, Extra, Table
from . import tracebacks
from .context import task_name
from .fields import SITE_FIELDS, THREAD_FIELDS, Fields, WantedFields, message_of, origin_of
from .jsonable import simplify
from .levels import DERIVED_FIELDS
from .values import ENCODERS


class Key(NamedTuple):
    """Know how to write one column."""

    # The column's name as JSON, with the colon.
    json: bytes
    # Encodes a value; None if the value does not fit.
    encode: Callable[[Any], bytes | None]
    type: str
    # The name of a value that does not fit, among the extras.
    field: str

    @property
    def column(self) -> str:
        """Return the column's name."""
        return self.json[1:-2].decode()


class Slot(NamedTuple):
    """Fill a column with the value at a position of a site or thread, or with a value derived from it."""

    key: Key
    position: int
    derive: Callable[[Any], Any] | None


_NO_COLUMN = (None, 0)


@dataclass
class ExtraColumns:
    """Find the columns that extras fill."""

    # By name: the column, and the rank of this name among those that the column accepts.
    named: dict[str, tuple[Key | None, int]] = field(default_factory=dict)
    # Columns filled by a path into nested mappings; the outermost mapping itself stays among the rest.
    paths: list[tuple[Key, str]] = field(default_factory=list)
    defaults: dict[Key, Any] = field(default_factory=dict)

    def add(self, key: Key, source: Extra) -> None:
        """Add a column; of two columns that accept a name, the first takes it."""
        for rank, name in enumerate(source.names):
            self.named.setdefault(name, (key, rank))
            if "." in name:
                self.paths.append((key, name))
        if source.default is not None:
            self.defaults[key] = source.default

    def __bool__(self) -> bool:
        return bool(self.named)

    def match(self, extras: Mapping[str, Any]) -> tuple[dict[Key, tuple[str, Any]], dict[str, Any]]:
        """Return the name and value that fill each column, and the extras that no column takes."""
        filled: dict[Key, tuple[str, Any]] = {}
        ranks: dict[Key, int] = {}
        rest: dict[str, Any] = {}
        for name, value in extras.items():
            key, rank = self.named.get(name, _NO_COLUMN)
            if key is None:
                rest[name] = value
            elif value is None:
                continue
            elif key not in filled or rank < ranks[key]:
                if key in filled:
                    rest[filled[key][0]] = filled[key][1]
                filled[key], ranks[key] = (name, value), rank
            else:
                rest[name] = value
        for key, path in self.paths:
            value = None if key in filled else follow(extras, path.split("."))
            if value is not None:
                filled[key] = (path, value)
        return filled, rest


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
    wanted: WantedFields = field(init=False)

    @classmethod
    def of(cls, table: Table) -> Layout:
        """Sort a table's columns."""
        layout = cls()
        layout.wanted = WantedFields(column.source for column in table if isinstance(column.source, str))
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
            self.always.append((key, lambda fields: _call(source, origin_of(fields))))

    def _place_field(self, key: Key, source: str) -> None:
        if source in ("host", "instance"):
            self.fixed.append((key, source))
        elif source in DERIVED_FIELDS:
            self.site.append(Slot(key, self.wanted.site.index("level_number"), DERIVED_FIELDS[source]))
        elif source in SITE_FIELDS:
            self.site.append(Slot(key, self.wanted.site.index(source), None))
        elif source in THREAD_FIELDS:
            self.thread.append(Slot(key, self.wanted.thread.index(source), None))
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
            self._place_time_or_message(key, source)

    def _place_time_or_message(self, key: Key, source: str) -> None:
        if source == "time":
            self.times.append(key)
        elif source == "message" and key.type == "string" and self.message is None:
            self.message = key
        else:
            self.always.append((key, _COMPUTED[source]))


def _call(source: Callable[[Any], Any], origin: Any) -> Any:
    """Call a column's callable, but not for a notice, which has no record or event to pass."""
    return None if origin is None else source(origin)


def follow(extras: Mapping[str, Any], path: list[str]) -> Any:
    """Follow a path into nested mappings, and into objects that are shown as one: a Django request, a dataclass."""
    node: Any = extras
    for name in path:
        node = node if issubclass(type(node), dict) else simplify(node)
        node = dict.get(node, name) if issubclass(type(node), dict) else None
    return node


_OF_EXCEPTION: Mapping[str, Callable[[Any], Any]] = {
    "exception": tracebacks.exception_text,
    "exception_type": tracebacks.exception_type,
    "exception_message": tracebacks.exception_message,
    "exceptions": tracebacks.exceptions,
}
_SPAN_FIELDS = ("trace_id", "span_id")
_COMPUTED: Mapping[str, Callable[[Fields], Any]] = {
    "message": message_of,
    "task": lambda fields: task_name(origin_of(fields)),
}
