"""Turns fields into a row: one line of JSON, an object whose keys are the table's columns. Never raises.

A row is joined from pieces, each ending in a comma: what never changes was encoded once, what belongs to a thread or a
call site was encoded when that was first seen, and only time, sequence, message and extras are encoded anew.

Rules: an encoder is used by many threads at once and takes no lock. Its caches are dicts that are filled key by key
and cleared when full. An object that logs while it is being encoded finds the encoder in order, because nothing is kept
on it between two steps. Keys are unique: each column is written once, and names are made unique among the rest.
"""

from __future__ import annotations

import itertools
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from . import fields as read
from .fields import Fields
from .layout import Key, Layout, Piece
from .readable import readable, text
from .table import Constant, Table
from .values import LENIENT, MAX_VALUE_BYTES, as_string, datetime_text, fit

CACHED_PIECES = 1_024
# Longer pieces are encoded anew each time, so that a cache never holds more than 2 MB.
_CACHED_BYTES = 2_048
_QUOTE = ord('"')
_LAST_SECOND = 253_402_300_799


class Encoder:
    """Encode the rows of one table in one process."""

    def __init__(self, table: Table, *, max_line_bytes: int, on_misfit: Callable[[], None]) -> None:
        """Prepare for a table; `on_misfit` is told of each value that did not fit its column."""
        self._max_line_bytes = max_line_bytes
        self._on_misfit = on_misfit
        self._layout = layout = Layout.of(table)
        self.reader = layout.reader
        self._message = layout.message.json if layout.message else None
        self._defaults = _join(layout.extras.defaults.items())
        # What a notice of the library's own is written to: some column that takes text.
        self._text = self._message or next(
            (b'"%b":' % c.name.encode() for c in table if c.type == "string" and not isinstance(c.source, Constant)),
            None,
        )
        self.renew()

    def renew(self) -> None:
        """Begin a new life: a new instance, rows counted from 0. A forked child does so, too."""
        layout = self._layout
        self.instance = secrets.token_hex(8)
        own = {"host": socket.gethostname(), "instance": self.instance}
        self._fixed = _join((key, s.value if isinstance(s, Constant) else own[s]) for key, s in layout.fixed)
        self._threads = _Pieces(self._fixed, layout.thread)
        self._sites = _Pieces(b"", layout.site)
        self._next = itertools.count().__next__
        mark = b'%b"%%d",' if layout.sequence and layout.sequence.type == "string" else b"%b%%d,"
        self._sequence = mark % layout.sequence.json if layout.sequence else None
        self._time = b'%b"' % layout.time.json if layout.time else b'"'
        # One attribute, replaced as a whole: another thread sees either second, never half of each.
        self._second: tuple[int, bytes] = (-1, b"")

    # In one piece, because a call costs as much as what it would do.
    def __call__(self, fields: Fields) -> bytes:  # noqa: C901, PLR0912 - see above
        """Encode one row."""
        moment, site, thread, message, exception, stack, extras, _ = fields
        left: dict[str, Any] | None = None
        try:
            parts = [self._threads[thread], self._sites[site]]
        except (TypeError, _DoesNotFitError):  # an unhashable or unfitting value, set by hand
            parts, left = [self._fixed], {}
            self._spell(parts, self._layout.thread, thread, left)
            self._spell(parts, self._layout.site, site, left)

        if self._layout.time is not None:
            if moment.__class__ is float and 0.0 <= moment < _LAST_SECOND:
                second, micros = divmod(int(moment * 1_000_000 + 0.5), 1_000_000)
                known = self._second
                if known[0] != second:
                    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()
                    known = self._second = (second, self._time + stamp)
                parts.append(b'%b.%06dZ",' % (known[1], micros))
            else:
                left = self._put_foreign_time(parts, moment, left)
        if self._sequence is not None:
            parts.append(self._sequence % self._next())

        if extras is not None:
            if self._layout.extras:
                left = self._fill_from_extras(parts, extras, left)
            elif self._layout.rest is not None:
                left = read.merge(left, extras) if left else extras
        elif self._defaults:
            parts.append(self._defaults)
        if (
            exception is not None
            or stack is not None
            or self._layout.always
            or message is None
            or self._message is None
        ):
            message, left = self._fill_rare(parts, fields, left)
        if self._layout.spans and "opentelemetry.trace" in sys.modules:
            self._fill_spans(parts)
        if left:
            message = self._put_rest(parts, left, message)
        if message is not None and self._message is not None:
            try:
                encoded = orjson.dumps(message)
            except TypeError:  # no text at all, or a lone surrogate in it
                encoded = as_string(message)
            if len(encoded) > MAX_VALUE_BYTES or encoded[0] != _QUOTE:
                encoded = as_string(message)
            parts += (self._message, encoded, b",")

        line = b"{%b}\n" % b"".join(parts)[:-1]
        return line if len(line) <= self._max_line_bytes else shrink(line, self._max_line_bytes)

    def notice(self, message: str, level: str, number: int) -> bytes:
        """Encode a row of the library's own; its text arrives whatever the table's columns are."""
        values = {"level": level, "level_number": number, "logger": "logging_azmon"}
        site = tuple(values.get(name) for name in self.reader.site_fields)
        thread = (None,) * len(self.reader.thread_fields)
        has_place = self._message is not None or self._layout.rest is not None
        row = self((time.time(), site, thread, message if has_place else None, None, None, None, {"event": message}))
        if has_place or self._text is None:
            return row
        # The column may be filled already (a constant level, say): the notice takes its place.
        return orjson.dumps(orjson.loads(row) | {orjson.loads(b"{%bnull}" % self._text).popitem()[0]: message}) + b"\n"

    def _put_foreign_time(self, parts: list[bytes], moment: Any, left: dict[str, Any] | None) -> dict[str, Any] | None:
        """Write the time of an event dict; one that cannot be read is kept elsewhere, and the row is stamped now."""
        written = None if moment is None else datetime_text(moment)
        if written is None:
            if moment is not None:
                self._on_misfit()
                left = read.merge({"time": moment}, left)
            written = datetime_text(time.time())
        parts.append(b'%b%b",' % (self._time, str(written).encode()))
        return left

    def _fill_from_extras(
        self, parts: list[bytes], extras: dict[str, Any], left: dict[str, Any] | None
    ) -> dict[str, Any] | None:
        columns = self._layout.extras
        found, rest = columns.match(extras)
        if self._layout.rest is not None and rest:
            left = read.merge(left, rest)
        for key, (name, value) in found.items():
            left = self._put(parts, key, name, value, left)
        if self._defaults:
            parts.append(_join((key, value) for key, value in columns.defaults.items() if key not in found))
        return left

    def _fill_rare(
        self, parts: list[bytes], fields: Fields, left: dict[str, Any] | None
    ) -> tuple[Any, dict[str, Any] | None]:
        """Write what few rows have: exceptions, stacks, and columns that must be asked each time."""
        layout = self._layout
        _, _, _, message, exception, stack, _, _ = fields
        if exception is not None:
            for key, get in layout.exception:
                left = self._put(parts, key, key.field, _ask(get, exception), left)
            shown = None if layout.exception else _ask(read.exception_text, exception)
            if shown is not None:
                left = read.merge({"exception": shown}, left)
        if stack is not None:
            for key in layout.stack:
                left = self._put(parts, key, key.field, stack, left)
            if not layout.stack:
                left = read.merge({"stack": stack}, left)
        for key, ask in layout.always:
            left = self._put(parts, key, key.field, _ask(ask, fields), left)
        if self._message is None and message is not None and not any(k.field == "message" for k, _ in layout.always):
            left = read.merge({"message": message}, left)
        return message, left

    def _fill_spans(self, parts: list[bytes]) -> None:
        try:
            ids = read.span_ids()
        except Exception:  # noqa: BLE001 - a broken tracer must not cost the row
            ids = None
        if ids is not None:
            parts.append(_join((key, ids[index]) for key, index in self._layout.spans))

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
            return read.merge({name: value}, left)
        parts += (key.json, encoded, b",")
        return left

    def _put_rest(self, parts: list[bytes], left: dict[str, Any], message: Any) -> Any:
        """Write what has no column of its own; without a column for it, it joins the message."""
        rest = self._layout.rest
        if rest is not None:
            parts += (rest.json, rest.encode(left) or b"null", b",")
            return message
        shown = "".join(f"\n{name}: {text(value)}" for name, value in left.items())
        return f"{text(message)}{shown}" if message is not None else shown[1:]

    def _spell(self, parts: list[bytes], pieces: list[Piece], values: tuple[Any, ...], left: dict[str, Any]) -> None:
        for key, place, derive in pieces:
            value = values[place] if derive is None else derive(values[place])
            left |= self._put(parts, key, key.field, value, None) or {}


