"""Read a file or a pipe line by line into entries; however long a line is, memory is bounded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import orjson

from ..._rows.jsonable import text
from .._shared.cells import printable

# A line may be longer than the largest row, because columns may leave out much of it.
MAX_LINE_BYTES = 16 * 1024 * 1024
_QUOTED_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Line:
    """Hold a line: its number from 1, its index among those that are not empty, its entry or the problem with it."""

    number: int
    index: int
    raw: bytes
    entry: dict[str, Any] | None = None
    problem: str = ""


class Lines:
    """Read lines; with the form "auto", the first line that is not empty decides between JSON and text."""

    def __init__(self, source: IO[bytes], form: str = "auto") -> None:
        self._source = source
        self._form = form
        self.number = 0
        self.bytes_read = 0
        # How many lines were not empty. An empty line makes no row, so it must not leave a gap in the sequence.
        self._filled = 0

    def __iter__(self) -> Iterator[Line]:
        """Yield each line that is not empty."""
        while raw := self._source.readline(MAX_LINE_BYTES + 1):
            self.number += 1
            self.bytes_read += len(raw)
            if len(raw) > MAX_LINE_BYTES and not raw.endswith(b"\n"):
                self._skip_rest()
                yield Line(self.number, self._filled, raw, problem=f"longer than {MAX_LINE_BYTES:,} bytes")
                self._filled += 1
                continue
            if self.number == 1:
                raw = raw.removeprefix(b"\xef\xbb\xbf")
            stripped = raw.strip()
            if stripped:
                yield self._read(raw, stripped)
                self._filled += 1

    def skip(self, number: int) -> None:
        """Skip lines up to and including this number."""
        while self.number < number and (raw := self._source.readline(MAX_LINE_BYTES + 1)):
            self.number += 1
            self.bytes_read += len(raw)
            if not raw.endswith(b"\n"):
                self._skip_rest()
            stripped = raw.removeprefix(b"\xef\xbb\xbf").strip()
            self._filled += bool(stripped)
            if self._form == "auto" and stripped:
                self._settle_form(stripped)

    def _settle_form(self, stripped: bytes) -> None:
        self._form = "json" if stripped.startswith(b"{") else "text"

    def _read(self, raw: bytes, stripped: bytes) -> Line:
        if self._form == "auto":
            self._settle_form(stripped)
        if self._form == "text":
            return Line(self.number, self._filled, raw, {"message": raw.rstrip(b"\r\n").decode(errors="replace")})
        try:
            entry = orjson.loads(stripped)
        except orjson.JSONDecodeError as error:
            problem = f"not valid JSON ({error.msg}, column {error.colno}): {_start(stripped)}"
            return Line(self.number, self._filled, raw, problem=problem)
        if not isinstance(entry, dict):
            return Line(self.number, self._filled, raw, problem=f"JSON, but not an object: {_start(stripped)}")
        return Line(self.number, self._filled, raw, entry)

    def _skip_rest(self) -> None:
        while (raw := self._source.readline(MAX_LINE_BYTES)) and not raw.endswith(b"\n"):
            self.bytes_read += len(raw)
        self.bytes_read += len(raw)


def _start(stripped: bytes) -> str:
    start = printable(text(stripped[:_QUOTED_LENGTH].decode(errors="replace")))
    return f"{start}…" if len(stripped) > _QUOTED_LENGTH else start
