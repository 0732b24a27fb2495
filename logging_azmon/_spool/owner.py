"""A pipeline of a process, as the owner of its segments in a spool's directory.

Rules: an owner lives as long as the operating system holds its lock. It alone appends to its segments, reads and
removes them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol


class Releasable(Protocol):
    """A lock on a file."""

    def release(self) -> None:
        """Let other processes take it."""
        ...


class Owner:
    """Hold segments, as long as the lock is held."""

    def __init__(self, name: str, lock: Releasable, remove_lock: Callable[[], None]) -> None:
        self.name = name
        # How many of its files are left.
        self.files = 0
        # How many files it has begun.
        self.begun = 0
        self._lock = lock
        self._remove_lock = remove_lock

    def __repr__(self) -> str:
        return f"<Owner {self.name} files={self.files} begun={self.begun}>"

    def release(self) -> None:
        """Let other processes have what is left."""
        if not self.files:
            # Removed while the lock is held, so that no other process gets hold of a lock by the same name.
            with suppress(OSError):
                self._remove_lock()
        self._lock.release()
