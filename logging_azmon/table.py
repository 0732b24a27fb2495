"""Columns and tables: names, types, and the source of each value.

A `Table` is a value: it is checked when it is built, and never changes. The names and types here are those of Log
Analytics; `_rows` turns values into JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import ConfigurationError

TYPES = ("string", "int", "long", "real", "boolean", "datetime", "dynamic")
MAX_COLUMNS = 500

# Names that Log Analytics refuses for custom columns, ignoring case.
RESERVED_NAMES = frozenset(
    "id BilledSize IsBillable InvalidTimeGenerated TenantId Title Type UniqueId"
    " _ItemId _ResourceGroup _ResourceId _SubscriptionId _TimeReceived".lower().split()
)

# Every field that a column can take, with its default type.
FIELD_TYPES: Mapping[str, str] = {
    "time": "datetime",
    "level": "string",
    "level_number": "int",
    "logger": "string",
    "message": "string",
    "template": "string",
    "exception": "string",
    "exception_type": "string",
    "exception_message": "string",
    "exceptions": "dynamic",
    "stack": "string",
    "file": "string",
    "module": "string",
    "function": "string",
    "line": "int",
    "process_id": "int",
    "process_name": "string",
    "thread_id": "long",
    "thread_name": "string",
    "task": "string",
    "host": "string",
    "instance": "string",
    "sequence": "long",
    "item_count": "int",
    "service_name": "string",
    "service_version": "string",
    "service_instance": "string",
    "environment": "string",
    "trace_id": "string",
    "span_id": "string",
    # The level, as the names and numbers that Azure's built-in tables use.
    "syslog_severity": "string",
    "cef_severity": "string",
    "event_level": "int",
    "event_level_name": "string",
    "event_type": "int",
    "*": "dynamic",
}

# An extra of one of these names wins over the field, because the extras of applications had these names before.
YIELDING_FIELDS = frozenset(
    {"template", "item_count", "service_name", "service_version", "service_instance", "environment"}
)

# The names by which LogRecord knows a field. In an event dict they are keys like any other.
FIELD_OF_ATTRIBUTE: Mapping[str, str] = {
    "name": "logger",
    "levelname": "level",
    "levelno": "level_number",
    "pathname": "file",
    "funcName": "function",
    "lineno": "line",
    "created": "time",
    "process": "process_id",
    "processName": "process_name",
    "thread": "thread_id",
    "threadName": "thread_name",
    "taskName": "task",
}
# The other attributes of a LogRecord, with the field that was probably meant: no extra can have their names.
_MEANT: Mapping[str, str] = {
    "msg": "message",
    "args": "message",
    "exc_info": "exception",
    "exc_text": "exception",
    "stack_info": "stack",
    "filename": "file",
    "msecs": "time",
    "relativeCreated": "time",
    "asctime": "time",
}
_NOT_A_SOURCE = "is neither the name of a field or extra nor a callable"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{1,44}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Extra:
    """Take the first extra of these names that a log call has, or else the field, or else the default.

    Dots reach into mappings. The field is one of YIELDING_FIELDS.
    """

    names: tuple[str, ...]
    default: Any = None
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Constant:
    """Take the same value for every row."""

    value: Any


Source = str | Extra | Constant | Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Column:
    """Define one column: its name, its type in the stream, and the source of its values.

    The source is the name of a field such as ``"level"``, or LogRecord's own name for it, ``"levelname"``; the name of
    an extra, as ``"extra.level"`` if a field has the same name; ``"*"`` for every extra that no other column takes; or
    a callable that is given the LogRecord or the event dict and returns the value. Raises a `ConfigurationError` if a
    part is not valid.

    >>> Column("DurationMs", "real", "duration_ms")
    Column(name='DurationMs', type='real', source=Extra(names=('duration_ms',), default=None, field=None))
    >>> column = Column("Length", "int", lambda record: len(record.getMessage()))
    """

    name: str
    """The column's name in the stream."""
    type: str
    """One of string, int, long, real, boolean, datetime and dynamic."""
    source: Source
    """The field, extra, constant or callable that fills the column."""

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise ConfigurationError(problems)
        if isinstance(self.source, str) and self.field not in FIELD_TYPES:
            object.__setattr__(self, "source", Extra((self.source.removeprefix("extra."),)))

    @property
    def field(self) -> str | None:
        """Return the name of the field that the source names, or None if the source is anything else."""
        return FIELD_OF_ATTRIBUTE.get(self.source, self.source) if isinstance(self.source, str) else None

    def _problems(self) -> Iterator[str]:
        if not _is_name(self.name):
            yield f"column {self.name!r}: a name must be printable text without quotes or backslashes"
        if self.type not in TYPES:
            yield f"column {self.name!r}: unknown type {self.type!r}; accepted are {', '.join(TYPES)}"
        elif self.source == "*" and self.type not in ("dynamic", "string"):
            yield f"column {self.name!r} takes '*', so its type must be dynamic or string, not {self.type!r}"
        elif self.source == "sequence" and self.type in ("boolean", "datetime"):
            yield f"column {self.name!r} takes 'sequence', which is a number, so its type cannot be {self.type!r}"
        if not (isinstance(self.source, Extra | Constant) or callable(self.source) or _is_field(self.source)):
            yield f"column {self.name!r}: source {self.source!r} {_NOT_A_SOURCE}"
        elif isinstance(self.source, str) and self.source in _MEANT:
            yield (
                f"column {self.name!r}: {self.source!r} is not a field; did you mean {_MEANT[self.source]!r}? (An extra"
                f" of that name is 'extra.{self.source}')"
            )


