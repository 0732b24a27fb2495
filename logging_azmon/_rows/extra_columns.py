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
    # Columns filled by a path into nested mappings; the outermost mapping itself stays among the rest.
    paths: list[tuple[ColumnWriter, str]] = field(default_factory=list)
    defaults: dict[ColumnWriter, Any] = field(default_factory=dict)

    def add(self, writer: ColumnWriter, source: Extra) -> None:
        """Add a column; of two columns that accept a name, the first takes it."""
        for rank, name in enumerate(source.names):
            self.named.setdefault(name, (writer, rank))
            if "." in name:
                self.paths.append((writer, name))
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
            value = None if writer in filled else follow(extras, path.split("."))
            if value is not None:
                filled[writer] = (path, value)
        return filled, rest


def follow(extras: Mapping[str, Any], path: list[str]) -> Any:
    """Follow a path into nested mappings, and into objects that convert to one: a Django request, a dataclass."""
    node: Any = extras
    for name in path:
        node = node if issubclass(type(node), dict) else simplify(node)
        node = dict.get(node, name) if issubclass(type(node), dict) else None
    return node
