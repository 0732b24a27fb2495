"""Read a spool directory as its owners do, and requeue rejected rows as segments, without a pipeline."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from ..._spool.directory import REJECTED, Directory
from ..._spool.files import Files
from ..._spool.segment import Target, begun_at, is_segment, lock_name, owner_of, row_of_rejected

_CHUNK = 1024 * 1024
# Requeued rows are sent in batches of the usual size.
_SEGMENT_BYTES = 1_000_000
_LOCK_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentInfo:
    """Describe a segment; `target` is None if its header cannot be read."""

    name: str
    target: Target | None
    rows: int
    size: int
    age: float
    is_alive: bool


def list_segments(path: str) -> list[SegmentInfo]:
    """Return all segments, oldest first."""
    disk = Files()
    entries = disk.entries(path)
    alive = {owner: _is_alive(disk, path, owner) for owner in {owner_of(name) for name in entries} if owner}
    return [
        _segment_info(disk, path, name, size, is_alive=alive[owner_of(name) or ""])
        for name, size in sorted(entries.items())
        if is_segment(name)
    ]


def foreign_files(path: str) -> list[str]:
    """Return the names of files that do not belong to a spool."""
    return sorted(name for name in Files().entries(path) if owner_of(name) is None and name != REJECTED)


def _is_alive(disk: Files, path: str, owner: str) -> bool:
    lock_path = os.path.join(path, lock_name(owner))
    if not os.path.exists(lock_path):
        return False
    try:
        lock = disk.lock(lock_path)
    except OSError:
        return True  # not a lock, or another user's: in any case its segments cannot be adopted
    if lock is not None:
        lock.release()
    return lock is None


def _segment_info(disk: Files, path: str, name: str, size: int, *, is_alive: bool) -> SegmentInfo:
    whole = os.path.join(path, name)
    target, rows = None, 0
    with suppress(OSError):
        target = Target.of_header(Directory(path, _NOWHERE).first_line(whole))
        rows = max(0, sum(chunk.count(b"\n") for chunk in _chunks(disk, whole)) - 1)
    age = max(0.0, time.time() - begun_at(name))
    return SegmentInfo(name=name, target=target, rows=rows, size=size, age=age, is_alive=is_alive)


# A directory needs a target; for reading, any will do.
_NOWHERE = Target(endpoint="", rule_id="", stream="", cloud="")


def _chunks(disk: Files, path: str) -> Iterator[bytes]:
    fd = disk.open(path)
    try:
        offset = 0
        while chunk := disk.read(fd, offset, _CHUNK):
            yield chunk
            offset += len(chunk)
    finally:
        disk.close(fd)


def rejected_files(path: str) -> list[tuple[str, list[bytes]]]:
    """Return the files of rejected rows, each with its lines."""
    folder = os.path.join(path, REJECTED)
    disk = Files()
    try:
        names = sorted(name for name in disk.entries(folder) if name.endswith(".ndjson"))
    except OSError:
        return []
    files = [os.path.join(folder, name) for name in names]
    return [(file, b"".join(_chunks(disk, file)).splitlines()) for file in files]


def requeue_rejected(path: str) -> tuple[int, int]:
    """Write rejected rows into segments again; return how many, and how many unreadable lines remain."""
    rows = left = 0
    if not rejected_files(path):
        return 0, 0
    with _locked(os.path.join(path, REJECTED, "lock")):
        for file, lines in rejected_files(path):
            parsed = [row_of_rejected(line) for line in lines]
            for target in {row[0] for row in parsed if row is not None}:
                rows += _write(path, target, [row[1] for row in parsed if row is not None and row[0] == target])
            unreadable = [line for line, row in zip(lines, parsed, strict=True) if row is None]
            left += len(unreadable)
            os.unlink(file)
            if unreadable:
                Files().append(file, b"".join(line + b"\n" for line in unreadable))
    return rows, left


@contextmanager
def _locked(path: str) -> Iterator[None]:
    lock = Files().lock(path, _LOCK_SECONDS)
    if lock is None:
        raise OSError(f"{path} is locked by another process")
    try:
        yield
    finally:
        lock.release()


def _write(path: str, target: Target, rows: list[bytes]) -> int:
    directory = Directory(path, target)
    owner = directory.create_owner()
    try:
        for part in _parts(rows):
            segment = directory.create_segment(owner, time.time(), size=len(part))
            try:
                directory.files.write_all(segment.fd, part)
                directory.files.sync(segment.fd)
            finally:
                directory.files.close(segment.fd)
    finally:
        owner.release()
    return len(rows)


def _parts(rows: list[bytes]) -> Iterator[bytes]:
    part = bytearray()
    for row in rows:
        if part and len(part) + len(row) > _SEGMENT_BYTES:
            yield bytes(part)
            part.clear()
        part += row
    yield bytes(part)
