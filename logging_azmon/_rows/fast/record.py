"""Encodes the ordinary record in one step: a plain LogRecord with a text message, and extras at most.

Nearly all records are like that, and what a log call costs is what these cost. Anything out of the ordinary (a
formatter, an exception, a mapping, an attribute that is missing or odd) takes the general way, which is right for every
record. So the rules are: take nothing for granted, and give up before a misfit is counted. What is given up is begun
anew, with the same number, so an argument's ``__str__`` may be asked twice.

It is one function over local names, because here each further call and each ``self.`` shows. A row is what differs from
record to record (time, message, number, extras), encoded by one call, and then the columns of call site, thread and
process, looked up by their values.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

import orjson

from ..._config.service_limits import MAX_VALUE_BYTES
from ..column_cache import CACHED_PIECES, Pieces, Seconds
from ..fields import LAST_STANDARD, NOT_EXTRA, SITE_FIELDS, STANDARD_COUNT, THREAD_FIELDS
from ..jsonable import OPTIONS
from ..layout import Layout
from ..values import as_dynamic
from .extras import Spread

Record = Callable[[logging.LogRecord, logging.Formatter | None], bytes]
Finish = Callable[[dict[str, Any], bytes], bytes | None]


class Lent(NamedTuple):
    """Hold what an encoder lends: what it remembers, its numbers, how extras find columns, how a row is finished."""

    threads: Pieces
    sites: Pieces
    number: Callable[[], int]
    spread: Spread | None
    finish: Finish


class Otherwise(Protocol):
    """Encode any record, with the row's number if that was taken already."""

    def __call__(
        self, record: logging.LogRecord, formatter: logging.Formatter | None, number: int | None = None
    ) -> bytes:
        """Return the row."""
        ...


_TEXTS = ("string", "dynamic")
# No row may be limited to less (see `batch_bytes`), so shorter ones need not be looked at.
_SURELY_SHORT = 4_096 - 1
_LINE_END = ord("\n")
_THOUSAND = [f"{number:03}" for number in range(1_000)]


def can_be_quick(layout: Layout) -> bool:
    """Tell whether a table's rows have the form that is made here: a time, a message, and a place for the rest."""
    return (
        len(layout.times) == 1
        and layout.times[0].type in ("datetime", *_TEXTS)
        and layout.message is not None
        and not layout.always
        and all(key.type in _TEXTS for key, _ in layout.spans)
        and (layout.rest is None or layout.rest.type == "dynamic")
    )


# In one piece, see above.
def quick(  # noqa: C901
    layout: Layout, lent: Lent, *, otherwise: Otherwise
) -> Record:
    """Make the function that encodes the ordinary records of a table; `otherwise` is asked for all others."""
    reader = layout.reader
    tails = Tails(lent.threads, lent.sites, len(reader.site_fields))
    seconds = Seconds()
    key_of = itemgetter(
        *(SITE_FIELDS[name] for name in reader.site_fields), *(THREAD_FIELDS[name] for name in reader.thread_fields)
    )
    when, said, rest, sequence = (
        key.column if key is not None else "" for key in (layout.times[0], layout.message, layout.rest, layout.sequence)
    )
    # Found faster here than in the module.
    count, spread, finish = lent.number, lent.spread, lent.finish
    plain, thousand, standard, last = logging.LogRecord, _THOUSAND, STANDARD_COUNT, STANDARD_COUNT - 1

    def encode(record: logging.LogRecord, formatter: logging.Formatter | None) -> bytes:  # noqa: C901
        number: int | None = None
        try:
            attributes = record.__dict__
            message = attributes["msg"]
            moment = attributes["created"]
            if (
                formatter is not None
                or type(record) is not plain
                or type(message) is not str
                or type(moment) is not float
                or attributes["exc_info"] is not None
                or attributes["exc_text"] is not None
                or attributes["stack_info"] is not None
            ):
                return otherwise(record, formatter)
            tail = tails[key_of(attributes)]
            second = moment // 1
            micros = int((moment - second) * 1_000_000 + 0.5)
            row: dict[str, Any] = {when: f"{seconds[second]}{thousand[micros // 1_000]}{thousand[micros % 1_000]}Z"}
            names = [*attributes]
            args = attributes["args"]
            # The standard library sets its attributes first, and always in the same order.
            if names[last] != LAST_STANDARD or (type(args) is not tuple and args):
                return otherwise(record, formatter)
            if args:
                message = message % args
            row[said] = message
            extras: dict[str, Any] | None = None
            if len(names) > standard:
                extras = {}
                for name in names[standard:]:
                    extras[name] = attributes[name]
                # Left by another handler's formatter, or by another Python's pickle.
                if "message" in extras or "asctime" in extras or "taskName" in extras:
                    if attributes["args"] is None:
                        return otherwise(record, formatter)  # a QueueHandler has put all into the message
                    extras = {name: value for name, value in extras.items() if name not in NOT_EXTRA}
                if "extra" in extras:
                    return otherwise(record, formatter)
            if spread is not None and (extras := spread(row, extras or {})) is None:
                return otherwise(record, formatter)
            if extras and rest:
                row[rest] = extras
            if sequence:
                row[sequence] = number = count()
            line = finish(row, tail)
            return otherwise(record, formatter, number) if line is None else line
        except Exception:  # noqa: BLE001 - whatever it was, the general way knows what to do
            return otherwise(record, formatter, number)

    return encode


def finisher(layout: Layout, *, spans: Callable[[], bytes], limited: Callable[[bytes], bytes]) -> Finish:
    """Make the function that encodes what differs in a row, and appends the rest; None if a value is too long for it.

    It is given the columns that differ, and how the row ends. `spans` encodes the current span; `limited` shrinks long
    rows.
    """
    has_spans = bool(layout.spans)
    rest = layout.rest.column if layout.rest is not None else ""
    dumps, modules = orjson.dumps, sys.modules

    def finish(row: dict[str, Any], tail: bytes) -> bytes | None:
        try:
            body = dumps(row, None, OPTIONS)
        except TypeError:
            body = b"null"
        # A null may stand for NaN, which is to be seen; a line has one end. (`in` would take bytes for a number first,
        # and raise an error in vain.)
        if body.find(b"null") >= 0 or _LINE_END in body:
            if rest in row:
                row[rest] = orjson.Fragment(as_dynamic(row[rest]))
            body = dumps(row)
        line = body[:-1] + tail
        if has_spans and "opentelemetry.trace" in modules:
            line = b"%b%b}\n" % (line[:-2], spans())
        if len(line) < _SURELY_SHORT:
            return line
        return limited(line) if len(body) <= MAX_VALUE_BYTES else None

    return finish


class Tails(dict[tuple[Any, ...], bytes]):
    """Remember what rows of a call site and a thread end with."""

    def __init__(self, threads: Pieces, sites: Pieces, split: int) -> None:
        self._threads = threads
        self._sites = sites
        self._split = split

    def __missing__(self, values: tuple[Any, ...]) -> bytes:
        site, thread = values[: self._split], values[self._split :]
        columns = self._threads[thread] + self._sites[site]
        tail = b",%b}\n" % columns[:-1] if columns else b"}\n"
        if site in self._sites and thread in self._threads:  # else it is too large, or may change
            if len(self) >= CACHED_PIECES:
                self.clear()
            self[values] = tail
        return tail
