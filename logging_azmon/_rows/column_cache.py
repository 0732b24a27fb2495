"""Encodes what changes rarely, once: the columns of a call site or a thread, and the text of a second.

Rules: these are dicts that fill themselves, used by many threads without a lock, key by key. They are cleared when
full, hold only what cannot change, and their keys are the values themselves: nothing that has been changed since is
ever looked up by name or identity.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from types import NoneType
from typing import Any

from ..errors import ConfigurationError
from .jsonable import text
from .layout import Key, Slot

CACHED_PIECES = 1_024
# Longer pieces are encoded anew each time, so that a cache never holds more than 2 MB.
_CACHED_BYTES = 2_048
_LASTING = (str, int, NoneType)
_KNOWN_SECONDS = 16
_LAST_SECOND = 253_402_300_799


class DoesNotFitError(Exception):
    """Say that a site's or thread's value does not fit its column, so that the row must take the long way."""


class Pieces(dict[tuple[Any, ...], bytes]):
    """Remember what the columns of a call site, or of a thread, look like."""

    def __init__(self, prefix: bytes, columns: list[Slot]) -> None:
        self._prefix = prefix
        self._columns = columns

    def __missing__(self, values: tuple[Any, ...]) -> bytes:
        piece = self._prefix + join(
            (key, values[place] if derive is None else derive(values[place])) for key, place, derive in self._columns
        )
        # Only what cannot change, and what is not kept alive by being remembered.
        if len(piece) <= _CACHED_BYTES and all(type(value) in _LASTING for value in values):
            if len(self) >= CACHED_PIECES:
                self.clear()
            self[values] = piece
        return piece


class Seconds(dict[float, str]):
    """Remember how the last few seconds are written, up to the point."""

    def stamp(self, moment: float) -> str:
        """Write a moment as rows have it; what is none, or rounds to the next second, is a ValueError."""
        second = moment // 1
        micros = int((moment - second) * 1_000_000 + 0.5)
        if micros == 1_000_000:
            raise ValueError(moment)
        return f"{self[second]}{micros:06}Z"

    def __missing__(self, second: float) -> str:
        if not 0 < second < _LAST_SECOND:  # -0.5 is second 0, too
            raise ValueError(second)
        if len(self) >= _KNOWN_SECONDS:
            self.clear()
        stamp = self[second] = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))
        return stamp


def join(pairs: Iterable[tuple[Key, Any]]) -> bytes:
    """Encode columns that have a value, each with a comma behind it; what does not fit raises DoesNotFitError."""
    piece = b""
    for key, value in pairs:
        if value is not None:
            encoded = key.encode(value)
            if encoded is None:
                raise DoesNotFitError
            piece += key.json + encoded + b","
    return piece


def numbered(key: Key) -> bytes:
    """Return the form of a column that takes a row's number."""
    # A rule may name a column ``100%``.
    return key.json.replace(b"%", b"%%") + (b'"%d",' if key.type == "string" else b"%d,")


def refuse_misfits(pairs: Iterable[tuple[Key, Any]]) -> None:
    """Refuse values that never fit their columns: they would be missing in every row."""
    problems = [
        f"column {key.column!r}: {text(value)!r} (of type {type(value).__name__}) does not fit its type {key.type!r}"
        for key, value in pairs
        if value is not None and key.encode(value) is None
    ]
    if problems:
        raise ConfigurationError(problems)