@dataclass(frozen=True, slots=True)
class Table:
    """Hold the columns of one stream, in order.

    Raises a `ConfigurationError` that lists every mistake in the columns.

    >>> table = Table((Column("TimeGenerated", "datetime", "time"), Column("Text", "string", "message")))
    >>> [column.name for column in table]
    ['TimeGenerated', 'Text']
    >>> table == Table.from_mapping({"TimeGenerated": "time", "Text": "message"})
    True
    """

    columns: Sequence[Column]
    """The columns; any sequence is accepted, and kept as a tuple."""

    def __post_init__(self) -> None:
        items: Iterable[object] = self.columns
        problems = [
            f"{item!r} is not a Column: a Table takes Columns" for item in items if not isinstance(item, Column)
        ]
        if not problems:
            object.__setattr__(self, "columns", tuple(self.columns))
            problems = list(self._problems())
        if problems:
            raise ConfigurationError(problems)

    def _problems(self) -> Iterator[str]:
        if not self.columns:
            yield "columns is empty: a row needs at least one column"
        if len(self.columns) > MAX_COLUMNS:
            yield f"columns has {len(self.columns)} entries; a table holds at most {MAX_COLUMNS}"
        yield from clashing_names(column.name for column in self.columns)
        for once in ("*", "sequence"):
            names = [column.name for column in self.columns if column.source == once]
            if len(names) > 1:
                yield f"columns {', '.join(map(repr, names))} all take {once!r}: only one column can"

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    @classmethod
    def from_mapping(cls, columns: Mapping[str, Any], *, declared: bool = False) -> Table:
        """Build a table from a mapping of each column's name to its source.

        A source is ``"field"``, ``"field:type"``, ``{"field": …, "type": …}``, ``{"value": constant}`` or a `Column`.
        With ``declared=True`` the names are those that a rule declares. They are then not checked as names of a table,
        because the rule's transformKql may rename them.

        >>> table = Table.from_mapping({"Level": "level", "Order": "order_id:long", "Release": {"value": "1.4.2"}})
        >>> [(column.name, column.type) for column in table]
        [('Level', 'string'), ('Order', 'long'), ('Release', 'string')]
        """
        built: list[Column] = []
        problems: list[str] = []
        for name, spec in columns.items():
            if not declared:
                problems.extend(_naming_problems(name))
                if not _is_name(name):
                    continue
            try:
                column = _column(name, spec)
            except ConfigurationError as error:
                problems.extend(error.problems)
            else:
                built.append(column)
                problems.extend(() if declared else _time_problems(column))
        if problems:
            raise ConfigurationError(problems)
        return cls(tuple(built))

    def check_names(self) -> None:
        """Raise a `ConfigurationError` for names that Log Analytics refuses; for a table that no rule declares."""
        problems = [problem for column in self for problem in (*_naming_problems(column.name), *_time_problems(column))]
        if problems:
            raise ConfigurationError(problems)


