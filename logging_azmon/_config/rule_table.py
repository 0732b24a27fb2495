"""Build the table for a declared stream: the rule gives names and types, and a column's name decides what fills it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..errors import ConfigurationError
from ..table import FIELD_TYPES, YIELDING_FIELDS, Column, Extra, Source, Table
from .presets import DEFAULT

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NUMBERS = ("int", "long", "real")


def table_of(stream: Mapping[str, str], sources: Mapping[str, Source]) -> Table:
    """Build the table of a declared stream; `sources` maps columns to what fills them; others go by their names."""
    columns: list[Column] = []
    problems: list[str] = []
    rest_is_mapped = "*" in sources.values()
    for name, type_name in stream.items():
        source = sources.get(name)
        if source is None:
            source = "*" if _takes_rest(name, type_name, rest_is_mapped=rest_is_mapped) else lookup(name, type_name)
        try:
            columns.append(Column(name, type_name, source))
        except ConfigurationError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigurationError(problems)
    return Table(tuple(columns))


def lookup(column: str, type_name: str = "string") -> Source:
    """Return the source of a column by its name: a field of a type that fits, or else the extras that it may mean.

    >>> lookup("TimeGenerated"), lookup("ThreadName"), lookup("DurationMs").names
    ('time', 'thread_name', ('DurationMs', 'duration_ms', 'durationMs', 'durationms'))
    """
    for known in DEFAULT:
        if known.name == column and known.source != "*" and _can_fill(known.type, type_name):
            return known.source
    snake = _WORD_START.sub("_", column).lower()
    names = tuple(dict.fromkeys((column, snake, column[:1].lower() + column[1:], column.lower())))
    if not _can_fill(FIELD_TYPES.get(snake), type_name):
        return Extra(names)
    return Extra(names, field=snake) if snake in YIELDING_FIELDS else snake


def _can_fill(field_type: str | None, column_type: str) -> bool:
    """Return whether a field's values can fill a column: text takes any value, a number column any number."""
    if field_type is None:
        return False
    are_numbers = field_type in _NUMBERS and column_type in _NUMBERS
    return column_type in {"string", field_type} or are_numbers


def _takes_rest(name: str, type_name: str, *, rest_is_mapped: bool) -> bool:
    return name == "Properties" and type_name == "dynamic" and not rest_is_mapped
