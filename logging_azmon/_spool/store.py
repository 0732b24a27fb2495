"""The application's side of a spool: a row is in the kernel's hands before the log call returns.

A batch is a segment, a file of rows (see `segment`), that is filled, taken, sent and removed. Only its name and size
are in memory; its rows are there while it is on its way. What cannot be written (the disk is full, or read-only, or the
directory is gone) waits in memory as without a spool.

Rules:
- The lock is the ledger's, as in memory: it covers the write of a row, the repair of a short write, and the change from
  one segment to the next. Nothing is read or sent under it.
- A segment's descriptor is used and closed under it, so no writer holds a number that means another file by then. The
  last segment's is left open until it is read, by whoever took it; nobody writes it any more.
- A row that comes in the middle of a write, on the same thread (a signal handler, a finaliser), is written after it.
- What counts is the file: whatever interrupts a write, the segment is closed, and its rows are counted when it is read.
- `desk` is held by who takes or leaves owners' locks, looks for dead ones, or founds an owner. It comes before the
  ledger's lock; who has that one already tries, but does not wait. A fork waits for it.
- A segment is removed when all its rows have found their end. Until then the rows are in it, also those that are on
  their way: a crash costs a copy of them, no row.
- After `close`, rows go to a new owner's segments, which this pipeline does not send: the next one does.
- Trouble is noted here, and told by the delivering side.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from .._process.clock import Clock
from .._process.threads import holds
from .._queue.batch import Batch
from .._queue.ledger import Ledger, Reason
from .._queue.memory import MemoryBuffer
from ..trouble import REPORT_SECONDS, Trouble
from .directory import Directory, Owner
from .segment import Segment

LOOK_SECONDS = 5.0
# What could not be written is tried again after this.
MEND_SECONDS = 1.0
# No row is longer: it is what `batch_bytes` may be at most.
MOST_ROW_BYTES = 50 * 1024 * 1024
_MEASURE_SECONDS = 1.0
_DESK_SECONDS = 1.0


class Appender(MemoryBuffer):
    """Queue rows on disk, at most so many bytes, and in memory what cannot be written."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        *,
        directory: Directory,
        spool_bytes: int,
        fsync: str,
        report: Callable[[Trouble], Any],
        **memory: Any,
    ) -> None:
        super().__init__(ledger, clock, **memory)
        self.desk = threading.RLock()
        self._directory = directory
        self._disk = directory.disk
        self._write = directory.disk.write
        self._spool_bytes = spool_bytes
        self._syncs_rows = fsync == "row"
        self._syncs_batches = fsync != "never"
        self._report = report
        # Who writes, and all whose segments are ours.
        self._owner: Owner | None = None
        self._owners: dict[str, Owner] = {}
        self._is_writing = False
        self._is_late = False
        self._deferred: deque[bytes] = deque()
        # Batches on disk, waiting or on their way, and the bytes of their files; those of others when last measured.
        self._on_disk = 0
        self._disk_bytes = 0
        self._others_bytes = 0
        self._measured_at = float("-inf")
        self._is_full = False
        self._broken_until = float("-inf")
        self._next_look = float("-inf")
        self._next_adopted = -(2**62)
        # What is to be told by somebody who may, and when each was told last.
        self._untold: deque[Trouble] = deque(maxlen=16)
        self._told_at: dict[str, float] = {}

    # The application's side.

    def put(self, line: bytes) -> bool:
        """Take a row, or count it as dropped and return False."""
        return self._put_or_drop(line)

    def _put(self, line: bytes) -> bool:  # noqa: C901, PLR0912 - what is done for each row, in one piece
        if self._owner is None and not self._found_owner():
            return super()._put(line)
        size = len(line)
        taken_by: Batch | None = None
        with self._lock:
            if self._is_writing:
                self._deferred.append(line)
                return True
            self._is_writing = True
            try:
                batch = self._open
                segment = batch.segment
                if segment is None or size > batch.room:
                    self._turn_over(size)
                    batch = self._open
                    segment = batch.segment
                if segment is not None:
                    if self._write(segment.fd, line) == size:
                        taken_by = batch
                        batch.room -= size
                        batch.size += size
                        batch.rows += 1
                        self._ledger.accepted += 1
                        self._ledger.spooled += 1
                        if self._syncs_rows:
                            self._disk.sync(segment.fd)
                    else:
                        self._repair(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
            except OSError as error:
                self._repair(error)
            except BaseException:
                self._break_off()
                raise
            finally:
                self._is_writing = False
                while self._deferred:
                    self.put(self._deferred.popleft())
        if taken_by is None:
            return False if self._is_full else super()._put(line)
        if not taken_by.is_known:
            try:
                self._wake()
                taken_by.is_known = True
            except RecursionError:
                pass  # as in memory
        return True

    def _break_off(self) -> None:
        """Leave it to the file whether a row is in, and write no more to it."""
        batch = self._open
        if batch.segment is not None:
            batch.size = self._disk.size(batch.segment.fd) - batch.start
            self._seal()

    def _repair(self, error: OSError) -> None:
        """Cut off what is only half there, and write no more to this segment."""
        batch = self._open
        if batch.segment is not None:
            with suppress(OSError):
                self._disk.truncate(batch.segment.fd, batch.start + batch.size)
            self._seal()
        self._fail(error)

    def _turn_over(self, size: int) -> None:
        """Begin a segment, if there is room and the disk works."""
        self._seal()
        self._is_full = False
        now = self._clock.monotonic()
        owner = self._owner
        if now < self._broken_until or owner is None:
            return
        room = max(self._batch_bytes, size)
        start = len(self._directory.header)
        try:
            self._is_full = not self._has_room(start + room, now)
            if self._is_full:
                return
            if not self._directory.holds(owner):
                # Somebody has removed the lock, and others may take what is ours: on with another.
                self._owner = None
                return
            segment = self._directory.begin(owner, self._clock.time(), size=start + room, is_synced=self._syncs_batches)
        except OSError as error:
            self._fail(error)
            return
        batch = Batch(b"", 0, 0, room, now, segment=segment, start=start)
        self._disk_bytes += segment.size
        self._catch_up(batch)
        if not self._is_late:
            self._on_disk += 1
            self._waiting.append(batch)

    def _has_room(self, size: int, now: float) -> bool:
        fits = self._disk_bytes + self._others_bytes + size <= self._spool_bytes
        if now - self._measured_at < (LOOK_SECONDS if fits else _MEASURE_SECONDS):
            return fits
        self._measured_at = now
        self._others_bytes = self._directory.used(set(self._owners))
        return self._disk_bytes + self._others_bytes + size <= self._spool_bytes

    def _seal(self) -> None:
        """Write no more to the open segment."""
        # Not one in memory: each row would be a request of its own.
        batch = self._none if self._open.segment is None else self._close_open()
        segment = batch.segment
        if segment is None or segment.fd < 0:
            return
        self._measure(batch, segment)
        try:
            if self._syncs_batches:
                self._disk.sync(segment.fd)
            if self._disk.is_at(segment.fd, segment.path):
                fd, segment.fd = segment.fd, -1
                self._disk.close(fd)
            # Else it is left open: there is no other way to its rows. Whoever takes it closes it.
        except OSError as error:
            self._fail(error)

    def _measure(self, batch: Batch, segment: Segment) -> None:
        """Count what a segment has become, instead of what it might have."""
        size = batch.start + batch.size
        self._disk_bytes += size - segment.size
        segment.size = size

    def _found_owner(self) -> bool:
        """Become an owner of segments; False if that is not possible, or not now."""
        if self._clock.monotonic() < self._broken_until or not self._takes_desk():
            return False
        try:
            if self._owner is None:
                owner = self._directory.found_owner()
                self._owners[owner.name] = owner
                self._owner = owner
        except OSError as error:
            self._fail(error)
        finally:
            self.desk.release()
        return self._owner is not None

    def _takes_desk(self) -> bool:
        is_waiting_fine = not holds(self._lock)
        return self.desk.acquire(timeout=_DESK_SECONDS if is_waiting_fine else 0)

    def _fail(self, error: Exception) -> None:
        """Go on in memory for a while."""
        self._is_full = False
        self._broken_until = self._clock.monotonic() + MEND_SECONDS
        self._note("disk", f"the spool {self._directory.path} cannot be used ({error}); rows go through memory")

    def _full(self) -> Reason:
        return "spool_full" if self._is_full else super()._full()

    def _make_room(self, size: int) -> bool:
        """Drop the oldest segment that waits."""
        if not self._is_full:
            return super()._make_room(size)
        with self._lock:
            self._seal()
            oldest = self._oldest(is_on_disk=True)
            if oldest is None:
                return False
            self._waiting.remove(oldest)
            if not oldest.rows:
                self._count_adopted(oldest)
            self._ledger.drop("spool_full", oldest.rows, self._clock.time(), spooled=oldest.rows)
            self._on_disk -= 1
            assert oldest.segment is not None  # noqa: S101 - for mypy
            finished = self._part_with(oldest.segment)
        self._remove(finished)
        return True

    def _count_adopted(self, batch: Batch) -> None:
        with suppress(OSError):
            batch.rows = self._read(batch).count(b"\n")
        self._ledger.adopted += batch.rows
        self._ledger.spooled += batch.rows

    def _rewrite(self, batch: Batch) -> bool:
        """Give a part of a segment one of its own, so that it need not wait in memory."""
        assert batch.segment is not None  # noqa: S101 - for mypy
        # Whose lock is held as long as there are parts: `_owner` is nobody, or another, after `close`.
        owner = batch.segment.owner
        start = len(self._directory.header)
        size = len(batch.data)
        try:
            segment = self._directory.begin(owner, self._clock.time(), size=start + size)
            fd, segment.fd = segment.fd, -1
            try:
                self._disk.write_all(fd, batch.data)
            except BaseException:
                self._disk.remove(segment.path)
                owner.files -= 1
                raise
            finally:
                self._disk.close(fd)
        except OSError as error:
            self._fail(error)
            return False
        with self._lock:
            self._disk_bytes += segment.size
            batch.segment, batch.start, batch.size, batch.is_part = segment, start, size, False
        return True

    # What both sides do with segments.

    def _read(self, batch: Batch) -> bytes:
        """Read the rows of a batch: those of others that are too many for one are divided."""
        segment = batch.segment
        assert segment is not None  # noqa: S101 - for mypy
        disk = self._disk
        is_open = segment.fd >= 0
        fd = segment.fd if is_open else disk.open(segment.path)
        try:
            if is_open:
                if self._syncs_batches:
                    disk.sync(fd)
                # The last one: whatever interrupted its writers, this is what there is.
                return disk.read(fd, batch.start, MOST_ROW_BYTES)
            most = min(batch.size, self._batch_bytes)
            data = disk.read(fd, batch.start, most)
            while most < batch.size and b"\n" not in data:
                if most >= MOST_ROW_BYTES:
                    raise OSError(f"{segment.path} holds a line that no row can be")
                most = min(batch.size, 2 * most)
                data = disk.read(fd, batch.start, most)
        finally:
            segment.fd = -1
            disk.close(fd)
        if most < batch.size:
            data = data[: data.rfind(b"\n") + 1]
            self._divide(batch, len(data))
        return data

    def _divide(self, batch: Batch, size: int) -> None:
        rest = replace(batch, start=batch.start + size, size=batch.size - size, rows=0, data=b"")
        with self._lock:
            batch.size = size
            assert batch.segment is not None  # noqa: S101 - for mypy
            batch.segment.parts += 1
            self._on_disk += 1
            self._waiting.insert(0, rest)

    def _part_with(self, segment: Segment) -> Segment | None:
        """Have a segment hold rows of one batch less; return it if that was the last."""
        with self._lock:
            segment.parts -= 1
            return None if segment.parts else segment

    def _remove(self, segment: Segment | None) -> None:
        """Remove a segment whose rows have all found their end."""
        if segment is None:
            return
        try:
            self._disk.remove(segment.path)
        except OSError as error:
            self._note("disk", f"{segment.path} is delivered, but cannot be removed ({error}); it may be sent again")
        else:
            segment.owner.files -= 1
        with self._lock:
            self._disk_bytes -= segment.size
            if not segment.owner.files and segment.owner is not self._owner:
                self._next_look = float("-inf")
            self._call_waiters()

    def _note(self, reason: str, text: str, *, reason_is_loss: bool = False) -> None:
        """Have something told, once a minute, by somebody who may."""
        now = self._clock.monotonic()
        if now >= self._told_at.get(reason, float("-inf")) + REPORT_SECONDS:
            self._told_at[reason] = now
            self._untold.append(Trouble(kind="lost" if reason_is_loss else "spool", text=text, reason=reason))

    def __del__(self) -> None:
        segment = self._open.segment
        if segment is not None and segment.fd >= 0:
            self._disk.close(segment.fd)
