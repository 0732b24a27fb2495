"""Store lines that were not delivered, and the position in a file that is being sent."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import IO

# Maximum number of line numbers in a message; the file has all lines.
_MAX_NAMED = 20


class ReadPosition:
    """Store the number of the last line read, for the next run; each write is atomic."""

    def __init__(self, path: Path, instance: str) -> None:
        self._path = path
        self._instance = instance

    def read(self) -> int:
        """Return the number of the last line read from the same file, or 0."""
        try:
            instance, _, line = self._path.read_text("utf-8").partition(" ")
            return int(line) if instance == self._instance else 0
        except (OSError, ValueError):
            return 0

    def write(self, line: int) -> None:
        """Store a line's number; after a crash, the file holds this one or the one before."""
        scratch = self._path.with_name(f"{self._path.name}.new")
        scratch.write_text(f"{self._instance} {line}\n", "utf-8")
        scratch.replace(self._path)

    def forget(self) -> None:
        """Delete the position, so that the next run begins at the first line."""
        self._path.unlink(missing_ok=True)


class KeptLines:
    """Append lines to a file, which is created with the first of them.

    Rules: any thread may add lines; `_lock` is held during a write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self.numbers: list[int] = []
        self._file: IO[bytes] | None = None
        self._lock = threading.Lock()

    def add(self, raw: bytes, *, number: int | None = None, lines: int = 1) -> None:
        """Append lines unchanged."""
        with self._lock:
            if self._file is None:
                self._file = self.path.open("ab")
            self._file.write(raw if raw.endswith(b"\n") else raw + b"\n")
            self.count += lines
            if number is not None and len(self.numbers) < _MAX_NAMED:
                self.numbers.append(number)

    def named(self) -> str:
        """Return the first line numbers as text."""
        more = ", …" if self.count > len(self.numbers) else ""
        return ", ".join(f"{number:,}" for number in self.numbers) + more

    def close(self) -> None:
        """Close the file if it was created."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None
