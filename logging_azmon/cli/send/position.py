"""Remember how far a file has been sent, so that the next run of the same command sends only what was appended.

Rules: a run holds the lock from before it reads the position until after it has written the last one. Otherwise two
runs, as a cron job starts them during an outage, would send the same lines.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import IO

from ..._spool.file_lock import FileLock
from ...errors import ConfigurationError
from .kept import open_private


class ReadPosition:
    """Store the number of the last line read, and where it ended; each write is atomic."""

    def __init__(self, directory: Path, source: IO[bytes], instance: str) -> None:
        """Take the lock of the file, or raise a ConfigurationError if another run has it."""
        whole = Path(source.name).resolve()
        # Files of one name in several directories have a position each.
        path_hash = hashlib.sha256(os.fsencode(whole)).hexdigest()[:8]
        self.path = directory / f"{whole.name}.{path_hash}.position"
        self._source = source
        self._instance = instance
        self._written = (0, 0)
        lock_path = self.path.with_suffix(".lock")
        lock = FileLock.take(str(lock_path))
        if lock is None:
            raise ConfigurationError([f"{source.name} is being sent by another run of this command: wait for its end"])
        self._lock, self._lock_path = lock, lock_path

    def read(self) -> int:
        """Return how many lines need not be read again: 0 for another file, or one that has become shorter."""
        try:
            instance, line, end = self.path.read_text("utf-8").split()
            self._written = (int(line), int(end))
        except (OSError, ValueError):
            return 0
        if instance != self._instance:
            return 0
        return self._finished_lines(*self._written)

    def _finished_lines(self, line: int, end: int) -> int:
        self._source.seek(0, os.SEEK_END)
        size = self._source.tell()
        self._source.seek(max(0, end - 1))
        around = self._source.read(2)
        self._source.seek(0)
        if size < end:
            return 0
        # The last line may have been cut off, because it was still being written.
        return max(0, line if size == end or around.endswith(b"\r") or b"\n" in around else line - 1)

    def write(self, line: int, end: int) -> None:
        """Store a line's number and end; after a crash, the file holds these or those before."""
        if (line, end) == self._written:
            return
        self._written = (line, end)
        scratch = self.path.with_suffix(".new")
        with open_private(scratch, os.O_TRUNC) as file:
            file.write(f"{self._instance} {line} {end}\n".encode())
        scratch.replace(self.path)

    def close(self) -> None:
        """Let another run send the file."""
        with suppress(OSError):  # Windows keeps a file that is open
            self._lock_path.unlink()
        self._lock.release()
