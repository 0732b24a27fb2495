"""Define the interface between an encoder and its fast path."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from ..column_cache import ColumnCache

EncodeRecord = Callable[[logging.LogRecord, logging.Formatter | None], bytes]
# Takes an event dict, the method called, and the bound logger's name.
EncodeEvent = Callable[[Any, Any, str | None], bytes]
# Encodes any record or event. It takes the same arguments as the fast function, and the row's number if one was taken.
Fallback = Callable[..., bytes]


class Caches(NamedTuple):
    """Share an encoder's caches and functions, so that all its paths use one numbering and one set of caches."""

    # Encoded columns by the values of a thread, after the columns that never change.
    threads: ColumnCache
    # Encoded columns by the values of a call site.
    sites: ColumnCache
    # Takes the next row's number.
    next_number: Callable[[], int]
    # Encodes the columns of the current span, with a comma before them.
    encode_spans: Callable[[], bytes]
    # Shortens a row that is too long.
    limit: Callable[[bytes], bytes]
