"""Turns fields into a row: one line of JSON, an object whose keys are the table's columns. Never raises.

A row is joined from pieces, each ending in a comma: what never changes was encoded once, what belongs to a thread or a
call site was encoded when that was first seen, and only time, sequence, message and extras are encoded anew.

Rules: an encoder is used by many threads at once and takes no lock. Its caches are dicts that are filled key by key
and cleared when full. An object that logs while it is being encoded finds the encoder in order, because nothing is kept
on it between two steps. Keys are unique: each column is written once, and names are made unique among the rest.
"""

from __future__ import annotations

import datetime as dt
import itertools
import logging
import secrets
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

import orjson

from ..table import Column, Constant, Table
from .column_cache import Pieces, Seconds, join, numbered, refuse_misfits
from .fast.event import Event, can_events_be_quick, quick_event
from .fast.extras import spreader
from .fast.record import Lent, Record, can_be_quick, finisher, quick
from .fields import Fields, merge, span_ids
from .jsonable import readable, text
from .layout import Key, Layout, Slot
from .tracebacks import exception_text
from .values import LENIENT, as_string, datetime_text, fit

# Columns that take the moment as ISO text.
_WRITTEN_TIMES = ("datetime", "string", "dynamic")


class Encoder:
    """Encode the rows of one table in one process."""

    def __init__(self, table: Table, *, max_line_bytes: int, on_misfit: Callable[[], None]) -> None:
        """Prepare for a table; `on_misfit` is told of each value that did not fit its column.

        `record` encodes a LogRecord, with a formatter or None; `event` an event dict; calling the encoder itself,
        whatever has been read.
        """
        self._max_line_bytes = max_line_bytes
        self._on_misfit = on_misfit
        self._layout = layout = Layout.of(table)
        self.reader = layout.reader
        self._message = layout.message.json if layout.message else None
        self._message_is_placed = layout.message is not None or any(key.field == "message" for key, _ in layout.always)
        refuse_misfits(layout.extras.defaults.items())
        self._defaults = join(layout.extras.defaults.items())
        # What a notice of the library's own is written to: some column that takes text.
        self._text = self._message or next(
            (b'"%b":' % c.name.encode() for kind in ("string", "dynamic") for c in table if _takes_text(c, kind)), None
        )
        self._sequence = numbered(layout.sequence) if layout.sequence is not None else None
        self._seconds = Seconds()
        self.renew()

    def renew(self) -> None:
        """Begin a new life: a new instance, rows counted from 0. A forked child does so, too."""
        layout = self._layout
        self.instance = secrets.token_hex(8)
        own = {"host": socket.gethostname(), "instance": self.instance}
        fixed = [(key, s.value if isinstance(s, Constant) else own[s]) for key, s in layout.fixed]
        refuse_misfits(fixed)
        self._fixed = join(fixed)
        self._threads = Pieces(self._fixed, layout.thread)
        self._sites = Pieces(b"", layout.site)
        self._next = itertools.count().__next__
        self.record: Record = self._record
        self.event: Event = self._event
        if can_be_quick(layout):
            spread = spreader(layout.extras) if layout.extras else None
            finish = finisher(layout, spans=self._spans, limited=self._limited)
            lent = Lent(self._threads, self._sites, self._next, spread, finish)
            self.record = quick(layout, lent, otherwise=self._record)
            if can_events_be_quick(layout):
                self.event = quick_event(layout, lent, otherwise=self._event)

    def _record(
        self, record: logging.LogRecord, formatter: logging.Formatter | None, number: int | None = None
    ) -> bytes:
        return self(self.reader.record(record, formatter), number)

    def _event(self, event: Any, method: Any, logger_name: str | None, number: int | None = None) -> bytes:
        return self(self.reader.event(event, method, logger_name), number)

    # In one piece, because a call costs as much as what it would do.
    def __call__(self, fields: Fields, number: int | None = None) -> bytes:  # noqa: C901 - see above
        """Encode one row, with a number that was taken before if there is one."""
        moment, site, thread, message, exception, stack, extras, _ = fields
        layout = self._layout
        # What could not go to its column, under the name it came by.
        left: dict[str, Any] | None = None
        try:
            parts = [self._threads[thread], self._sites[site]]
        except Exception:  # noqa: BLE001 - an unhashable or unfitting value, set by hand
            parts, left = [self._fixed], {}
            self._spell(parts, layout.thread, thread, left)
            self._spell(parts, layout.site, site, left)

        if layout.times:
            left = self._put_time(parts, moment, left)
        if self._sequence is not None:
            parts.append(self._sequence % (self._next() if number is None else number))

        if extras is not None:
            if layout.extras:
                left = self._put_extras(parts, extras, left)
            elif layout.rest is not None:
                left = merge(left, extras) if left else extras
        elif self._defaults:
            parts.append(self._defaults)
        if exception is not None:
            left = self._put_exception(parts, exception, left)
        if stack is not None or layout.always or self._message is None:
            left = self._put_rare(parts, fields, left)
        if layout.spans and "opentelemetry.trace" in sys.modules:
            left = self._put_spans(parts, left)
        if left:
            message = self._put_rest(parts, left, message)
        if message is not None and self._message is not None:
            parts += (self._message, as_string(message), b",")

        return self._limited(b"{%b}\n" % b"".join(parts)[:-1])

    def _limited(self, line: bytes) -> bytes:
        return line if len(line) <= self._max_line_bytes else shrink(line, self._max_line_bytes)

    def notice(self, message: str, level: str, number: int) -> bytes:
        """Encode a row of the library's own; its text arrives whatever the table's columns are."""
        values = {"level": level, "level_number": number, "logger": "logging_azmon"}
        site = tuple(values.get(name) for name in self.reader.site_fields)
        thread = (None,) * len(self.reader.thread_fields)
        has_place = self._message is not None or self._layout.rest is not None
        row = self((time.time(), site, thread, message if has_place else None, None, None, None, None))
        if has_place or self._text is None:
            return row
        # The column may be filled already (by the level, say): the notice takes its place.
        return orjson.dumps(orjson.loads(row) | orjson.loads(b"{%b%b}" % (self._text, as_string(message)))) + b"\n"

    def _put_time(self, parts: list[bytes], moment: Any, left: dict[str, Any] | None) -> dict[str, Any] | None:
        """Write the moment; one that cannot be read is kept elsewhere, and the row is stamped now."""
        written = self._stamp(moment) if type(moment) is float else None
        if written is None:
            known = None if moment is None else datetime_text(moment)
            if known is None:
                if moment is not None:
                    self._on_misfit()
                    left = merge({"time": moment}, left)
                known = str(datetime_text(time.time()))
            written = known.encode()
        for key in self._layout.times:
            if key.type in _WRITTEN_TIMES:
                parts.append(b'%b"%b",' % (key.json, written))
            else:
                seconds = dt.datetime.fromisoformat(written.decode()).timestamp()
                left = self._put(parts, key, key.field, seconds if key.type == "real" else int(seconds), left)
        return left

    def _stamp(self, moment: float) -> bytes | None:
        """Write a record's time quickly, if it is an ordinary one."""
        try:
            return self._seconds.stamp(moment).encode()
        except ValueError:
            return None

    def _put_extras(
        self, parts: list[bytes], extras: dict[str, Any], left: dict[str, Any] | None
    ) -> dict[str, Any] | None:
        columns = self._layout.extras
        found, rest = columns.match(extras)
        if self._layout.rest is not None and rest:
            left = merge(left, rest)
        for key, (name, value) in found.items():
            left = self._put(parts, key, name, value, left)
        if self._defaults:
            parts.append(join((key, value) for key, value in columns.defaults.items() if key not in found))
        return left

    def _spans(self) -> bytes:
        """Encode the current span as the middle of a row."""
        parts: list[bytes] = []
        self._put_spans(parts, None)
        joined = b"".join(parts)
        return b"," + joined[:-1] if joined else b""

    def _put_exception(self, parts: list[bytes], exception: Any, left: dict[str, Any] | None) -> dict[str, Any] | None:
        """Write what an exception has columns for; if none of them takes all of it, it is left over as text."""
        is_shown = False
        for key, get in self._layout.exception:
            value = _ask(get, exception)
            left = self._put(parts, key, key.field, value, left)
            is_shown = is_shown or (value is not None and key.field in ("exception", "exceptions"))
        shown = None if is_shown else _ask(exception_text, exception)
        return left if shown is None else merge({"exception": shown}, left)

    def _put_rare(self, parts: list[bytes], fields: Fields, left: dict[str, Any] | None) -> dict[str, Any] | None:
        """Write what few rows have, and columns that must be asked each time."""
        layout = self._layout
        _, _, _, message, _, stack, _, _ = fields
        if stack is not None:
            for key in layout.stack:
                left = self._put(parts, key, key.field, stack, left)
            if not layout.stack:
                left = merge({"stack": stack}, left)
        for key, ask in layout.always:
            left = self._put(parts, key, key.field, _ask(ask, fields), left)
        if not self._message_is_placed and message is not None:
            left = merge({"message": message}, left)
        return left

    def _put_spans(self, parts: list[bytes], left: dict[str, Any] | None) -> dict[str, Any] | None:
        ids = _ask(lambda _: span_ids(), None)
        if type(ids) is tuple:  # else there is no span, or the tracer is broken, which must not cost the row
            for key, index in self._layout.spans:
                left = self._put(parts, key, key.field, ids[index], left)
        return left

    def _put(
        self, parts: list[bytes], key: Key, name: str, value: Any, left: dict[str, Any] | None
    ) -> dict[str, Any] | None:
        """Write one column; a value that does not fit is counted and left over, under the name it came by."""
        if value is None:
            return left
        encoded = key.encode(value)
        if encoded is None:
            self._on_misfit()
            lenient = LENIENT.get(key.type) if self._layout.rest is None else None
            encoded = lenient(value) if lenient is not None else None
        if encoded is None:
            return merge({name: value}, left)
        parts += (key.json, encoded, b",")
        return left

    def _put_rest(self, parts: list[bytes], left: dict[str, Any], message: Any) -> Any:
        """Write what has no column of its own; without a column for it, it joins the message."""
        rest = self._layout.rest
        if rest is not None:
            parts += (rest.json, rest.encode(left) or b"null", b",")
            return message
        said = "" if message is None else text(message)
        # A formatter may have put the traceback into the message already.
        shown = [f"{text(name)}: {shown}" for name, value in left.items() if (shown := text(value)) not in said]
        return "\n".join([said, *shown] if message is not None else shown)

    def _spell(self, parts: list[bytes], pieces: list[Slot], values: tuple[Any, ...], left: dict[str, Any]) -> None:
        for key, place, derive in pieces:
            value = values[place] if derive is None else derive(values[place])
            left |= self._put(parts, key, key.field, value, None) or {}


def shrink(line: bytes, limit: int) -> bytes:
    """Make a row at most so long, the largest values first."""
    return orjson.dumps(fit(orjson.loads(line), limit - 1)) + b"\n"


def _takes_text(column: Column, kind: str) -> bool:
    return column.type == kind and not isinstance(column.source, Constant)


def _ask(get: Callable[[Any], Any], subject: Any) -> Any:
    """Ask a source for its value; what it raises is the value, so that it can be seen."""
    try:
        return get(subject)
    except Exception as error:  # noqa: BLE001 - a column's callable or an exception's __str__ must not cost the row
        return readable(error)
