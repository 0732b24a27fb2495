"""Encode the ordinary event dict in one step: a text event, a time, a level, a logger, and keys of the caller's own.

An event with any other key for a field (an exception, a call site, a message under another name) goes to the fallback.
The rules are those of `record`.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any

from ..._config.service_limits import MAX_VALUE_BYTES
from .. import levels
from ..column_cache import MAX_CACHED
from ..jsonable import hazard_in
from ..layout import Layout
from ..read_event import EVENT_KEYS, STRUCTLOG_PRIVATE
from ..timestamps import SecondCache, is_utc_text
from .contract import Caches, EncodeEvent, Fallback
from .extras import make_place_extras
from .tail import TailCache, is_ordinary, make_finish

# The keys that are read here; an event with any other key for a field is not ordinary.
READ = frozenset({"event", "timestamp", "level", "logger"})
SPECIAL = (
    frozenset(key for keys in EVENT_KEYS.values() for key in keys) | STRUCTLOG_PRIVATE | {"positional_args"}
) - READ
_THREAD_FIELDS = frozenset({"process_id", "thread_id", "thread_name"})


# One function, as in `record`.
def make_event_encoder(layout: Layout, caches: Caches, fallback: Fallback) -> EncodeEvent:  # noqa: C901
    """Make the function that encodes the events of a table; `fallback` encodes those that are not ordinary."""
    wanted = layout.wanted
    if not (is_ordinary(layout) and wanted.wants({"time", "level", "logger"}) and {*wanted.thread} <= _THREAD_FIELDS):
        return fallback
    tails = make_tails(layout, caches)
    write_time = SecondCache().write
    time_column, message_column, rest_column, sequence_column = (
        writer.name if writer is not None else ""
        for writer in (layout.times[0], layout.message, layout.rest, layout.sequence)
    )
    place_extras = make_place_extras(layout.extras) if layout.extras else None
    next_number, finish = caches.next_number, make_finish(layout, caches)
    special, thread, ident = SPECIAL, threading.current_thread, threading.get_ident
    longest = MAX_VALUE_BYTES

    def encode(event: Any, method: Any, logger_name: str | None) -> bytes:  # noqa: C901, PLR0912
        number: int | None = None
        try:
            if type(event) is not dict:
                return fallback(event, method, logger_name)
            extras = event.copy()
            message, moment = extras.pop("event", None), extras.pop("timestamp", None)
            level, logger = extras.pop("level", None), extras.pop("logger", None)
            if type(message) is not str or len(message) > longest:
                return fallback(event, method, logger_name)
            for name, value in extras.items():
                if name in special:
                    return fallback(event, method, logger_name)
                kind = type(value)
                if kind is str:
                    if len(value) > longest:
                        return fallback(event, method, logger_name)
                elif kind is not int and kind is not float and hazard_in(value):
                    return fallback(event, method, logger_name)
            if moment is None:
                moment = time.time()
            if type(moment) is float:
                moment = write_time(moment)
            elif not is_utc_text(moment):
                return fallback(event, method, logger_name)
            tail = tails[level, method, logger_name if logger is None else logger, ident(), thread().name]
            row = {time_column: moment, message_column: message}
            rest = extras if place_extras is None else place_extras(row, extras, message)
            if rest is None:
                return fallback(event, method, logger_name)
            if rest and rest_column:
                row[rest_column] = rest
            if sequence_column:
                row[sequence_column] = number = next_number()
            line = finish(row, tail)
            return fallback(event, method, logger_name, number) if line is None else line
        except Exception:  # noqa: BLE001, S110 - the fallback handles whatever has raised
            pass
        # Not in the except clause, as in `record`.
        return fallback(event, method, logger_name, number)

    return encode


def make_tails(layout: Layout, caches: Caches) -> dict[tuple[Any, ...], bytes]:
    """Make a cache of rows' ends by level, method, logger, thread id and thread name."""
    site, thread = layout.wanted.site, layout.wanted.thread
    return _EventTailCache(TailCache(caches.threads, caches.sites, len(site)), (*site, *thread))


class _EventTailCache(dict[tuple[Any, ...], bytes]):
    """Cache the end of a row by the event's level, the method, the logger, and the thread."""

    def __init__(self, tails: TailCache, names: tuple[str, ...]) -> None:
        self._tails = tails
        self._names = names
        # A forked child makes a cache of its own.
        self._process = os.getpid()

    def __missing__(self, key: tuple[Any, ...]) -> bytes:
        level, method, logger, ident, thread = key
        # Cache only by str and None: other values may equal one of another type, or may change.
        if any(type(value) is not str and value is not None for value in (level, method, logger, thread)):
            raise TypeError
        values: dict[str, Any] = {"level": method if level is None else level, "logger": logger}
        levels.complete(values, is_given=level is not None)
        values |= {"process_id": self._process, "thread_id": ident, "thread_name": thread}
        tail = self._tails[tuple(values.get(name) for name in self._names)]
        if len(self) >= MAX_CACHED:
            self.clear()
        self[key] = tail
        return tail
