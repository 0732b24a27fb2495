"""Encode a row: one line of JSON, an object whose keys are the table's columns. Never raise.

A row is joined from encoded columns, each followed by a comma. Columns that never change are encoded once, those of a
thread or a call site when they are first seen; only time, sequence, message and extras are encoded for each row.

Rules: many threads use an encoder concurrently, and it takes no lock. Its caches are dicts that are filled key by key
and cleared when full. It is re-entrant: the state of a row is in local variables only, so an object may log while it is
being encoded. Keys are unique: each column is written once, and names among the rest are made unique.
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
from typing import TYPE_CHECKING, Any

import orjson

from .._config.service_limits import MAX_VALUE_BYTES
from ..table import Column, Constant, Table
from .column_cache import ColumnCache, join_columns, refuse_misfits, sequence_template
from .column_writer import ColumnWriter
from .context import span_ids
from .fast import Caches, EncodeEvent, EncodeRecord, make_event_encoder, make_record_encoder
from .fields import Fields, merge
from .jsonable import convert, text
from .layout import Layout, Slot
from .read_event import EventReader
from .read_record import RecordReader, carries_event, template_text
from .shrink import cut_inside, shrink_row
from .timestamps import SecondCache, utc_text
from .tracebacks import exception_text
from .values import LENIENT, as_datetime, as_string

if TYPE_CHECKING:
    from .redaction.redactor import Redactor

# The types of columns that take a time as text; others take it as a number.
_TIME_TEXT_TYPES = ("datetime", "string", "dynamic")
# Values without a column of their own, by the names under which they were logged.
Leftover = dict[str, Any] | None


class Encoder:
    """Encode the rows of one table in one process."""

    # Set by `restart`: the functions that encode a record, and an event dict.
    record: EncodeRecord
    event: EncodeEvent

    def __init__(
        self,
        table: Table,
        *,
        max_line_bytes: int,
        on_misfit: Callable[[], None],
        beside: Encoder | None = None,
        redactor: Redactor | None = None,
    ) -> None:
        """Prepare for a table; `on_misfit` is called for each value that does not fit its column.

        `record` encodes a LogRecord with a formatter or None; `event` encodes an event dict; the encoder itself is
        called with fields that have been read already. An encoder `beside` another is for event dicts alone, and
        numbers its rows together with those of the other. With a `redactor`, nothing is encoded before it is redacted.
        """
        self._max_line_bytes = max_line_bytes
        self._on_misfit = on_misfit
        self._beside = beside
        self._redactor = redactor
        self._layout = layout = Layout.of(table, for_events=beside is not None, redactor=redactor)
        self.event_reader = EventReader(layout.wanted)
        self.record_reader = RecordReader(layout.wanted, self.event_reader)
        self._message = layout.message.json if layout.message else None
        self._message_is_placed = layout.message is not None or any(
            writer.field == "message" for writer, _ in layout.always
        )
        refuse_misfits(layout.extras.defaults.items())
        self._defaults = join_columns(layout.extras.defaults.items())
        # The column that takes the text of a notice: the message column, or else any column that takes text.
        self._notice_text = self._message or next(
            (b'"%b":' % c.name.encode() for kind in ("string", "dynamic") for c in table if _takes_text(c, kind)), None
        )
        self._sequence = sequence_template(layout.sequence) if layout.sequence is not None else None
        self._seconds = SecondCache()
        self._for_events: Encoder | None = None
        self.restart()
        # LogRecord's own names are keys like any other in an event dict, so a table that uses them has two layouts.
        if beside is None and any(isinstance(c.source, str) and c.source != c.field for c in table):
            self._for_events = Encoder(
                table, max_line_bytes=max_line_bytes, on_misfit=on_misfit, beside=self, redactor=redactor
            )
            self.event = self._for_events.event

    def restart(self) -> None:
        """Begin again, here or in a forked child: with a new instance, and rows counted from 0."""
        layout, beside = self._layout, self._beside
        self.instance: str = secrets.token_hex(8) if beside is None else beside.instance
        own = {"host": socket.gethostname(), "instance": self.instance}
        fixed = [(writer, s.value if isinstance(s, Constant) else own[s]) for writer, s in layout.fixed]
        refuse_misfits(fixed)
        self._fixed = join_columns(fixed)
        self._threads = ColumnCache(self._fixed, layout.thread)
        self._sites = ColumnCache(b"", layout.site)
        self.next_number: Callable[[], int] = itertools.count().__next__ if beside is None else beside.next_number
        if self._redactor is None:
            caches = Caches(self._threads, self._sites, self.next_number, self._encode_spans, self._limit)
            self.record = make_record_encoder(layout, caches, self._encode_record)
            self.event = make_event_encoder(layout, caches, self._encode_event)
        else:
            self.record, self.event = self._encode_record, self._encode_event
        if self._for_events is not None:
            self._for_events.restart()
            self.event = self._for_events.event

    def _encode_record(
        self, record: logging.LogRecord, formatter: logging.Formatter | None, number: int | None = None
    ) -> bytes:
        encoder = self if self._for_events is None or not carries_event(record) else self._for_events
        return encoder(encoder.record_reader.read(record, formatter), number)

    def _encode_event(self, event: Any, method: Any, logger_name: str | None, number: int | None = None) -> bytes:
        return self(self.event_reader.read(event, method, logger_name), number)

    # One function, because a further call would cost as much as one of its steps.
    def __call__(self, fields: Fields, number: int | None = None) -> bytes:  # noqa: C901 - see above
        """Encode one row; `number` is its sequence number if one was taken already."""
        moment, site, thread, message, exception, stack, extras, _, template = fields
        layout = self._layout
        leftover: Leftover = None
        try:
            parts = [self._threads[thread], self._sites[site]]
        except Exception:  # noqa: BLE001 - a value that was set by hand is unhashable or does not fit
            parts, leftover = [self._fixed], {}
            self._put_slots(parts, layout.thread, thread, leftover)
            self._put_slots(parts, layout.site, site, leftover)

        if layout.times:
            leftover = self._put_time(parts, moment, leftover)
        if self._sequence is not None:
            parts.append(self._sequence % (self.next_number() if number is None else number))

        if layout.extras and (extras is not None or layout.extras.templates):
            leftover = self._put_extras(parts, extras or {}, template, leftover)
        elif self._defaults:
            parts.append(self._defaults)
        elif extras is not None and layout.rest is not None:
            leftover = merge(leftover, extras) if leftover else extras
        if exception is not None:
            leftover = self._put_exception(parts, exception, leftover)
        if stack is not None or layout.always or self._message is None:
            leftover = self._put_rare(parts, fields, leftover)
        if layout.spans and "opentelemetry.trace" in sys.modules:
            leftover = self._put_spans(parts, leftover)
        if leftover:
            message = self._put_leftover(parts, leftover, message)
        if message is not None and self._message is not None:
            if self._redactor is not None:
                message = self._redactor.string(message)
            parts += (self._message, as_string(message), b",")

        return self._limit(b"{%b}\n" % b"".join(parts)[:-1])

    def notice(self, message: str, level: str, number: int) -> bytes:
        """Encode one of the library's own notices, at a level given by name and number, into any column for text."""
        has_place = self._message is not None or self._layout.rest is not None
        row = self(
            self._layout.wanted.pack(
                {"level": level, "level_number": number, "logger": "logging_azmon"},
                time=time.time(),
                message=message if has_place else None,
            )
        )
        if has_place or self._notice_text is None:
            return row
        # The column may be filled already, by the level, say: the notice replaces that value.
        notice = orjson.loads(b"{%b%b}" % (self._notice_text, as_string(message)))
        return orjson.dumps(orjson.loads(row) | notice) + b"\n"

    def _limit(self, line: bytes) -> bytes:
        return line if len(line) <= self._max_line_bytes else shrink_row(line, self._max_line_bytes)

    def _encode_spans(self) -> bytes:
        """Encode the columns of the current span, with a comma before them."""
        parts: list[bytes] = []
        self._put_spans(parts, None)
        columns = b"".join(parts)
        return b"," + columns[:-1] if columns else b""

    def _put_slots(
        self, parts: list[bytes], slots: list[Slot], values: tuple[Any, ...], leftover: dict[str, Any]
    ) -> None:
        """Write the columns of a site or thread one by one, because they cannot be cached."""
        for writer, position, derive in slots:
            value = values[position] if derive is None else derive(values[position])
            leftover |= self._put(parts, writer, writer.field, value, None) or {}

    def _put_time(self, parts: list[bytes], moment: Any, leftover: Leftover) -> Leftover:
        """Write the time; one that cannot be read becomes a leftover, and the row gets the current time."""
        encoded = self._cached_time(moment) if type(moment) is float else None
        if encoded is None:
            encoded = None if moment is None else as_datetime(moment)
            if encoded is None:
                if moment is not None:
                    self._on_misfit()
                    leftover = merge({"time": moment}, leftover)
                encoded = b'"%b"' % utc_text(dt.datetime.fromtimestamp(time.time(), dt.UTC)).encode()
        for writer in self._layout.times:
            if writer.type in _TIME_TEXT_TYPES:
                parts += (writer.json, encoded, b",")
            else:
                seconds = dt.datetime.fromisoformat(encoded[1:-1].decode()).timestamp()
                leftover = self._put(
                    parts, writer, writer.field, seconds if writer.type == "real" else int(seconds), leftover
                )
        return leftover

    def _cached_time(self, moment: float) -> bytes | None:
        """Encode a time by the cached text of its second; return None if the cache cannot write it."""
        try:
            return b'"%b"' % self._seconds.write(moment).encode()
        except ValueError:
            return None

    def _put_extras(self, parts: list[bytes], extras: dict[str, Any], template: Any, leftover: Leftover) -> Leftover:
        columns = self._layout.extras
        filled, rest = columns.match(extras)
        if self._layout.rest is not None and rest:
            leftover = merge(leftover, rest)
        for writer, (name, value) in filled.items():
            leftover = self._put(parts, writer, name, value, leftover)
        for writer in columns.templates:
            if writer not in filled and template is not None:
                parts += (writer.json, writer.encode(template_text(template)) or b'""', b",")
        if self._defaults:
            parts.append(
                join_columns((writer, value) for writer, value in columns.defaults.items() if writer not in filled)
            )
        return leftover

    def _put_exception(self, parts: list[bytes], exception: Any, leftover: Leftover) -> Leftover:
        """Write the columns of an exception; if none of them holds all of it, its text becomes a leftover."""
        is_complete = False
        for writer, get in self._layout.exception:
            value = _value_or_error(get if get is not exception_text else self._exception_text, exception)
            leftover = self._put(parts, writer, writer.field, value, leftover)
            is_complete = is_complete or (value is not None and writer.field in ("exception", "exceptions"))
        rendered = None if is_complete else _value_or_error(self._exception_text, exception)
        return leftover if rendered is None else merge({"exception": rendered}, leftover)

    def _exception_text(self, exception: Any) -> str:
        """Render an exception; if it is redacted, it is cut only after that."""
        if self._redactor is None:
            return exception_text(exception)
        text_before = exception_text(exception, self._redactor.max_text)
        return cut_inside(self._redactor.text(text_before), MAX_VALUE_BYTES)

    def _put_rare(self, parts: list[bytes], fields: Fields, leftover: Leftover) -> Leftover:
        """Write a stack, which few rows have, and the columns that are computed for each row."""
        layout = self._layout
        _, _, _, message, _, stack, *_ = fields
        if stack is not None:
            for writer in layout.stack:
                leftover = self._put(parts, writer, writer.field, stack, leftover)
            if not layout.stack:
                leftover = merge({"stack": stack}, leftover)
        for writer, compute in layout.always:
            leftover = self._put(parts, writer, writer.field, _value_or_error(compute, fields), leftover)
        if not self._message_is_placed and message is not None:
            leftover = merge({"message": message}, leftover)
        return leftover

    def _put_spans(self, parts: list[bytes], leftover: Leftover) -> Leftover:
        ids = _value_or_error(lambda _: span_ids(), None)
        if type(ids) is tuple:  # otherwise there is no span, or the tracer is broken, which must not cost the row
            for writer, index in self._layout.spans:
                leftover = self._put(parts, writer, writer.field, ids[index], leftover)
        return leftover

    def _put(self, parts: list[bytes], writer: ColumnWriter, name: str, value: Any, leftover: Leftover) -> Leftover:
        """Write one column; a value that does not fit is counted, and becomes a leftover under `name`."""
        if value is None:
            return leftover
        encoded = writer.encode(value)
        if encoded is None:
            self._on_misfit()
            # Beside a star column, where the value has a place as it is, only text is converted: headers and
            # environment variables are text.
            is_tried = self._layout.rest is None or issubclass(type(value), str)
            lenient = LENIENT.get(writer.type) if is_tried else None
            encoded = lenient(value) if lenient is not None else None
        if encoded is None:
            return merge({name: value}, leftover)
        parts += (writer.json, encoded, b",")
        return leftover

    def _put_leftover(self, parts: list[bytes], leftover: dict[str, Any], message: Any) -> Any:
        """Write the leftover to the star column, or append it to the message if there is none; return the message."""
        rest = self._layout.rest
        if rest is not None:
            parts += (rest.json, rest.encode(leftover) or b"null", b",")
            return message
        if self._redactor is not None:
            leftover = self._redactor.value(leftover)
        written = "" if message is None else text(message)
        # A formatter may have put the traceback into the message already.
        lines = [f"{text(name)}: {line}" for name, value in leftover.items() if (line := text(value)) not in written]
        return "\n".join([written, *lines] if message is not None else lines)


def _takes_text(column: Column, kind: str) -> bool:
    return column.type == kind and not isinstance(column.source, Constant)


def _value_or_error(get: Callable[[Any], Any], subject: Any) -> Any:
    """Return the value, or the text of the error that it raised: an error is shown in the row, and never loses it."""
    try:
        return get(subject)
    except Exception as error:  # noqa: BLE001 - a column's callable or an exception's __str__ may raise anything
        return convert(error)
