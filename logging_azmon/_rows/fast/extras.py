"""Place the extras that have columns of their own into a row that is encoded in one step.

A value of exactly the column's type is placed as it is; the column encodes any other value first. A case that needs a
rule (two extras for one column, a value that does not fit) is left to the fallback.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from ..._config.service_limits import MAX_VALUE_BYTES
from ..extra_columns import ExtraColumns, follow, remove
from ..values import INT_BITS, LONG_BITS

# Places extras and the message's template into the row and returns the rest, or None if the fallback must decide.
PlaceExtras = Callable[[dict[str, Any], dict[str, Any], str], dict[str, Any] | None]

# The values that a column takes as they are: their type, and the bounds of numbers. NaN is within no bounds.
_UNCHANGED: Mapping[str, tuple[type, Any, Any]] = {
    "string": (str, None, None),
    "int": (int, -(1 << INT_BITS), (1 << INT_BITS) - 1),
    "long": (int, -(1 << LONG_BITS), (1 << LONG_BITS) - 1),
    "real": (float, -sys.float_info.max, sys.float_info.max),
    "boolean": (bool, None, None),
}
_NO_VALUE = (type(None), None, None)


def make_place_extras(columns: ExtraColumns) -> PlaceExtras:
    """Make the function that places extras for a table's columns."""
    place = _by_name(columns)
    is_simple = not (columns.paths or columns.defaults or columns.templates)
    return place if is_simple else _by_path_and_default(columns, place)


def _by_name(columns: ExtraColumns) -> PlaceExtras:
    columns_by_name = {
        name: (writer.name, writer.encode, *_UNCHANGED.get(writer.type, _NO_VALUE))
        for name, (writer, _) in columns.named.items()
        if writer is not None
    }
    fragment = orjson.Fragment

    def place(row: dict[str, Any], extras: dict[str, Any], _: str) -> dict[str, Any] | None:
        rest = {}
        for name, value in extras.items():
            if name not in columns_by_name:
                rest[name] = value
            elif value is not None:
                column, encode, kind, least, most = columns_by_name[name]
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

    return place


def _by_path_and_default(columns: ExtraColumns, place_by_name: PlaceExtras) -> PlaceExtras:
    """Look into nested extras, too, where a column's name has dots, and fill empty columns with field or default."""
    paths = [(writer.name, writer.encode, path) for writer, path in columns.paths]
    templates = [writer.name for writer in columns.templates]
    # Defaults that do not fit were refused when the encoder was made.
    defaults = {writer.name: orjson.Fragment(writer.encode(value) or b"") for writer, value in columns.defaults.items()}

    def place(row: dict[str, Any], extras: dict[str, Any], template: str) -> dict[str, Any] | None:
        rest = place_by_name(row, extras, template)
        if rest is None or len(template) > MAX_VALUE_BYTES:
            return None
        for column, encode, path in paths:
            value = None if column in row else follow(extras, path)
            if value is not None:
                encoded = encode(value)
                if encoded is None:
                    return None
                row[column] = orjson.Fragment(encoded)
                remove(rest, path)
        for column in templates:
            row.setdefault(column, template)
        for column, default in defaults.items():
            row.setdefault(column, default)
        return rest

    return place