class _DoesNotFitError(Exception):
    """Say that a site's or thread's value does not fit its column, so that the row must take the long way."""


class _Pieces(dict[tuple[Any, ...], bytes]):
    """Remember what the columns of a call site, or of a thread, look like."""

    def __init__(self, prefix: bytes, columns: list[Piece]) -> None:
        self._prefix = prefix
        self._columns = columns

    def __missing__(self, values: tuple[Any, ...]) -> bytes:
        piece = self._prefix + _join(
            (key, values[place] if derive is None else derive(values[place])) for key, place, derive in self._columns
        )
        if len(piece) <= _CACHED_BYTES:
            if len(self) >= CACHED_PIECES:
                self.clear()
            self[values] = piece
        return piece


def shrink(line: bytes, limit: int) -> bytes:
    """Make a row at most so long, the largest values first."""
    return orjson.dumps(fit(orjson.loads(line), limit - 1)) + b"\n"


def _join(pairs: Iterable[tuple[Key, Any]]) -> bytes:
    piece = b""
    for key, value in pairs:
        if value is not None:
            encoded = key.encode(value)
            if encoded is None:
                raise _DoesNotFitError
            piece += key.json + encoded + b","
    return piece


def _ask(get: Callable[[Any], Any], subject: Any) -> Any:
    """Ask a source for its value; what it raises is the value, so that it can be seen."""
    try:
        return get(subject)
    except Exception as error:  # noqa: BLE001 - a column's callable or an exception's __str__ must not cost the row
        return readable(error)
