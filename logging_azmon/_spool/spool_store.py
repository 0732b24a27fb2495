"""A store that keeps rows on disk: each row is written to a file, with one system call, before the log call returns.

A batch is a segment, a file of rows (see `segment`), that is filled, taken, sent and removed. Its rows are in memory
only while it is in flight. A row that cannot be written (the disk is full or read-only, or the directory is gone) goes
through memory, as without a spool.

Rules:
- The ledger's lock covers the write of a row, the repair of a short write, and the change from one segment to the next.
  Rows are read and sent without it.
- A segment's descriptor is used and closed under it, so that no writer uses a number that was reused for another file.
  The last segment's descriptor stays open until the thread that took the batch has read it; nothing writes to it then.
- A signal handler or finalizer may log while its thread is writing a row. Its row is deferred until that write is done.
- The file decides which rows exist: if a write is interrupted, the segment is sealed, and its rows are counted when it
  is read.
- After `close`, rows go to segments of a new owner. This pipeline does not send them; the next process does.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from .._process.clock import Clock
from .._queue.backlog import Backlog
from .._queue.batch import Batch
from .._queue.ledger import Ledger, Reason
from .._queue.memory_store import MemoryStore
from .._queue.store import Loaded, Put
from .directory import Directory
from .notes import Notes
from .ownership import Ownership
from .recovery import Recovery
from .segment import Stored
from .space import Space

# Rejected rows may take one part in this many of the directory: they must not displace rows that can be delivered.
REJECTED_PART = 10


class SpoolStore:
    """Keep rows on disk, up to `spool_bytes`, and rows that cannot be written in memory."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        backlog: Backlog,
        memory: MemoryStore,
        *,
        directory: Directory,
        wake: Callable[[], object],
        batch_bytes: int,
        spool_bytes: int,
        fsync: str,
        notes: Notes,
    ) -> None:
        self._ledger = ledger
        self._lock = ledger.lock
        self._clock = clock
        self._backlog = backlog
        self._memory = memory
        self._directory = directory
        self._files = directory.files
        self._write = directory.files.write
        self._wake = wake
        # As in memory, a body is one byte longer than its lines.
        self._batch_bytes = batch_bytes - 1
        self._spool_bytes = spool_bytes
        self._syncs_rows = fsync == "row"
        self._syncs_batches = fsync != "never"
        self._notes = notes
        self.ownership = Ownership(directory, ledger.lock, notes)
        self._space = Space(directory, self.ownership, notes, clock, ledger.lock, spool_bytes)
        self._recovery = Recovery(
            ledger,
            clock,
            backlog,
            directory,
            self.ownership,
            self._space,
            notes,
            batch_bytes=self._batch_bytes,
            syncs=self._syncs_batches,
        )
        # The batch whose segment takes rows.
        self._open: Batch | None = None
        # When that batch began.
        self._begun = 0.0
        # Whether a row is being written.
        self.is_writing = False
        # Rows of log calls that interrupted a write, to be put after it.
        self._deferred: deque[bytes] = deque()
        self._put: Put = self.append
        # After `close`, rows are written for the next process.
        self._writes_for_next = False

    def __repr__(self) -> str:
        return f"<SpoolStore {self._directory.path} open={self._open!r} space={self._space!r} memory={self._memory!r}>"

    # The application's side.

    def fast_path(self, put: Put) -> Put:
        """Return `put`: there is no shortcut to a disk."""
        self._put = put
        return put

    def append(self, line: bytes) -> bool:  # noqa: C901, PLR0912 - the code for each row, with few calls
        """Write a row, or keep it in memory if the disk fails; return False if there is no room."""
        if self.ownership.writer is None and not self._ensure_writer():
            return self._memory.append(line)
        size = len(line)
        taken_by: Batch | None = None
        with self._lock:
            if self.is_writing:
                self._deferred.append(line)
                return True
            self.is_writing = True
            try:
                batch = self._open
                if batch is None or size > batch.stored.capacity:
                    batch = self._turn_over(size)
                if batch is not None:
                    stored: Stored = batch.stored
                    if self._write(stored.segment.fd, line) == size:
                        # Atomic: the row and its count.
                        ledger = self._ledger
                        taken_by = batch
                        stored.capacity -= size
                        stored.size += size
                        batch.rows += 1
                        ledger.accepted += 1
                        ledger.spooled += 1
                        if self._syncs_rows:
                            self._files.sync(stored.segment.fd)
                    else:
                        self._repair(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
            except OSError as error:
                self._repair(error)
            except BaseException:
                self._break_off()
                raise
            finally:
                self.is_writing = False
                while self._deferred:
                    self._put(self._deferred.popleft())
        if taken_by is None:
            return False if self._space.is_full else self._memory.append(line)
        if not taken_by.announced:
            try:
                self._wake()
                taken_by.announced = True
            except RecursionError:
                pass  # as in memory
        return True

    def _ensure_writer(self) -> bool:
        """Create the owner that this pipeline writes as, unless it exists; return False if that is not possible now."""
        return self._clock.monotonic() >= self._space.broken_until and self.ownership.ensure_writer(self._space.fail)

    def _break_off(self) -> None:
        """After an interrupted write, take the segment's size from the file, and seal it."""
        batch = self._open
        if batch is not None:
            batch.stored.size = self._files.size(batch.stored.segment.fd) - batch.stored.start
            self._seal()

    def _repair(self, error: OSError) -> None:
        """Cut off a row that was only partly written, and seal the segment."""
        batch = self._open
        if batch is not None:
            with suppress(OSError):
                self._files.truncate(batch.stored.segment.fd, batch.stored.start + batch.stored.size)
            self._seal()
        self._space.fail(error)

    def _turn_over(self, size: int) -> Batch | None:
        """Seal the open segment, and begin another if there is room and the disk works."""
        self._seal()
        self._space.is_full = False
        now = self._clock.monotonic()
        owner = self.ownership.writer
        if now < self._space.broken_until or owner is None:
            return None
        capacity = max(self._batch_bytes, size)
        start = len(self._directory.header)
        most = start + capacity
        try:
            self._space.is_full = not self._space.has_room(most, now)
            if self._space.is_full:
                return None
            if not self._directory.holds(owner):
                # The lock file was removed, so other processes may adopt our segments: go on as another owner.
                self.ownership.writer = None
                return None
            segment = self._directory.begin(owner, self._clock.time(), size=most, is_synced=self._syncs_batches)
        except OSError as error:
            self._space.fail(error)
            return None
        stored = Stored(segment, start, 0, capacity)
        self._space.used_bytes += segment.size
        self._memory.close_open()
        batch = Batch(b"", 0, self._ledger.accepted, place="spooled", is_uncounted=True, is_open=True, stored=stored)
        self._begun = now
        self._open = batch
        if not self._writes_for_next:
            self._space.batches += 1
            self._backlog.waiting.append(batch)
        return batch

    def _seal(self) -> None:
        """Seal the open segment: write no more to it, and close it."""
        batch = self._open
        self._forget_open()
        if batch is None:
            return
        segment = batch.stored.segment
        self._space.set_size(segment, batch.stored.start + batch.stored.size)
        try:
            if self._syncs_batches:
                self._files.sync(segment.fd)
            if self._files.is_at(segment.fd, segment.path):
                fd, segment.fd = segment.fd, -1
                self._files.close(fd)
            # Otherwise its rows can only be read through the descriptor; the thread that takes the batch closes it.
        except OSError as error:
            self._space.fail(error)

    def _forget_open(self) -> None:
        """Make the next row begin another segment."""
        batch, self._open = self._open, None
        if batch is not None:
            batch.is_open = False

    @property
    def why_full(self) -> Reason:
        """Return which of the two is full, the directory or memory."""
        return "spool_full" if self._space.is_full else self._memory.why_full

    def append_notice(self, line: bytes) -> bool:
        """Take a row of the library's own; it is kept in memory."""
        return self._memory.append_notice(line)

    def make_room(self, size: int) -> bool:
        """Drop the oldest waiting segments until a new one fits; or rows in memory, if memory is full."""
        if not self._space.is_full:
            return self._memory.make_room(size)
        most = len(self._directory.header) + max(self._batch_bytes, size)
        while True:
            try:
                with self._lock:
                    if self._space.has_room(most, self._clock.monotonic()):
                        return True
            except OSError as error:
                self._space.fail(error)
                return True  # the row goes through memory
            # Other processes' segments are not dropped: if they leave no room, dropping ours would not help.
            if not self._space.can_make_room(most) or not self._recovery.drop_oldest(self._seal):
                return False

    # The delivering side.

    @property
    def is_empty(self) -> bool:
        """Tell whether no row waits or is in flight, on disk or in memory."""
        return self._memory.is_empty and self._space.batches == 0

    @property
    def used_bytes(self) -> int:
        """Return how many bytes in memory count against the bound."""
        return self._memory.used_bytes

    def refresh(self, now: float, *, is_urgent: bool, adopts: bool) -> None:
        """Report noted trouble, and adopt orphans: periodically, or at once if that is urgent."""
        if adopts and is_urgent:
            self._recovery.adopt_orphans(now, waits=True)
        self._notes.report()
        if adopts and now >= self.ownership.next_look:
            self._recovery.adopt_orphans(now, waits=False)

    def next_refresh(self) -> float | None:
        """Return when to look for orphans next; None after `close`."""
        return None if self._writes_for_next else self.ownership.next_look

    def catch_up(self) -> None:
        """Count rows in memory; rows on disk are counted as they are written."""
        self._memory.catch_up()

    def open_since(self) -> float | None:
        """Return when the oldest open batch that this process sends began, if there is one."""
        if self._writes_for_next:
            return None
        begun = [self._begun] if self._open is not None and self._open.rows else []
        in_memory = self._memory.open_since()
        return min(begun if in_memory is None else [*begun, in_memory], default=None)

    def close_open(self) -> None:
        """Make the next row begin another batch."""
        self._forget_open()
        self._memory.close_open()

    def load(self, batch: Batch) -> Loaded:
        """Read the rows of a batch on disk, unless they were read already."""
        return Loaded.READY if batch.stored is None or batch.data else self._recovery.load(batch)

    def unload(self, batch: Batch) -> None:
        """Free the memory of a batch on disk; a part of a divided batch gets a segment of its own first."""
        stored: Stored | None = batch.stored
        if stored is None:
            return
        segment = stored.segment
        if stored.is_part and self._recovery.rewrite(batch):
            self._space.remove(self._space.release_part(segment))
        if not stored.is_part:
            batch.data = b""

    def divide(self, batch: Batch, parts: list[Batch]) -> None:
        """Let the parts share the batch's segment, until each part is settled."""
        stored: Stored | None = batch.stored
        if stored is None:
            self._memory.divide(batch, parts)
            return
        stored.segment.parts += len(parts) - 1
        self._space.batches += len(parts) - 1
        for part in parts:
            part.stored = replace(stored, is_part=True)

    def release(self, batch: Batch) -> None:
        """Remove a segment when its last batch is released."""
        stored: Stored | None = batch.stored
        if stored is None:
            self._memory.release(batch)
            return
        finished = self._space.release_part(stored.segment)
        if not stored.is_unreadable:
            self._space.remove(finished)
        with self._lock:
            self._space.batches -= 1

    def keep_rejected(self, batch: Batch, answer: dict[str, Any]) -> str:
        """Keep rejected rows in the directory, up to a tenth of `spool_bytes`."""
        writer = self.ownership.writer
        try:
            most = self._spool_bytes // REJECTED_PART
            name = "unspooled" if writer is None else writer.name
            return self._directory.reject(name, bytes(batch.data), answer, most=most)
        except OSError as error:
            self._notes.add("rejected", f"rejected rows cannot be kept ({error})")
            return ""

    # The end.

    def close(self) -> None:
        """Write later rows to segments that the next process sends."""
        if not self._writes_for_next:
            self._seal()
            self._writes_for_next = True
            self.ownership.writer = None
        self._memory.close()

    def hand_over(self, batch: Batch) -> bool:
        """Leave a batch on disk to the next process that opens the directory."""
        if batch.stored is None:
            return False
        self._space.batches -= 1
        if batch.is_adopted:
            self._ledger.hand_over(batch.rows)
        return True

    def release_ownership(self) -> None:
        """Let other processes adopt the segments that are left, once this one has none in flight."""
        if self._writes_for_next and self._space.batches == 0:
            self.ownership.release_all()

    def leave_to_parent(self) -> None:
        """Take no more rows, in a forked child: a row that was being written during the fork is the parent's."""
        batch, self._open = self._open, None
        self.ownership.writer = None
        self._space.broken_until = float("inf")
        self._writes_for_next = True
        self._memory.leave_to_parent()
        if batch is not None:
            segment = batch.stored.segment
            fd, segment.fd = segment.fd, -1
            self._files.close(fd)

    def __del__(self) -> None:
        batch = self._open
        if batch is not None:
            self._files.close(batch.stored.segment.fd)
