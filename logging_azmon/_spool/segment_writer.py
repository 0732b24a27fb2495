"""Write rows to the open segment, one system call a row, before the log call returns.

Rules:
- The ledger's lock covers the write of a row, the repair of a short write, and the change from one segment to the next.
- A segment's descriptor is used and closed under it, so that no writer uses a number that was reused for another file.
  The last segment's descriptor stays open until the thread that took the batch has read it; nothing writes to it then.
- A signal handler or finalizer may log while its thread is writing a row. Its row is deferred until that write is done.
- The file decides which rows exist: if a write is interrupted, the segment is sealed, and its rows are counted when it
  is read.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from .._queue.batch import Batch
from .._queue.store import Put
from .components import SpoolComponents
from .segment import Stored
from .space import Space


class SegmentWriter:
    """Fill one segment after the other."""

    def __init__(
        self,
        components: SpoolComponents,
        space: Space,
        *,
        batch_bytes: int,
        fsync: str,
        on_new_batch: Callable[[Batch], None],
    ) -> None:
        """Prepare to write; `on_new_batch` is called with each new batch, before its first row."""
        self._ledger = components.ledger
        self._lock = components.ledger.lock
        self._clock = components.clock
        self._directory = components.directory
        self._files = components.directory.files
        self._write = components.directory.files.write
        self._ownership = components.ownership
        self._wake = components.wake
        self._space = space
        self._batch_bytes = batch_bytes
        self._syncs_rows = fsync == "row"
        self._syncs_batches = fsync != "never"
        self._on_new_batch = on_new_batch
        # The batch whose segment takes rows, and when it began.
        self._open: Batch | None = None
        self._begun = 0.0
        self.is_writing = False
        # Rows of log calls that interrupted a write, to be put after it.
        self._deferred: deque[bytes] = deque()
        # Takes a deferred row.
        self.put: Put = self.append

    def __repr__(self) -> str:
        return f"<SegmentWriter open={self._open!r} deferred={len(self._deferred)}>"

    # One function: a call between the write and the count could be interrupted, and lose the count.
    def append(self, line: bytes) -> bool:  # noqa: C901, PLR0912 - see above
        """Write a row, or defer it; return False if there is no room, or the disk fails."""
        if self._ownership.writer is None and not self._ensure_owner():
            return False
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
                    self.put(self._deferred.popleft())
        if taken_by is None:
            return False
        if not taken_by.is_announced:
            try:
                self._wake()
                taken_by.is_announced = True
            except RecursionError:
                pass  # as in memory
        return True

    def _ensure_owner(self) -> bool:
        """Create the owner that this pipeline writes as, unless it exists; return False if that is not possible now."""
        return self._space.is_usable(self._clock.monotonic()) and self._ownership.ensure_writer(self._space.fail)

    def _break_off(self) -> None:
        """After an interrupted write, take the segment's size from the file, and seal it."""
        batch = self._open
        if batch is not None:
            batch.stored.size = self._files.size(batch.stored.segment.fd) - batch.stored.start
            self.seal()

    def _repair(self, error: OSError) -> None:
        """Cut off a row that was only partly written, and seal the segment."""
        batch = self._open
        if batch is not None:
            with suppress(OSError):
                self._files.truncate(batch.stored.segment.fd, batch.stored.start + batch.stored.size)
            self.seal()
        self._space.fail(error)

    def _turn_over(self, size: int) -> Batch | None:
        """Seal the open segment, and begin another if there is room and the disk works."""
        self.seal()
        now = self._clock.monotonic()
        owner = self._ownership.writer
        if owner is None or not self._space.is_usable(now):
            return None
        start = len(self._directory.header)
        try:
            most = self._space.room(start + size, start + max(self._batch_bytes, size))
            if not most:
                return None
            if not self._directory.holds(owner):
                # The lock file was removed, so other processes may adopt our segments: go on as another owner.
                self._ownership.drop_writer()
                return None
            segment = self._directory.create_segment(
                owner, self._clock.time(), size=most, is_synced=self._syncs_batches
            )
        except OSError as error:
            self._space.fail(error)
            return None
        stored = Stored(segment, start, 0, most - start)
        self._space.add(segment)
        batch = Batch(b"", 0, 0, place="spooled", since=now, is_uncounted=True, is_open=True, stored=stored)
        self._begun = now
        # If this is interrupted before `_open` is set, the empty batch waits, is loaded, and its segment is removed.
        self._on_new_batch(batch)
        self._open = batch
        return batch

    def seal(self) -> None:
        """Seal the open segment: write no more to it, and close it."""
        batch = self._open
        self.end_open()
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

    def end_open(self) -> None:
        """Make the next row begin another segment."""
        batch, self._open = self._open, None
        if batch is not None:
            batch.is_open = False

    def open_since(self) -> float | None:
        """Return when the open segment began, if it has rows."""
        return self._begun if self._open is not None and self._open.rows else None

    def leave_to_parent(self) -> None:
        """Close the descriptor, in a forked child: a row that was being written during the fork is the parent's."""
        batch, self._open = self._open, None
        if batch is not None:
            segment = batch.stored.segment
            fd, segment.fd = segment.fd, -1
            self._files.close(fd)

    def __del__(self) -> None:
        batch = self._open
        if batch is not None:
            self._files.close(batch.stored.segment.fd)
