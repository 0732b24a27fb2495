"""Keeps what could not be sent in files beside each other: nothing is made before there is something to keep."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import IO

# So many lines are named; the file has them all.
_MOST_NAMED = 20


class ReadPosition:
    """Remember up to which line a file was read, for the next run; what is remembered is written at once or never."""

    def __init__(self, path: Path, instance: str) -> None:
        self._path = path
        self._instance = instance

    def read(self) -> int:
        """Return the last line of the same file that was read; 0 if there is none."""
        try:
            instance, _, line = self._path.read_text("utf-8").partition(" ")
            return int(line) if instance == self._instance else 0
        except (OSError, ValueError):
            return 0

    def write(self, line: int) -> None:
        """Remember a line; a crash leaves this one or the one before."""
        scratch = self._path.with_name(f"{self._path.name}.new")
        scratch.write_text(f"{self._instance} {line}\n", "utf-8")
        scratch.replace(self._path)

    def forget(self) -> None:
        """Begin at the first line the next time."""
        self._path.unlink(missing_ok=True)


class KeptLines:
    """Append lines to a file that begins with the first of them. Any thread may; `_lock` is held while it writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self.numbers: list[int] = []
        self._file: IO[bytes] | None = None
        self._lock = threading.Lock()

    def add(self, raw: bytes, *, number: int | None = None, lines: int = 1) -> None:
        """Keep lines as they came."""
        with self._lock:
            if self._file is None:
                self._file = self.path.open("ab")
            self._file.write(raw if raw.endswith(b"\n") else raw + b"\n")
            self.count += lines
            if number is not None and len(self.numbers) < _MOST_NAMED:
                self.numbers.append(number)

    def named(self) -> str:
        """Name the lines by their numbers."""
        more = ", …" if self.count > len(self.numbers) else ""
        return ", ".join(f"{number:,}" for number in self.numbers) + more

    def close(self) -> None:
        """Close the file if there is one."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None
