"""Columns and tables: names, types, and where each value comes from.

A `Table` is a value: built once, checked when built, never changed. It knows nothing of records, rows or JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import ConfigurationError

TYPES = ("string", "int", "long", "real", "boolean", "datetime", "dynamic")
MAX_COLUMNS = 500

# Refused by Log Analytics for custom columns, whatever their case.
RESERVED_NAMES = frozenset(
    "id BilledSize IsBillable InvalidTimeGenerated TenantId Title Type UniqueId"
    " _ItemId _ResourceGroup _ResourceId _SubscriptionId _TimeReceived".lower().split()
)

# Every field a column can take, with the type it has unless the column says otherwise.
FIELD_TYPES: Mapping[str, str] = {
    "time": "datetime",
    "level": "string",
    "level_number": "int",
    "logger": "string",
    "message": "string",
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
    "trace_id": "string",
    "span_id": "string",
    # Derived from the level, for the built-in tables that have words or numbers of their own for it.
    "syslog_severity": "string",
    "cef_severity": "string",
    "event_level": "int",
    "event_level_name": "string",
    "event_type": "int",
    "*": "dynamic",
}

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{1,44}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Extra:
    """Take the first of these names that the call has among its extras, else the default; dots reach into mappings."""

    names: tuple[str, ...]
    default: Any = None


@dataclass(frozen=True, slots=True)
class Constant:
    """Take the same value in every row."""

    value: Any


Source = str | Extra | Constant | Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Column:
    """Name a column, its type in the stream, and what fills it.

    `source` is a field's name (see README, "Columns"), an extra's name, ``"*"`` for every extra that no other
    column takes, or a callable that is given the LogRecord or the event dict.
    """

    name: str
    type: str
    source: Source

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise ConfigurationError(problems)
        if isinstance(self.source, str) and self.source not in FIELD_TYPES:
            object.__setattr__(self, "source", Extra((self.source.removeprefix("extra."),)))

    def _problems(self) -> Iterator[str]:
        if not _is_name(self.name):
            yield f"column {self.name!r}: a name must be printable text without quotes and backslashes"
        if self.type not in TYPES:
            yield f"column {self.name!r}: unknown type {self.type!r}; a stream knows {', '.join(TYPES)}"
        elif self.source == "*" and self.type not in ("dynamic", "string"):
            yield f"column {self.name!r} takes '*', so its type must be dynamic or string, not {self.type!r}"
        elif self.source == "sequence" and self.type in ("boolean", "datetime"):
            yield f"column {self.name!r} takes 'sequence', which is a number, so its type cannot be {self.type!r}"
        if not (isinstance(self.source, Extra | Constant) or callable(self.source) or _is_field(self.source)):
            yield (f"column {self.name!r}: source {self.source!r} is neither a field's or extra's name nor a callable")


@dataclass(frozen=True, slots=True)
class Table:
    """Hold the columns of one stream, in order."""

    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        given: Iterable[object] = self.columns
        problems = [
            f"{item!r} is not a Column: a Table takes Columns" for item in given if not isinstance(item, Column)
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
        seen: dict[str, str] = {}
        for column in self.columns:
            if (earlier := seen.get(column.name.lower())) is not None:
                yield f"columns {earlier!r} and {column.name!r} differ in case at most: Log Analytics keeps one of them"
            seen[column.name.lower()] = column.name
        for once in ("*", "sequence"):
            names = [column.name for column in self.columns if column.source == once]
            if len(names) > 1:
                yield f"columns {', '.join(map(repr, names))} all take {once!r}: one column at most can"

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    @classmethod
    def from_mapping(cls, columns: Mapping[str, Any], *, declared: bool = False) -> Table:
        """Build a table from column name to ``"field"``, ``"field:type"``, a mapping, or a Column.

        The names are checked as those of a table, unless a rule declares them: a stream may have any, which the
        rule's transformKql renames.
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
        """Refuse what Log Analytics would, for a table whose columns no rule declares."""
        problems = [problem for column in self for problem in (*_naming_problems(column.name), *_time_problems(column))]
        if problems:
            raise ConfigurationError(problems)


def _is_name(name: object) -> bool:
    """Tell whether a JSON key can be made of this as it stands; a rule may declare names that no table has."""
    return isinstance(name, str) and name != "" and name.isprintable() and not set(name) & {'"', "\\"}


def _time_problems(column: Column) -> Iterator[str]:
    if column.name == "TimeGenerated" and column.type != "datetime":
        yield f"column 'TimeGenerated' must be a datetime, not {column.type!r}"


def _naming_problems(name: object) -> Iterator[str]:
    if isinstance(name, str) and name.lower() in RESERVED_NAMES:
        yield f"column name {name!r} is reserved by Log Analytics: choose another"
    elif not isinstance(name, str) or not _NAME.fullmatch(name):
        yield (
            f"column name {name!r} is not possible in Log Analytics: use 2 to 45 ASCII letters, digits"
            " and underscores, beginning with a letter"
        )


def _is_field(source: object) -> bool:
    return isinstance(source, str) and bool(source.removeprefix("extra."))


def _column(name: str, spec: object) -> Column:
    if isinstance(spec, Column):
        if spec.name != name:
            raise ConfigurationError([f"column {name!r} is given a Column named {spec.name!r}: names must agree"])
        return spec
    if isinstance(spec, str):
        field, _, type_name = spec.partition(":")
        return Column(name, type_name or FIELD_TYPES.get(field, "string"), field)
    if isinstance(spec, Mapping):
        return _column_from_mapping(name, spec)
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
        raise ConfigurationError(
            [f"column {name!r}: field {field!r} is neither a field's or extra's name nor a callable"]
        )
    default = FIELD_TYPES.get(field, "string") if isinstance(field, str) else "string"
    return Column(name, spec.get("type", default), field)


def _constant_type(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "long"
    if isinstance(value, float):
        return "real"
    return "string" if isinstance(value, str) else "dynamic"
