"""A spool's directory: who owns which files, what dead owners have left, and what was rejected.

Rules:
- An owner is a pipeline of a process, and lives as long as the operating system holds his lock for it. He alone appends
  to his segments, reads and removes them.
- Whoever gets a dead owner's lock has his segments, all of them, until he has removed the last, or lets go: so one at a
  time delivers them. He looks for them only once he has the lock.
- The lock's file is removed by whoever holds it, when no segment is left.
- What has another target is left to others; what is no file of a spool is nobody's business here.
- No lock of Python's is taken here: who takes or leaves an owner's lock holds `desk` of `appender`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from .file_lock import Lock
from .files import PASSING, Disk
from .segment import (
    MOST_HEADER_BYTES,
    Segment,
    Target,
    is_segment,
    lock_name,
    new_owner,
    owner_of,
    rejected_line,
    segment_name,
)

# A dead owner's lock is a descriptor; there is no need to hold hundreds of them.
MOST_ADOPTED = 8
REJECTED = "rejected"
# What was rejected may take this part of the directory: nobody delivers it, so it would push out what can be.
REJECTED_PART = 10
_REJECTED_LOCK_SECONDS = 1.0
_TRIES = 3


class Owner:
    """Hold segments, as long as the lock is held."""

    def __init__(self, directory: Directory, name: str, lock: Lock) -> None:
        self.name = name
        # How many of his files are left, and how many he has begun.
        self.files = 0
        self.begun = 0
        self._directory = directory
        self._lock = lock

    def release(self) -> None:
        """Let others have what is left."""
        directory = self._directory
        path = directory.path_of(lock_name(self.name))
        if not self.files:
            # While it is held, so that nobody has the same lock by the same name.
            with suppress(OSError):
                directory.disk.remove(path)
        self._lock.release()


class Directory:
    """Find, make and read the files of one directory, for one target."""

    def __init__(self, path: str, target: Target, disk: Disk | None = None) -> None:
        self.path = path
        self.disk = disk if disk is not None else Disk()
        self.target = target
        self.header = target.header()
        # Of others, as far as told: each is told once.
        self._strange: set[str] = set()

    def path_of(self, *names: str) -> str:
        """Return the path of a file."""
        return os.path.join(self.path, *names)

    def found_owner(self) -> Owner:
        """Make a new owner, and the directory if need be."""
        self.disk.make(self.path)
        for _ in range(_TRIES):
            name = new_owner()
            lock = self.disk.lock(self.path_of(lock_name(name)))
            if lock is not None:  # or somebody has taken it for a dead one's in between
                return Owner(self, name, lock)
        raise OSError(f"no lock can be taken in {self.path}")

    def begin(self, owner: Owner, now: float, *, size: int, is_synced: bool = False) -> Segment:
        """Create a segment that may become so large."""
        owner.begun += 1
        path = self.path_of(segment_name(now, owner.name, owner.begun))
        fd = self.disk.create(path)
        try:
            self.disk.write_all(fd, self.header)
            if is_synced:
                self.disk.sync_directory(self.path)
        except BaseException:
            self.disk.close(fd)
            with suppress(OSError):
                self.disk.remove(path)
            raise
        owner.files += 1
        return Segment(path, owner, size, fd)

    def holds(self, owner: Owner) -> bool:
        """Tell whether an owner's lock is still where others look for it."""
        return os.path.exists(self.path_of(lock_name(owner.name)))

    def used(self, mine: set[str]) -> int:
        """Sum up the bytes of all segments but those of some owners, and of what was rejected."""
        entries = self.disk.entries(self.path)
        others = sum(size for name, size in entries.items() if is_segment(name) and owner_of(name) not in mine)
        return others + self.rejected_bytes()

    # What dead owners have left.

    def adopt(self, mine: set[str]) -> Iterator[tuple[Owner, list[tuple[Segment, int]]]]:
        """Take what dead owners have left for this target, oldest first; with each segment comes where rows begin.

        One that cannot be taken keeps nobody from the others: what went wrong with him is raised in the end.
        """
        names = sorted(self.disk.entries(self.path))
        left: dict[str, None] = {}
        for name in sorted(names, key=lambda name: not is_segment(name)):
            owner = owner_of(name)
            if owner is not None and owner not in mine:
                left[owner] = None
        self._strange &= set(names)
        trouble: OSError | None = None
        for owner in left:
            # One that is known to be another's is not locked just to be looked at again.
            if not any(name in self._strange for name in names if owner_of(name) == owner):
                try:
                    adopted = self._adopt(owner)
                except OSError as error:
                    trouble, adopted = error, None
                if adopted is not None:
                    yield adopted
        if trouble is not None:
            raise trouble

    def _adopt(self, name: str) -> tuple[Owner, list[tuple[Segment, int]]] | None:
        lock = self.disk.lock(self.path_of(lock_name(name)))
        if lock is None:
            return None
        owner = Owner(self, name, lock)
        segments: list[tuple[Segment, int]] = []
        try:
            for entry, size in sorted(self.disk.entries(self.path).items()):
                if is_segment(entry) and owner_of(entry) == name:
                    owner.files += 1
                    segment = Segment(self.path_of(entry), owner, size)
                    start = self._look_into(segment)
                    if start is not None:
                        segments.append((segment, start))
        except BaseException:
            owner.release()
            raise
        if segments:
            return owner, segments
        owner.release()
        return None

    def _look_into(self, segment: Segment) -> int | None:
        """Tell where a segment's rows begin; None if there are none, or they are another's."""
        try:
            line = self.first_line(segment.path)
        except OSError as error:
            if error.errno in PASSING:
                raise
            self._strange.add(os.path.basename(segment.path))
            return None
        if not line.endswith(b"\n") and len(line) < MOST_HEADER_BYTES:
            # Its owner has died before a row was in it.
            with suppress(OSError):
                self.disk.remove(segment.path)
                segment.owner.files -= 1
            return None
        if Target.of_header(line) == self.target:
            return len(line)
        self._strange.add(os.path.basename(segment.path))
        return None

    def first_line(self, path: str) -> bytes:
        """Read a segment's first line, with its end if it has one."""
        fd = self.disk.open(path)
        try:
            line, end, _ = self.disk.read(fd, 0, MOST_HEADER_BYTES).partition(b"\n")
            return line + end
        finally:
            self.disk.close(fd)

    @property
    def strange(self) -> set[str]:
        """Return the names of segments that were met, but are for other targets or cannot be read."""
        return set(self._strange)

    # What was rejected.

    def rejected_bytes(self) -> int:
        """Tell how much was rejected, and is still there."""
        try:
            return sum(self.disk.entries(self.path_of(REJECTED)).values())
        except OSError:
            return 0

    def reject(self, owner: str, lines: bytes, answer: dict[str, Any], *, most: int) -> str:
        """Keep rows with what the service said of them, and return where."""
        folder = self.path_of(REJECTED)
        path = self.path_of(REJECTED, f"{owner}.ndjson")
        self.disk.make(folder)
        data = b"".join(rejected_line(line, self.target, answer) for line in lines.split(b"\n")[:-1])
        lock = self.disk.lock(self.path_of(REJECTED, "lock"), _REJECTED_LOCK_SECONDS)
        if lock is None:
            raise OSError(f"{folder} is locked by another process")
        try:
            if self.rejected_bytes() + len(data) > most:
                raise OSError(f"{folder} is full: it may hold {most:,} bytes, a tenth of spool_bytes")
            self.disk.append(path, data)
        finally:
            lock.release()
        return path
