"""Find the extras that fill columns of their own, by the names and paths that each column accepts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..table import Extra
from .column_writer import ColumnWriter
from .jsonable import simplify

_NO_COLUMN = (None, 0)


@dataclass
class ExtraColumns:
    """Find the columns that extras fill."""

    # By name: the column, and the rank of this name among those that the column accepts.
    named: dict[str, tuple[ColumnWriter | None, int]] = field(default_factory=dict)
    # Columns filled by a path into nested mappings, which stay among the rest without the values that are taken.
    paths: list[tuple[ColumnWriter, list[str]]] = field(default_factory=list)
    defaults: dict[ColumnWriter, Any] = field(default_factory=dict)
    # Columns that take the message's template unless an extra fills them.
    templates: list[ColumnWriter] = field(default_factory=list)

    def add(self, writer: ColumnWriter, source: Extra) -> None:
        """Add a column; of two columns that accept a name, the first takes it."""
        for rank, name in enumerate(source.names):
            self.named.setdefault(name, (writer, rank))
            if "." in name:
                self.paths.append((writer, name.split(".")))
        if source.default is not None:
            self.defaults[writer] = source.default

    def __bool__(self) -> bool:
        return bool(self.named)

    def match(self, extras: Mapping[str, Any]) -> tuple[dict[ColumnWriter, tuple[str, Any]], dict[str, Any]]:
        """Return the name and value that fill each column, and the extras that no column takes."""
        filled: dict[ColumnWriter, tuple[str, Any]] = {}
        ranks: dict[ColumnWriter, int] = {}
        rest: dict[str, Any] = {}
        for name, value in extras.items():
            writer, rank = self.named.get(name, _NO_COLUMN)
            if writer is None:
                rest[name] = value
            elif value is None:
                continue
            elif writer not in filled or rank < ranks[writer]:
                if writer in filled:
                    rest[filled[writer][0]] = filled[writer][1]
                filled[writer], ranks[writer] = (name, value), rank
            else:
                rest[name] = value
        for writer, path in self.paths:
            value = None if writer in filled else follow(extras, path)
            if value is not None:
                filled[writer] = (".".join(path), value)
                remove(rest, path)
        return filled, rest


def follow(extras: Mapping[str, Any], path: list[str]) -> Any:
    """Follow a path into nested mappings, and into objects that convert to one: a Django request, a dataclass."""
    node: Any = extras
    for name in path:
        node = _mapping(node)
        node = None if node is None else dict.get(node, name)
    return node


def remove(rest: dict[str, Any], path: list[str]) -> None:
    """Remove the value at a path, and the mappings that it leaves empty; the caller's own mappings are copied."""
    name, *deeper = path
    if not deeper:
        rest.pop(name, None)
    elif (inner := _mapping(rest.get(name))) is not None:
        rest[name] = inner = dict.copy(inner)
        remove(inner, deeper)
        if not inner:
            del rest[name]


def _mapping(node: Any) -> dict[str, Any] | None:
    node = node if issubclass(type(node), dict) else simplify(node)
    return node if issubclass(type(node), dict) else None
