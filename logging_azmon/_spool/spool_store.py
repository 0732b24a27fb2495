"""A store that keeps rows on disk: each row is written to a file, with one system call, before the log call returns.

A batch is a segment, a file of rows (see `segment`), that is filled, taken, sent and removed. Its rows are in memory
only while it is in flight. A row that cannot be written (the disk is full or read-only, or the directory is gone) goes
through memory, as without a spool.

Rules: `segment_writer` has those of writing. Rows are read and sent without the ledger's lock. After `close`, rows go
to segments of a new owner. This pipeline does not send them; the next process does.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .._queue.batch import Batch
from .._queue.ledger import Reason
from .._queue.memory_store import MemoryStore
from .._queue.store import Loaded, Put
from .adoption import Adoption
from .components import SpoolComponents
from .recovery import Recovery
from .segment import Stored
from .segment_writer import SegmentWriter
from .space import Space

# Rejected rows may take one part in this many of the directory: they must not displace rows that can be delivered.
REJECTED_PART = 10


class SpoolStore:
    """Keep rows on disk, up to `spool_bytes`, and rows that cannot be written in memory."""

    def __init__(
        self, components: SpoolComponents, memory: MemoryStore, *, batch_bytes: int, spool_bytes: int, fsync: str
    ) -> None:
        self._ledger = components.ledger
        self._lock = components.ledger.lock
        self._backlog = components.backlog
        self._directory = components.directory
        self._reports = components.reports
        self.ownership = components.ownership
        self._memory = memory
        # As in memory, a body is one byte longer than its lines.
        self._batch_bytes = batch_bytes - 1
        self._spool_bytes = spool_bytes
        self._space = Space(components, spool_bytes=spool_bytes)
        self._recovery = Recovery(components, self._space, batch_bytes=self._batch_bytes, syncs=fsync != "never")
        self._adoption = Adoption(components, self._space, batch_bytes=self._batch_bytes)
        self._writer = SegmentWriter(
            components, self._space, batch_bytes=self._batch_bytes, fsync=fsync, on_new_batch=self._add
        )
        # After `close`, rows are written for the next process.
        self._writes_for_next = False

    def __repr__(self) -> str:
        return (
            f"<SpoolStore {self._directory.path} writer={self._writer!r} space={self._space!r} memory={self._memory!r}>"
        )

    # The application's side.

    @property
    def is_writing(self) -> bool:
        """Return whether a row is being written."""
        return self._writer.is_writing or self._memory.is_writing

    def fast_path(self, put: Put) -> Put:
        """Return `put`: there is no shortcut to a disk."""
        self._writer.put = put
        return put

    def append(self, line: bytes) -> bool:
        """Write a row, or keep it in memory if the disk fails; return False if there is no room."""
        if self._writer.append(line):
            return True
        return False if self._space.is_full else self._memory.append(line)

    def _add(self, batch: Batch) -> None:
        """Add a new segment's batch to those that wait."""
        # Counts the rows that came into memory without the lock: they precede this batch.
        self._memory.close_open()
        batch.first_row = self._ledger.accepted
        if not self._writes_for_next:
            self._backlog.append(batch)

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
        start = len(self._directory.header)
        # Other processes' segments are not dropped: if they leave no room, dropping ours would not help.
        most = min(start + max(self._batch_bytes, size), self._space.own_limit)
        if start + size <= most:
            while not self._space.fits(most) and self._recovery.drop_oldest(self._writer.seal):
                pass
        return self._space.fits(start + size)

    # The delivering side.

    def refresh(self, now: float, *, is_urgent: bool, adopts: bool) -> float | None:
        """Report noted trouble, and adopt orphans: periodically, or immediately if that is urgent."""
        if adopts and is_urgent:
            self._adoption.adopt_orphans(now, is_urgent=True)
        self._reports.report()
        if adopts and now >= self.ownership.next_look:
            self._adoption.adopt_orphans(now, is_urgent=False)
        return None if self._writes_for_next else self.ownership.next_look

    def open_since(self) -> float | None:
        """Return when the oldest open batch that this process sends began, if there is one."""
        if self._writes_for_next:
            return None
        begun = [self._writer.open_since(), self._memory.open_since()]
        return min((moment for moment in begun if moment is not None), default=None)

    def close_open(self) -> None:
        """Make the next row begin another batch."""
        self._writer.end_open()
        self._memory.close_open()

    def load(self, batch: Batch) -> Loaded:
        """Read the rows of a batch on disk, unless they were read already."""
        return Loaded.READY if batch.stored is None or batch.data else self._recovery.load(batch)

    def companions(self, batch: Batch, now: float) -> list[Batch]:
        """Return the waiting batches that fit into one request with a loaded one; the ledger's lock is held."""
        return self._recovery.companions(batch, now)

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
        stored.segment.share(len(parts) - 1)
        for part in parts:
            part.stored = replace(stored, is_part=True)

    def release(self, batch: Batch) -> None:
        """Remove a segment when its last batch is released."""
        stored: Stored | None = batch.stored
        if stored is None:
            self._memory.release(batch)
            return
        with self._lock:
            # Atomic, as in memory: a batch is not released twice.
            if batch.is_released:
                return
            batch.is_released = True
            finished = self._space.release_part(stored.segment)
        if not stored.is_unreadable:
            self._space.remove(finished)

    def keep_rejected(self, batch: Batch, answer: dict[str, Any]) -> str:
        """Keep rejected rows in the directory, up to a tenth of `spool_bytes`."""
        writer = self.ownership.writer
        try:
            most = self._spool_bytes // REJECTED_PART
            name = "unspooled" if writer is None else writer.name
            return self._directory.reject(name, bytes(batch.data), answer, most=most)
        except OSError as error:
            self._reports.add("rejected", f"rejected rows cannot be kept ({error})")
            return ""

    # The end.

    def close(self) -> None:
        """Write later rows to segments that the next process sends."""
        if not self._writes_for_next:
            self._writer.seal()
            self._writes_for_next = True
            self.ownership.drop_writer()
        self._memory.close()

    def hand_over(self, batch: Batch) -> bool:
        """Leave a batch on disk to the next process that opens the directory."""
        if batch.stored is None:
            return False
        if batch.is_adopted:
            self._ledger.hand_over(batch.rows)
        return True

    def release_ownership(self) -> None:
        """Let other processes adopt the segments that are left, once this one has none in flight."""
        if self._writes_for_next and not self._backlog.has("spooled"):
            self.ownership.release_all()

    def leave_to_parent(self) -> None:
        """Take no more rows, in a forked child."""
        self._writer.leave_to_parent()
        self.ownership.drop_writer()
        self._space.disable()
        self._writes_for_next = True
        self._memory.leave_to_parent()
