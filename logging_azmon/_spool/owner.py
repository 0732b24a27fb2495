"""An owner: one pipeline of one process, which owns segments in a spool's directory.

Rules: an owner is alive as long as its file lock is held. Only the process that holds the lock appends to the owner's
segments, reads them and removes them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol


class Releasable(Protocol):
    """A file lock that can be released."""

    def release(self) -> None:
        """Let other processes take it."""
        ...


class Owner:
    """Hold a file lock, and with it the right to an owner's segments."""

    def __init__(self, name: str, lock: Releasable, remove_lock: Callable[[], None]) -> None:
        self.name = name
        # How many of its segments are left.
        self.segments = 0
        # How many it has begun.
        self.begun = 0
        self._lock = lock
        self._remove_lock = remove_lock

    def __repr__(self) -> str:
        return f"<Owner {self.name} segments={self.segments} begun={self.begun}>"

    def begin_segment(self) -> int:
        """Return the number of its next segment."""
        self.begun += 1
        return self.begun

    def add_segment(self) -> None:
        """Count a segment that was created or adopted."""
        self.segments += 1

    def remove_segment(self) -> None:
        """Count a segment that was removed."""
        self.segments -= 1

    def release(self) -> None:
        """Let other processes adopt the segments that are left."""
        if not self.segments:
            # Removed while the lock is held, so that no other process can lock a file that is about to be removed.
            with suppress(OSError):
                self._remove_lock()
        self._lock.release()
