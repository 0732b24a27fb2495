"""Puts the extras that have columns of their own into a row that is encoded in one call, for `quick` and `quick_event`.

A value that is just what its column takes goes there as it is; any other is encoded by its column first. What takes a
rule to decide (two extras for one column, a value that does not fit) is left to the general way.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from ..layout import ExtraColumns, follow
from ..values import INT_BITS, LONG_BITS

# Puts what has a column into the row and returns the rest; None if that is for the general way to decide.
Spread = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any] | None]

# What a column takes as it is: the type, and the bounds of numbers. What is no number, as NaN, is in no bounds.
_AS_IT_IS: Mapping[str, tuple[type, Any, Any]] = {
    "string": (str, None, None),
    "int": (int, -(1 << INT_BITS), (1 << INT_BITS) - 1),
    "long": (int, -(1 << LONG_BITS), (1 << LONG_BITS) - 1),
    "real": (float, -sys.float_info.max, sys.float_info.max),
    "boolean": (bool, None, None),
}
_NOTHING = (type(None), None, None)


def spreader(columns: ExtraColumns) -> Spread:
    """Make the function for a table's columns."""
    spread = _by_name(columns)
    return _further(columns, spread) if columns.paths or columns.defaults else spread


def _by_name(columns: ExtraColumns) -> Spread:
    places = {
        name: (key.column, key.encode, *_AS_IT_IS.get(key.type, _NOTHING))
        for name, (key, _) in columns.named.items()
        if key is not None
    }
    fragment = orjson.Fragment

    def spread(row: dict[str, Any], extras: dict[str, Any]) -> dict[str, Any] | None:
        rest = {}
        for name, value in extras.items():
            if name not in places:
                rest[name] = value
            elif value is not None:
                column, encode, kind, least, most = places[name]
                if column in row:
                    return None
                if type(value) is kind and (least is None or least <= value <= most):
                    row[column] = value
                else:
                    encoded = encode(value)
                    if encoded is None:
                        return None
                    row[column] = fragment(encoded)
        return rest

    return spread


def _further(columns: ExtraColumns, by_name: Spread) -> Spread:
    """Look into extras, too, where a column's name has dots, and fill in what columns hold otherwise."""
    paths = [(key.column, key.encode, path.split(".")) for key, path in columns.paths]
    # One that does not fit was refused when the table was taken.
    defaults = {key.column: orjson.Fragment(key.encode(value) or b"") for key, value in columns.defaults.items()}

    def spread(row: dict[str, Any], extras: dict[str, Any]) -> dict[str, Any] | None:
        rest = by_name(row, extras)
        for column, encode, path in paths:
            value = None if column in row else follow(extras, path)
            if value is not None:
                encoded = encode(value)
                if encoded is None:
                    return None
                row[column] = orjson.Fragment(encoded)
        for column, default in defaults.items():
            row.setdefault(column, default)
        return rest

    return spread
