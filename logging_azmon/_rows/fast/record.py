"""Encode the ordinary record in one step: a plain LogRecord with a text message, its arguments, exception and extras.

Nearly all records are ordinary, so this path decides what a log call costs. Anything else (a formatter, a mapping as
message, text that is too long, an attribute that is missing or odd) goes to the fallback, which can encode every
record. This path checks everything that it relies on, and falls back before a misfit is counted. The fallback starts
again with the same number, so the ``__str__`` of an argument may be called twice.

The encoder is one function over local variables, because each further call and attribute lookup costs time. It encodes
the columns that differ from record to record (time, message, number, extras) in one call, and appends the columns of
call site, thread and process, which it looks up by their values.
"""

from __future__ import annotations

import logging
from operator import itemgetter
from typing import Any

from ..._config.service_limits import MAX_VALUE_BYTES
from ..fields import SITE_FIELDS, THREAD_FIELDS
from ..jsonable import hazard_in
from ..layout import Layout
from ..record_extras import COLOURED, LAST_STANDARD, NOT_EXTRA, STANDARD_COUNT
from ..timestamps import SecondCache
from .contract import Caches, EncodeRecord, Fallback
from .exception import make_place_exception
from .extras import make_place_extras
from .tail import TailCache, is_ordinary, make_finish

# Attributes that another handler's formatter, a pickle from another Python, loguru and uvicorn add.
SPECIAL = NOT_EXTRA | {"extra", COLOURED}
_THREE_DIGITS = [f"{number:03}" for number in range(1_000)]


# One function, for the reason above.
def make_record_encoder(layout: Layout, caches: Caches, fallback: Fallback) -> EncodeRecord:  # noqa: C901, PLR0915
    """Make the function that encodes the records of a table; `fallback` encodes those that are not ordinary."""
    if not is_ordinary(layout):
        return fallback
    wanted = layout.wanted
    tails = TailCache(caches.threads, caches.sites, len(wanted.site))
    seconds = SecondCache()
    key_of = itemgetter(*(SITE_FIELDS[name] for name in wanted.site), *(THREAD_FIELDS[name] for name in wanted.thread))
    time_column, message_column, rest_column, sequence_column = (
        writer.name if writer is not None else ""
        for writer in (layout.times[0], layout.message, layout.rest, layout.sequence)
    )
    place_extras = make_place_extras(layout.extras) if layout.extras else None
    place_exception = make_place_exception(layout)
    # Local variables are faster than globals and attributes.
    next_number, finish = caches.next_number, make_finish(layout, caches)
    plain, digits, standard, last = logging.LogRecord, _THREE_DIGITS, STANDARD_COUNT, STANDARD_COUNT - 1
    special, longest = SPECIAL, MAX_VALUE_BYTES

    def encode(record: logging.LogRecord, formatter: logging.Formatter | None) -> bytes:  # noqa: C901, PLR0912
        number: int | None = None
        try:
            attributes = record.__dict__
            message = template = attributes["msg"]
            moment = attributes["created"]
            exception = attributes["exc_info"]
            if (
                formatter is not None
                or type(record) is not plain
                or type(message) is not str
                or type(moment) is not float
                or (exception is None and attributes["exc_text"] is not None)
                or attributes["stack_info"] is not None
            ):
                return fallback(record, formatter)
            tail = tails[key_of(attributes)]
            second = moment // 1
            # If this rounds up to a million, `digits` raises IndexError, and the fallback writes the next second.
            micros = int((moment - second) * 1_000_000 + 0.5)
            row: dict[str, Any] = {time_column: f"{seconds[second]}{digits[micros // 1_000]}{digits[micros % 1_000]}Z"}
            names = [*attributes]
            args = attributes["args"]
            # The standard library sets its attributes first, and always in the same order.
            if names[last] != LAST_STANDARD or (type(args) is not tuple and args):
                return fallback(record, formatter)
            if args:
                message = message % args
            if len(message) > longest:
                return fallback(record, formatter)
            row[message_column] = message
            if exception is not None and (exception := place_exception(row, exception)) is None:
                return fallback(record, formatter)
            extras: dict[str, Any] | None = None
            if len(names) > standard:
                extras = {}
                for name in names[standard:]:
                    if name in special:
                        # A QueueHandler has put everything into the message, loguru into one extra.
                        if args is None or name not in NOT_EXTRA:
                            return fallback(record, formatter)
                        continue
                    value = extras[name] = attributes[name]
                    kind = type(value)
                    if kind is str:
                        if len(value) > longest:
                            return fallback(record, formatter)
                    elif kind is not int and kind is not float and hazard_in(value):
                        return fallback(record, formatter)
            if place_extras is not None and (extras := place_extras(row, extras or {}, template)) is None:
                return fallback(record, formatter)
            if exception:
                if extras and "exception" in extras:
                    return fallback(record, formatter)
                extras = {"exception": exception, **(extras or {})}
            if extras and rest_column:
                row[rest_column] = extras
            if sequence_column:
                row[sequence_column] = number = next_number()
            line = finish(row, tail)
            return fallback(record, formatter, number) if line is None else line
        except Exception:  # noqa: BLE001, S110 - the fallback handles whatever has raised
            pass
        # Not in the except clause, where exc_info=True would mean our own exception.
        return fallback(record, formatter, number)

    return encode
