"""Reads a data collection rule: which streams it declares, and the table that a stream's columns make.

The rule is the truth about names and types; where each value comes from is looked up by the column's name. Accepted
are the REST form, the output of ``az monitor data-collection rule show``, and an ARM template that contains the rule.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError
from ..table import FIELD_TYPES, Column, Extra, Source, Table
from .presets import DEFAULT

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

Streams = Mapping[str, Mapping[str, str]]


def read_streams(dcr: str | Path | Mapping[str, Any]) -> Streams:
    """Return the declared streams, each as column name to type, from a file or a document."""
    if isinstance(dcr, Mapping):
        return _streams(dcr, "the given mapping")
    if not isinstance(dcr, str | Path):
        raise ConfigurationError(
            [f"dcr={dcr!r} is not accepted; give the path of a JSON file or the rule as a mapping"]
        )
    try:
        content = Path(dcr).read_bytes()
    except (OSError, ValueError) as error:  # a NUL in the path is a ValueError
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError([f"dcr={str(dcr)!r} cannot be read: {reason}"]) from error
    try:
        document = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ConfigurationError([f"dcr={str(dcr)!r} is not JSON: {error}"]) from error
    return _streams(document, repr(str(dcr)))


def table_of(stream: Mapping[str, str], sources: Mapping[str, Source]) -> Table:
    """Build the table of a declared stream; `sources` says what fills the columns it names, the rest is looked up."""
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
    """Find what fills a column of this name: a field that fits the type, or else the extras it could stand for.

    >>> lookup("TimeGenerated"), lookup("ThreadName"), lookup("DurationMs")
    ('time', 'thread_name', Extra(names=('DurationMs', 'duration_ms', 'durationMs', 'durationms'), default=None))
    """
    for known in DEFAULT:
        if known.name == column and known.source != "*" and _fits(known.type, type_name):
            return known.source
    snake = _WORD_START.sub("_", column).lower()
    if _fits(FIELD_TYPES.get(snake), type_name):
        return snake
    return Extra(tuple(dict.fromkeys((column, snake, column[:1].lower() + column[1:], column.lower()))))


def _fits(field: str | None, column: str) -> bool:
    """Tell whether a field of one type can fill a column of another: text takes all, a number each other number."""
    numbers = ("int", "long", "real")
    return field is not None and (column in {"string", field} or (field in numbers and column in numbers))


def _takes_rest(name: str, type_name: str, *, rest_is_mapped: bool) -> bool:
    return name == "Properties" and type_name == "dynamic" and not rest_is_mapped


def _streams(document: Any, where: str) -> Streams:
    streams: dict[str, dict[str, str]] = {}
    try:
        found = list(_declarations(document))
    except RecursionError as error:
        raise ConfigurationError([f"dcr: {where} is nested too deeply for a rule"]) from error
    for declarations in found:
        for stream, declared in declarations.items():
            columns = declared.get("columns") if isinstance(declared, Mapping) else None
            if not isinstance(columns, list) or not all(_is_column(column) for column in columns):
                raise ConfigurationError(
                    [f"dcr: stream {stream!r} in {where} has no list of columns, each with a name and a type"]
                )
            # Rules written by hand spell "dateTime" as often as "datetime"; the service reads both.
            streams[stream] = {column["name"]: column["type"].lower() for column in columns}
    if not streams:
        raise ConfigurationError([f"dcr: {where} holds no streamDeclarations, so it names no columns"])
    return streams


def _is_column(column: object) -> bool:
    return isinstance(column, Mapping) and isinstance(column.get("name"), str) and isinstance(column.get("type"), str)


def _declarations(node: object) -> Iterator[Mapping[str, Any]]:
    """Walk a document for stream declarations, wherever the form at hand keeps them."""
    if isinstance(node, Mapping):
        found = node.get("streamDeclarations")
        if isinstance(found, Mapping):
            yield found
        for key, value in node.items():
            if key != "streamDeclarations":
                yield from _declarations(value)
    elif isinstance(node, list):
        for value in node:
            yield from _declarations(value)
