"""Encodes the ordinary event dict in one step, as `quick` does with records: a text event, a time, and keys of its own.

What has a meaning of its own beside these (an exception, a call site, a message under another name) takes the general
way. The rules are those of `quick`.
"""

from __future__ import annotations

import datetime as dt
import os
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from .. import levels
from ..column_cache import CACHED_PIECES, Seconds
from ..fields import EVENT_KEYS, STRUCTLOG_PRIVATE
from ..layout import Layout
from .record import Lent, Tails

# The four that are read here; whatever else stands for a field is not ordinary.
_READ = frozenset({"event", "timestamp", "level", "logger"})
_SPECIAL = (
    frozenset(key for keys in EVENT_KEYS.values() for key in keys) | STRUCTLOG_PRIVATE | {"positional_args"}
) - _READ
_THREAD_FIELDS = frozenset({"process_id", "thread_id", "thread_name"})
# A time as TimeStamper(fmt="iso") writes it.
_ISO_LENGTH = len("2026-01-31T23:59:59.123456Z")


Event = Callable[[Any, Any, str | None], bytes]


class OtherwiseEvent(Protocol):
    """Encode any event dict, with the row's number if that was taken already."""

    def __call__(self, event: Any, method: Any, logger_name: str | None, number: int | None = None, /) -> bytes:
        """Return the row."""
        ...


def can_events_be_quick(layout: Layout) -> bool:
    """Tell whether a table takes all that is read here, and asks for nothing else."""
    return layout.reader.wants({"time", "level", "logger"}) and {*layout.reader.thread_fields} <= _THREAD_FIELDS


# In one piece, as `quick`.
def quick_event(layout: Layout, lent: Lent, *, otherwise: OtherwiseEvent) -> Event:  # noqa: C901
    """Make the function that encodes the ordinary events of a table; `otherwise` is asked for all others."""
    reader = layout.reader
    names = (*reader.site_fields, *reader.thread_fields)
    tails = _EventTails(Tails(lent.threads, lent.sites, len(reader.site_fields)), names)
    stamp = Seconds().stamp
    when, said, rest, sequence = (
        key.column if key is not None else "" for key in (layout.times[0], layout.message, layout.rest, layout.sequence)
    )
    count, spread, finish = lent.number, lent.spread, lent.finish
    special, thread, ident = _SPECIAL, threading.current_thread, threading.get_ident

    def encode(event: Any, method: Any, logger_name: str | None) -> bytes:
        number: int | None = None
        try:
            if type(event) is not dict:
                return otherwise(event, method, logger_name)
            extras = event.copy()
            message, moment = extras.pop("event", None), extras.pop("timestamp", None)
            level, logger = extras.pop("level", None), extras.pop("logger", None)
            if type(message) is not str or not special.isdisjoint(extras):
                return otherwise(event, method, logger_name)
            if moment is None:
                moment = time.time()
            if type(moment) is float:
                moment = stamp(moment)
            elif not _is_written_so(moment):
                return otherwise(event, method, logger_name)
            tail = tails[level, method, logger_name if logger is None else logger, ident(), thread().name]
            row = {when: moment, said: message}
            left = extras if spread is None else spread(row, extras)
            if left is None:
                return otherwise(event, method, logger_name)
            if left and rest:
                row[rest] = left
            if sequence:
                row[sequence] = number = count()
            line = finish(row, tail)
            return otherwise(event, method, logger_name, number) if line is None else line
        except Exception:  # noqa: BLE001 - whatever it was, the general way knows what to do
            return otherwise(event, method, logger_name, number)

    return encode


def _is_written_so(moment: Any) -> bool:
    """Tell whether this is a time in UTC as rows have it; what is none raises a ValueError."""
    return (
        type(moment) is str
        and len(moment) == _ISO_LENGTH
        and f"{moment[4]}{moment[7]}{moment[10]}{moment[13]}{moment[19]}{moment[26]}" == "--T:.Z"
        and dt.datetime.fromisoformat(moment).tzinfo is not None
    )


class _EventTails(dict[tuple[Any, ...], bytes]):
    """Remember what rows end with, by the level as it was given, the method, the logger, and the thread."""

    def __init__(self, tails: Tails, names: tuple[str, ...]) -> None:
        self._tails = tails
        self._names = names
        # A forked child makes another.
        self._process = os.getpid()

    def __missing__(self, given: tuple[Any, ...]) -> bytes:
        level, method, logger, ident, thread = given
        # Nothing that is equal to something else, or may change.
        if any(type(value) is not str and value is not None for value in (level, method, logger, thread)):
            raise TypeError
        values: dict[str, Any] = {"level": method if level is None else level, "logger": logger}
        levels.complete(values, is_given=level is not None)
        values |= {"process_id": self._process, "thread_id": ident, "thread_name": thread}
        tail = self._tails[tuple(values.get(name) for name in self._names)]
        if len(self) >= CACHED_PIECES:
            self.clear()
        self[given] = tail
        return tail
