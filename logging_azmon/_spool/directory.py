"""A spool's directory: the segments of each owner, orphans (the segments of dead owners), and rejected rows.

Rules:
- Holding a dead owner's lock means owning all its segments, until the last is removed or the lock is released. So only
  one process at a time delivers them. They are listed only while the lock is held.
- The process that holds an owner's lock removes the lock file when no segment is left.
- Segments for another target are left to other pipelines. Other files are not touched.
- This module takes no thread lock: callers that take or release an owner's lock hold the ownership lock (see
  `ownership`).
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from .files import TRANSIENT, Files
from .owner import Owner, Releasable
from .segment import (
    MAX_HEADER_BYTES,
    Segment,
    Target,
    is_segment,
    lock_name,
    new_owner,
    owner_of,
    rejected_line,
    segment_name,
)

REJECTED = "rejected"
_REJECTED_LOCK_SECONDS = 1.0
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Others:
    """Say how many other owners have segments in a directory, how many bytes these are, and how many files it has."""

    owners: int = 0
    size: int = 0
    files: int = 0


class Directory:
    """Find, create and read the files of one directory, for one target."""

    def __init__(self, path: str, target: Target, files: Files | None = None) -> None:
        self.path = path
        self.files = files if files is not None else Files()
        self.target = target
        self.header = target.header()
        # The names of segments that are for another target or cannot be read.
        self._not_ours: set[str] = set()

    def path_of(self, *names: str) -> str:
        """Return the path of a file."""
        return os.path.join(self.path, *names)

    def create_owner(self) -> Owner:
        """Create a new owner, and the directory if need be."""
        self.files.make(self.path)
        for _ in range(_TRIES):
            name = new_owner()
            lock = self.files.lock(self.path_of(lock_name(name)))
            if lock is not None:  # None if another process took the new lock for an orphan's in between
                return self._owner(name, lock)
        raise OSError(f"no lock can be taken in {self.path}")

    def _owner(self, name: str, lock: Releasable) -> Owner:
        return Owner(name, lock, partial(self.files.remove, self.path_of(lock_name(name))))

    def create_segment(self, owner: Owner, now: float, *, size: int, is_synced: bool = False) -> Segment:
        """Create a segment that may grow to this many bytes."""
        path = self.path_of(segment_name(now, owner.name, owner.begin_segment()))
        fd = self.files.create(path)
        try:
            self.files.write_all(fd, self.header)
            if is_synced:
                self.files.sync_directory(self.path)
        except BaseException:
            self.files.close(fd)
            with suppress(OSError):
                self.files.remove(path)
            raise
        owner.add_segment()
        return Segment(path, owner, size, fd)

    def holds(self, owner: Owner) -> bool:
        """Return whether an owner's lock file still exists, so that other processes respect the lock."""
        return os.path.exists(self.path_of(lock_name(owner.name)))

    def others(self, mine: set[str]) -> Others:
        """Measure the segments of all owners except these, and rejected rows."""
        try:
            entries = self.files.entries(self.path)
        except FileNotFoundError:
            return Others()
        sizes = [(owner_of(name), size) for name, size in entries.items() if is_segment(name)]
        others = [(owner, size) for owner, size in sizes if owner not in mine]
        size = sum(size for _, size in others) + self.rejected_bytes()
        return Others(owners=len({owner for owner, _ in others}), size=size, files=len(entries))

    # Orphans.

    def orphans(self, mine: set[str]) -> list[tuple[str, list[str]]]:
        """Return the owners that may be dead and have segments for this target, the oldest last, with these.

        Live owners are among them. An owner whose lock alone is left has no segments, and comes first.
        """
        names = sorted(self.files.entries(self.path))
        self._not_ours &= set(names)
        owners: dict[str, list[str]] = {}
        for name in sorted(names, key=lambda name: not is_segment(name)):
            owner = owner_of(name)
            if owner is not None and owner not in mine:
                segments = owners.setdefault(owner, [])
                if is_segment(name):
                    segments.append(name)
        # The owner of a segment that is known not to be ours need not be locked again.
        found = [item for item in owners.items() if self._not_ours.isdisjoint(item[1])]
        return found[::-1]

    def adopt(self, name: str, names: list[str]) -> tuple[Owner, list[tuple[Segment, int]]] | None:
        """Adopt an owner if it is dead; return its segments of these names, each with the offset of its first row."""
        lock = self.files.lock(self.path_of(lock_name(name)))
        if lock is None:
            return None
        owner = self._owner(name, lock)
        segments: list[tuple[Segment, int]] = []
        try:
            for entry in names:
                owner.add_segment()
                segment = Segment(self.path_of(entry), owner, 0)
                start = self._find_rows(segment)
                if start is not None:
                    segments.append((segment, start))
        except BaseException:
            owner.release()
            raise
        if segments:
            return owner, segments
        owner.release()
        return None

    def _find_rows(self, segment: Segment) -> int | None:
        """Return the offset of a segment's first row; None if it has no rows or is not ours."""
        try:
            line, segment.size = self._first_line(segment.path)
        except FileNotFoundError:
            # Listed before its owner, or another that adopted it, had removed it.
            segment.owner.remove_segment()
            return None
        except OSError as error:
            if error.errno in TRANSIENT:
                raise
            self._not_ours.add(os.path.basename(segment.path))
            return None
        if not line.endswith(b"\n") and len(line) < MAX_HEADER_BYTES:
            # Its owner died before it wrote a row.
            with suppress(OSError):
                self.files.remove(segment.path)
                segment.owner.remove_segment()
            return None
        if Target.of_header(line) == self.target:
            return len(line)
        self._not_ours.add(os.path.basename(segment.path))
        return None

    def first_line(self, path: str) -> bytes:
        """Read a segment's first line, with the newline if there is one."""
        return self._first_line(path)[0]

    def _first_line(self, path: str) -> tuple[bytes, int]:
        """Return a segment's first line and the size of the segment."""
        fd = self.files.open(path)
        try:
            line, end, _ = self.files.read(fd, 0, MAX_HEADER_BYTES).partition(b"\n")
            return line + end, self.files.size(fd)
        finally:
            self.files.close(fd)

    @property
    def not_ours(self) -> set[str]:
        """Return the names of segments that are for another target or cannot be read."""
        return set(self._not_ours)

    # Rejected rows.

    def rejected_bytes(self) -> int:
        """Return how many bytes of rejected rows are kept."""
        try:
            return sum(self.files.entries(self.path_of(REJECTED)).values())
        except OSError:
            return 0

    def reject(self, owner: str, lines: bytes, answer: dict[str, Any], *, most: int) -> str:
        """Append rejected rows, with the service's answer, to a file, and return its path."""
        folder = self.path_of(REJECTED)
        path = self.path_of(REJECTED, f"{owner}.ndjson")
        self.files.make(folder)
        data = b"".join(rejected_line(line, self.target, answer) for line in lines.split(b"\n")[:-1])
        lock = self.files.lock(self.path_of(REJECTED, "lock"), _REJECTED_LOCK_SECONDS)
        if lock is None:
            raise OSError(f"{folder} is locked by another process")
        try:
            if self.rejected_bytes() + len(data) > most:
                raise OSError(f"{folder} is full: it may hold {most:,} bytes, a tenth of spool_bytes")
            self.files.append(path, data)
        finally:
            lock.release()
        return path