def clashing_names(names: Iterable[str]) -> Iterator[str]:
    """Yield a sentence for each column whose name an earlier column has, ignoring case."""
    seen: dict[str, str] = {}
    for name in names:
        if (earlier := seen.get(name.lower())) is not None:
            clash = f"columns {earlier!r} and {name!r} have the same name, ignoring case"
            yield f"{clash}: Log Analytics keeps only one of them"
        seen[name.lower()] = name


def _is_name(name: object) -> bool:
    """Return whether a name is a valid JSON key without escapes; a rule may declare names that a table may not have."""
    return isinstance(name, str) and name != "" and name.isprintable() and not set(name) & {'"', "\\"}


def _time_problems(column: Column) -> Iterator[str]:
    if column.name == "TimeGenerated" and column.type != "datetime":
        yield f"column 'TimeGenerated' must be a datetime, not {column.type!r}"


def _naming_problems(name: object) -> Iterator[str]:
    if isinstance(name, str) and name.lower() in RESERVED_NAMES:
        yield f"column name {name!r} is reserved by Log Analytics: choose another"
    elif not isinstance(name, str) or not _NAME.fullmatch(name):
        yield (
            f"column name {name!r} is not valid in Log Analytics: use 2 to 45 ASCII letters, digits and underscores,"
            " starting with a letter"
        )


def _is_field(source: object) -> bool:
    return isinstance(source, str) and bool(source.removeprefix("extra."))


def _column(name: str, spec: object) -> Column:
    if isinstance(spec, Column):
        if spec.name != name:
            raise ConfigurationError([f"column {name!r} is given a Column named {spec.name!r}: the names must match"])
        return spec
    if isinstance(spec, str):
        field, _, type_name = spec.partition(":")
        return Column(name, type_name or _default_type(field), field)
    if isinstance(spec, Mapping):
        return _column_from_mapping(name, spec)
    if callable(spec):
        raise ConfigurationError(
            [f"column {name!r}: a callable comes with its type; give Column({name!r}, 'string', …) around it"]
        )
    raise ConfigurationError(
        [f"column {name!r}: {spec!r} is not accepted; use 'field', 'field:type', a mapping with 'field' or 'value'"]
    )


def _column_from_mapping(name: str, spec: Mapping[str, Any]) -> Column:
    unknown = [str(key) for key in spec if key not in ("field", "type", "value")]
    if unknown or ("field" in spec) == ("value" in spec):
        raise ConfigurationError(
            [f"column {name!r}: {dict(spec)!r} is not accepted; give either 'field' or 'value', and 'type' if needed"]
        )
    if "value" in spec:
        value = spec["value"]
        return Column(name, spec.get("type", _constant_type(value)), Constant(value))
    field = spec["field"]
    if not isinstance(field, str) and not callable(field):
        raise ConfigurationError([f"column {name!r}: field {field!r} {_NOT_A_SOURCE}"])
    default = _default_type(field) if isinstance(field, str) else "string"
    return Column(name, spec.get("type", default), field)


def _default_type(source: str) -> str:
    return FIELD_TYPES.get(FIELD_OF_ATTRIBUTE.get(source, source), "string")


def _constant_type(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "long"
    if isinstance(value, float):
        return "real"
    return "string" if isinstance(value, str) else "dynamic"
