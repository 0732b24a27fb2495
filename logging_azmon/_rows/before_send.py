"""Let the application change or drop each row, after it was redacted and before it gets its number.

The hook gets the row as JSON has it, without the columns of the process's instance and of the row's number, which are
set afterwards: a row that is dropped leaves no gap. What the hook logs never enters a pipeline.

Rules: as in `encoder`: any thread calls this at any time, and the state of a row is in local variables only.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from typing import Any

import orjson

from .._process import feedback
from ..table import Table
from .column_cache import sequence_template
from .column_writer import ColumnWriter
from .encoder import Encoder
from .fields import Fields, merge
from .jsonable import text
from .shrink import shrink_row
from .values import ENCODERS

Hook = Callable[[dict[str, Any]], Any]
# These are set after the hook.
_OURS = ("instance", "sequence")


class FilteredError(Exception):
    """Signal that the hook has dropped a row."""


class HookError(Exception):
    """Signal that the hook has failed; the text says how, and never quotes the row."""


class HookedEncoder:
    """Encode rows as an `Encoder` does, and pass each to the hook."""

    def __init__(
        self, hook: Hook, table: Table, *, max_line_bytes: int, on_misfit: Callable[[], None], **more: Any
    ) -> None:
        """Take the arguments of `Encoder`, too."""
        self._hook = hook
        self._max_line_bytes = max_line_bytes
        self._on_misfit = on_misfit
        own = [column for column in table if column.field in _OURS]
        self._own = {column.name: column.field for column in own}
        self._draft = Encoder(
            Table(tuple(column for column in table if column not in own)),
            max_line_bytes=max_line_bytes,
            on_misfit=on_misfit,
            **more,
        )
        self._writers = {
            column.name: ColumnWriter(b'"%b":' % column.name.encode(), ENCODERS[column.type], column.type, column.name)
            for column in table
        }
        self._rest = next((column.name for column in table if column.field == "*"), None)
        self.restart()

    def __repr__(self) -> str:
        return f"<HookedEncoder {self._hook!r}>"

    def restart(self) -> None:
        """Begin again, here or in a forked child: with a new instance, and rows counted from 0."""
        self._draft.restart()
        self.instance = self._draft.instance
        self.next_number = itertools.count().__next__
        self._ends: list[tuple[bytes, bool]] = []
        for name, field in self._own.items():
            writer = self._writers[name]
            if field == "sequence":
                self._ends.append((sequence_template(writer), True))
            else:
                self._ends.append((writer.json + (writer.encode(self.instance) or b"null") + b",", False))

    def record(
        self, record: logging.LogRecord, formatter: logging.Formatter | None, number: int | None = None
    ) -> bytes:
        """Encode a record."""
        return self._sent(self._draft.record(record, formatter), number)

    def event(self, event: Any, method: Any, logger_name: str | None, number: int | None = None) -> bytes:
        """Encode an event dict."""
        return self._sent(self._draft.event(event, method, logger_name), number)

    def __call__(self, fields: Fields, number: int | None = None) -> bytes:
        """Encode fields that have been read already."""
        return self._sent(self._draft(fields), number)

    def notice(self, message: str, level: str, number: int) -> bytes:
        """Encode one of the library's own notices, which the hook does not see."""
        return self._encoded(orjson.loads(self._draft.notice(message, level, number)), None)

    def _sent(self, line: bytes, number: int | None) -> bytes:
        try:
            with feedback.delivering():
                row = self._hook(orjson.loads(line))
        except Exception as error:  # noqa: BLE001 - whatever the application's code raises, the log call goes on
            raise HookError(f"before_send raised {type(error).__name__}") from None
        if row is None:
            raise FilteredError
        if not isinstance(row, dict):
            raise HookError(f"before_send returned {type(row).__name__}; it must return the row as a dict, or None")
        return self._encoded(row, number)

    def _encoded(self, row: dict[Any, Any], number: int | None) -> bytes:
        parts: list[bytes] = []
        leftover: dict[str, Any] = {}
        for key, value in row.items():
            name = key if type(key) is str else text(key)
            if name in self._own or value is None or name == self._rest:
                continue
            writer = self._writers.get(name)
            encoded = None if writer is None else writer.encode(value)
            if writer is None or encoded is None:
                if writer is not None or self._rest is None:
                    self._on_misfit()
                leftover[name] = value
            else:
                parts += (writer.json, encoded, b",")
        if self._rest is not None:
            rest = row.get(self._rest)
            if leftover:
                rest = merge(rest if isinstance(rest, dict) else {}, leftover)
            if rest is not None:
                writer = self._writers[self._rest]
                parts += (writer.json, writer.encode(rest) or b"null", b",")
        for end, is_number in self._ends:
            parts.append(end % (self.next_number() if number is None else number) if is_number else end)
        line = b"{%b}\n" % b"".join(parts)[:-1]
        return line if len(line) <= self._max_line_bytes else shrink_row(line, self._max_line_bytes)
