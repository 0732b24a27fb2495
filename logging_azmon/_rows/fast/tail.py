"""Finish a row that is encoded in one step: encode the columns that differ from row to row, and append the others.

Rules: a `TailCache` is filled by many threads without a lock, key by key, and cleared when full.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import orjson

from ..._config.service_limits import MAX_VALUE_BYTES
from ..column_cache import MAX_CACHED, ColumnCache
from ..jsonable import OPTIONS
from ..layout import TEXT_TYPES, Layout
from ..values import as_dynamic
from .contract import Caches

# Takes the columns that differ and the encoded end of the row; returns None if a value may be too long.
Finish = Callable[[dict[str, Any], bytes], bytes | None]

# No table limits rows to fewer bytes (see `batch_bytes`), so a shorter row need not be checked.
ALWAYS_SHORT = 4_096 - 1


def is_ordinary(layout: Layout) -> bool:
    """Return whether a table's rows can be encoded in one step: they have one time, a message, and dynamic extras."""
    return (
        len(layout.times) == 1
        and layout.times[0].type in ("datetime", *TEXT_TYPES)
        and layout.message is not None
        and not layout.always
        and (layout.sequence is None or layout.sequence.type != "string")
        and all(writer.type in TEXT_TYPES for writer, _ in layout.spans)
        and (layout.rest is None or layout.rest.type == "dynamic")
    )


def make_finish(layout: Layout, caches: Caches) -> Finish:
    """Make the function that finishes the rows of a table."""
    has_spans = bool(layout.spans)
    rest = layout.rest.name if layout.rest is not None else ""
    encode_spans, limit = caches.encode_spans, caches.limit
    dumps, modules = orjson.dumps, sys.modules

    def finish(row: dict[str, Any], tail: bytes) -> bytes | None:
        try:
            body = dumps(row, None, OPTIONS)
        except TypeError:
            body = b"null"
        # A null may stand for NaN, which must stay visible. (`in` would first try bytes as a number, and raise and
        # discard an error.)
        if body.find(b"null") >= 0:
            if rest in row:
                row[rest] = orjson.Fragment(as_dynamic(row[rest]))
            body = dumps(row)
        line = body[:-1] + tail
        trace = modules.get("opentelemetry.trace") if has_spans else None
        # Asked here, too, because encoding the ids of no span costs a tenth of a log call.
        if trace is not None and trace.get_current_span() is not trace.INVALID_SPAN:
            line = b"%b%b}\n" % (line[:-2], encode_spans())
        if len(line) < ALWAYS_SHORT:
            return line
        return limit(line) if len(body) <= MAX_VALUE_BYTES else None

    return finish


class TailCache(dict[tuple[Any, ...], bytes]):
    """Cache the end of a row by the values of its call site and thread."""

    def __init__(self, threads: ColumnCache, sites: ColumnCache, split: int) -> None:
        self._threads = threads
        self._sites = sites
        self._split = split

    def __missing__(self, values: tuple[Any, ...]) -> bytes:
        site, thread = values[: self._split], values[self._split :]
        columns = self._threads[thread] + self._sites[site]
        tail = b",%b}\n" % columns[:-1] if columns else b"}\n"
        # Columns that the column caches did not keep are too long, or may change.
        if site in self._sites and thread in self._threads:
            if len(self) >= MAX_CACHED:
                self.clear()
            self[values] = tail
        return tail
