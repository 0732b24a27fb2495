"""Cache the encoded columns of call sites and of threads, whose values rarely change.

Rules: a cache is a dict that many threads fill without a lock, key by key, and that is cleared when full. Its keys are
the values themselves, all of them immutable, so an entry is never stale.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import NoneType
from typing import Any

from ..errors import ConfigurationError
from .column_writer import ColumnWriter
from .jsonable import text
from .layout import Slot

MAX_CACHED = 1_024
# Longer columns are encoded each time, so that a cache never holds more than 2 MB.
_MAX_CACHED_BYTES = 2_048
_IMMUTABLE = (str, int, NoneType)


class DoesNotFitError(Exception):
    """Signal that the value of a site or thread does not fit its column, so the encoder must place it elsewhere."""


class ColumnCache(dict[tuple[Any, ...], bytes]):
    """Encode the columns of a call site or of a thread by its values, and cache them."""

    def __init__(self, prefix: bytes, slots: list[Slot]) -> None:
        self._prefix = prefix
        self._slots = slots

    def __missing__(self, values: tuple[Any, ...]) -> bytes:
        columns = self._prefix + join_columns(
            (writer, values[position] if derive is None else derive(values[position]))
            for writer, position, derive in self._slots
        )
        # Only values of immutable types, which the cache may keep alive.
        if len(columns) <= _MAX_CACHED_BYTES and all(type(value) in _IMMUTABLE for value in values):
            if len(self) >= MAX_CACHED:
                self.clear()
            self[values] = columns
        return columns

    def __repr__(self) -> str:
        names = ", ".join(slot.writer.name for slot in self._slots)
        return f"<{type(self).__name__} of [{names}]: {len(self)} of {MAX_CACHED} entries>"


def join_columns(pairs: Iterable[tuple[ColumnWriter, Any]]) -> bytes:
    """Encode the columns that have a value, each followed by a comma; raise DoesNotFitError for a misfit."""
    columns = b""
    for writer, value in pairs:
        if value is not None:
            encoded = writer.encode(value)
            if encoded is None:
                raise DoesNotFitError
            columns += writer.json + encoded + b","
    return columns


def sequence_template(writer: ColumnWriter) -> bytes:
    """Return the column of a row's number as a template for ``%``."""
    # A rule may name a column ``100%``.
    return writer.json.replace(b"%", b"%%") + (b'"%d",' if writer.type == "string" else b"%d,")


def refuse_misfits(pairs: Iterable[tuple[ColumnWriter, Any]]) -> None:
    """Raise ConfigurationError for constants that do not fit their columns: they would be missing in every row."""
    problems = [
        f"column {writer.name!r}: {text(value)!r} (of type {type(value).__name__}) does not fit its type"
        f" {writer.type!r}"
        for writer, value in pairs
        if value is not None and writer.encode(value) is None
    ]
    if problems:
        raise ConfigurationError(problems)
