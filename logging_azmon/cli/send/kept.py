"""Store lines that were not delivered.

They are a copy of somebody's log, so only their owner may read the file, and it is not written through a link.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ...errors import ConfigurationError

# Maximum number of line numbers in a message; the file has all lines.
_MAX_NAMED = 20
_FLAGS = os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


def open_private(path: Path, flags: int) -> IO[bytes]:
    """Open a file for writing that only its owner may read; raise an OSError for a link."""
    descriptor = os.open(path, _FLAGS | flags, 0o600)
    if os.name == "posix":  # pragma: no branch - Windows has no modes
        # The file may have been created with another mode.
        os.fchmod(descriptor, 0o600)
    return os.fdopen(descriptor, "ab" if flags & os.O_APPEND else "wb")


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

    def problems(self) -> Iterator[str]:
        """Say why nothing can be kept, before lines are read that would be lost."""
        try:
            status = self.path.lstat()
        except OSError:  # there is none yet
            return
        if not stat.S_ISREG(status.st_mode):
            kind = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "not a regular file"
            yield f"{self.path} is {kind}: lines are not kept there; move it away, or give another --keep"
        elif os.name == "posix" and os.geteuid() not in (0, status.st_uid):
            yield f"{self.path} belongs to another user: move it away, or give another --keep"

    def add(self, raw: bytes, *, number: int | None = None, lines: int = 1) -> None:
        """Append lines unchanged."""
        with self._lock:
            try:
                if self._file is None:
                    self._file = open_private(self.path, os.O_APPEND)
                self._file.write(raw if raw.endswith(b"\n") else raw + b"\n")
            except OSError as error:
                reason = error.strerror or error
                raise ConfigurationError([f"{self.path} cannot be written: {reason}; give another --keep"]) from error
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
