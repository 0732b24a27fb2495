"""Encodes the ordinary record in one step: a plain LogRecord with a text message, and extras at most.

Nearly all records are like that, and what a log call costs is what these cost. Anything out of the ordinary (a
formatter, an exception, a mapping, an attribute that is missing or odd) takes the general way, which is right for every
record. So the rules are: take nothing for granted, and give up before a number is taken or a misfit counted. What is
given up is begun anew, so an argument's ``__str__`` may be asked twice.

It is one function over local names, because here each further call and each ``self.`` shows. A row is put together from

    head      the columns of process, thread and call site, looked up by their values
    number    the row's
    start     the moment up to the point, looked up by the second
    micros    the rest of it
    middle    the extras
    encoded   the message
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from operator import itemgetter
from typing import Any

import orjson

from .fields import LAST_STANDARD, NOT_EXTRA, SITE_FIELDS, STANDARD_COUNT, THREAD_FIELDS
from .layout import Layout
from .pieces import CACHED_PIECES, Pieces, Seconds, escaped, numbered
from .readable import OPTIONS
from .values import MAX_VALUE_BYTES, as_dynamic, as_string

Record = Callable[[logging.LogRecord, logging.Formatter | None], bytes]

_TEXTS = ("string", "dynamic")
# No row may be limited to less (see `batch_bytes`), so shorter ones need not be looked at.
_SURELY_SHORT = 4_096 - 1


def can_be_quick(layout: Layout) -> bool:
    """Tell whether a table's rows have the form that is made here: a time, a message, and a place for the rest."""
    return (
        len(layout.times) == 1
        and layout.times[0].type in ("datetime", *_TEXTS)
        and layout.message is not None
        and not layout.always
        and all(key.type in _TEXTS for key, _ in layout.spans)
        and (not layout.extras if layout.rest is None else layout.rest.type == "dynamic")
    )


# In one piece, see above.
def quick(  # noqa: C901, PLR0915
    layout: Layout,
    *,
    threads: Pieces,
    sites: Pieces,
    count: Callable[[], int],
    more: Callable[[dict[str, Any] | None], bytes],
    spans: Callable[[], bytes],
    limited: Callable[[bytes], bytes],
    otherwise: Record,
) -> Record:
    """Make the function that encodes the ordinary records of a table; `otherwise` is asked for all others.

    `more` encodes extras where they have columns of their own, `spans` the current span; `limited` shrinks long rows.
    """
    reader = layout.reader
    heads = _Heads(threads, sites, len(reader.site_fields))
    seconds = Seconds(b"")
    key_of = itemgetter(
        *(SITE_FIELDS[name] for name in reader.site_fields), *(THREAD_FIELDS[name] for name in reader.thread_fields)
    )
    has_columns, has_spans = bool(layout.extras), bool(layout.spans)
    has_rest = layout.rest is not None and not has_columns
    bare, full, mixed = _forms(layout)
    number: Callable[[], int | bytes] = count if layout.sequence is not None else bytes
    # Found faster here than in the module.
    dumps, modules, plain, standard = orjson.dumps, sys.modules, logging.LogRecord, STANDARD_COUNT

    def encode(record: logging.LogRecord, formatter: logging.Formatter | None) -> bytes:  # noqa: C901, PLR0912
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
            head = heads[key_of(attributes)]
            second = int(moment)
            start = seconds[second]
            micros = int((moment - second) * 1_000_000 + 0.5)
            names = [*attributes]
            # The standard library sets its attributes first, and always in the same order.
            if names[standard - 1] != LAST_STANDARD or micros == 1_000_000:
                return otherwise(record, formatter)
            extras: dict[str, Any] | None = None
            if len(names) > standard:
                extras = {}
                for name in names[standard:]:
                    extras[name] = attributes[name]
                # Left by another handler's formatter, or by another Python's pickle.
                if "message" in extras or "asctime" in extras or "taskName" in extras:
                    extras = {name: value for name, value in extras.items() if name not in NOT_EXTRA}
                if "extra" in extras:
                    return otherwise(record, formatter)
            args = attributes["args"]
            if args:
                if type(args) is not tuple:
                    return otherwise(record, formatter)
                message = message % args
            encoded = dumps(message)
            if len(encoded) > MAX_VALUE_BYTES:
                encoded = as_string(message)
            middle = None
            if extras and has_rest:
                try:
                    middle = dumps(extras, None, OPTIONS)
                except TypeError:
                    middle = as_dynamic(extras)
                # A null may stand for NaN, which is to be seen; a line has one end.
                if len(middle) > MAX_VALUE_BYTES or b"null" in middle or b"\n" in middle:
                    middle = as_dynamic(extras)
        except Exception:  # noqa: BLE001 - whatever it was, the general way knows what to do
            return otherwise(record, formatter)
        if middle is not None:
            line = full % (head, number(), start, micros, middle, encoded)
        elif has_columns:
            line = mixed % (head, number(), start, micros, more(extras), encoded)
        else:
            line = bare % (head, number(), start, micros, encoded)
        if has_spans and "opentelemetry.trace" in modules:
            line = b"%b%b}\n" % (line[:-2], spans())
        return line if len(line) < _SURELY_SHORT else limited(line)

    return encode


def _forms(layout: Layout) -> tuple[bytes, bytes, bytes]:
    """Write down the forms of rows without extras, with extras for one column, and with extras for several."""
    number = numbered(layout.sequence) if layout.sequence is not None else b"%b"
    start = b"{%b" + number + escaped(layout.times[0]) + b'"%b%06dZ"'
    end = b"," + (escaped(layout.message) if layout.message is not None else b"") + b"%b}\n"
    rest = escaped(layout.rest) if layout.rest is not None else b""
    return start + end, start + b"," + rest + b"%b" + end, start + b"%b" + end


class _Heads(dict[tuple[Any, ...], bytes]):
    """Remember what rows of a call site and a thread begin with."""

    def __init__(self, threads: Pieces, sites: Pieces, split: int) -> None:
        self._threads = threads
        self._sites = sites
        self._split = split

    def __missing__(self, values: tuple[Any, ...]) -> bytes:
        site, thread = values[: self._split], values[self._split :]
        head = self._threads[thread] + self._sites[site]
        if site in self._sites and thread in self._threads:  # else it is too large, or may change
            if len(self) >= CACHED_PIECES:
                self.clear()
            self[values] = head
        return head
