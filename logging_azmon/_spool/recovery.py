"""Read rows back from disk: those of this process's segments, and of those that it has adopted.

Rules: delivering threads call this module. The thread that has taken a batch reads and writes files without the
ledger's lock; counters, batches and the backlog change under it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from .._config.service_limits import MAX_AGE, MAX_DECOMPRESSED_BYTES
from .._queue.batch import Attempts, Batch
from .._queue.store import Loaded
from ..trouble import count
from .components import SpoolComponents
from .files import TRANSIENT
from .segment import Stored, begun_at, good_lines
from .space import Space

# The pause before a file that cannot be read now is read again.
RETRY_SECONDS = 5.0
# As many batches are sent in one request at most, because loading them is not limited by a flush's deadline.
MAX_JOINED = 256


class Recovery:
    """Load batches from disk."""

    def __init__(self, components: SpoolComponents, space: Space, *, batch_bytes: int, syncs: bool) -> None:
        self._ledger = components.ledger
        self._clock = components.clock
        self._backlog = components.backlog
        self._directory = components.directory
        self._files = components.directory.files
        self._ownership = components.ownership
        self._reports = components.reports
        self._space = space
        self._batch_bytes = batch_bytes
        self._syncs = syncs

    # Dropping.

    def drop_oldest(self, seal: Callable[[], None]) -> bool:
        """Seal the open segment, then drop the oldest that waits; return False if none waits."""
        with self._ledger.lock:
            seal()
            oldest = self._backlog.oldest("spooled")
            if oldest is None:
                return False
            self._backlog.remove(oldest)
        # Files are read without the lock; nothing else has this batch.
        is_counted = bool(oldest.rows) or self._count_adopted(oldest)
        with self._ledger.lock:
            self._ledger.drop("spool_full", oldest.rows, self._clock.time(), spooled=oldest.rows)
            finished = self._space.release_part(oldest.stored.segment)
        if is_counted:  # if they could not be counted, removing the file would lose rows silently
            self._space.remove(finished)
        with self._ledger.lock:
            self._backlog.notify()
        return True

    def _count_adopted(self, batch: Batch) -> bool:
        """Count the rows of an adopted batch that was never loaded; return False if it cannot be read."""
        try:
            batch.rows = self._read(batch).count(b"\n")
        except OSError:
            return False
        self._ledger.adopt(batch.rows)
        return True

    # Loading.

    def companions(self, batch: Batch, now: float) -> list[Batch]:
        """Return the adopted batches that fit into one request with a loaded one; the ledger's lock is held.

        They follow it without a gap, unless they wait for a retry, and were tried as often as it was.
        """
        found: list[Batch] = []
        if batch.stored.is_part:
            return found
        size = len(batch.data)
        for other in list(self._backlog.waiting):
            if not other.is_adopted or other.stored.is_part or not _alike(other.attempts, batch.attempts):
                break
            size += other.stored.size
            if other.attempts.not_before > now or size > self._batch_bytes or len(found) + 1 >= MAX_JOINED:
                break
            found.append(other)
        return found

    def load(self, batch: Batch) -> Loaded:
        """Read a taken batch's rows, and count those that were not counted yet."""
        stored: Stored = batch.stored
        segment = stored.segment
        try:
            data = self._read(batch)
        except OSError as error:
            return self._failed(batch, error)
        rows, torn = self._count(batch, data)
        if torn:
            text = f"{count(torn)} torn in the spool: a process was killed, the disk full, or the power cut"
            self._reports.add("torn", text, is_loss=True)
        if self._clock.time() - begun_at(os.path.basename(segment.path)) > MAX_AGE.total_seconds():
            text = f"rows of {segment.path} are older than two days: the service replaces their TimeGenerated"
            self._reports.add("old", f"{text} by the time of receipt; see docs/spool.md")
        return Loaded.READY if rows else Loaded.EMPTY

    def _failed(self, batch: Batch, error: OSError) -> Loaded:
        if error.errno in TRANSIENT:
            self._reports.add("disk", f"rows in the spool cannot be read now ({error}); they wait")
            batch.attempts.not_before = self._clock.monotonic() + RETRY_SECONDS
            return Loaded.LATER
        # The file is kept if it exists, because another process may be able to read it.
        batch.stored.is_unreadable = not isinstance(error, FileNotFoundError)
        self._reports.add("unreadable", f"rows in the spool cannot be read ({error})", is_loss=bool(batch.rows))
        return Loaded.UNREADABLE

    def _count(self, batch: Batch, data: bytes) -> tuple[int, int]:
        """Store the data in a batch, without torn lines; return the number of rows and of newly found torn lines."""
        stored: Stored = batch.stored
        is_adopted = batch.is_adopted
        end = data.rfind(b"\n") + 1
        torn = int(end < len(data))
        data = data[:end]
        if is_adopted:
            data, bad = good_lines(data)
            torn += bad
        # Do not count torn lines again on a retry.
        torn, stored.torn = max(0, torn - stored.torn), torn
        rows = data.count(b"\n")
        new, lost = torn + max(0, rows - batch.rows), torn + max(0, batch.rows - rows)
        now = self._clock.time()
        with self._ledger.lock:
            self._ledger.discover(new, is_adopted=is_adopted)
            batch.rows += new
            self._ledger.drop("torn", lost, now, in_flight=lost)
            batch.rows = rows
            batch.data = data
            if stored.segment.owner is self._ownership.writer and stored.segment.parts == 1:
                self._space.set_size(stored.segment, stored.start + stored.size)
        return rows, torn

    def _read(self, batch: Batch) -> bytes:
        """Read a batch; divide one that is larger than this pipeline's batches may be."""
        stored: Stored = batch.stored
        segment, files = stored.segment, self._files
        is_open = segment.fd >= 0
        fd = segment.fd if is_open else files.open(segment.path)
        try:
            if is_open:
                if self._syncs:
                    files.sync(fd)
                # This segment was written last. A write may have been interrupted, so its size is read from the file.
                return files.read(fd, stored.start, MAX_DECOMPRESSED_BYTES)
            most = min(stored.size, self._batch_bytes)
            data = files.read(fd, stored.start, most)
            while most < stored.size and b"\n" not in data:
                if most >= MAX_DECOMPRESSED_BYTES:
                    raise OSError(f"{segment.path} holds a line that is too long for a row")
                most = min(stored.size, 2 * most)
                data = files.read(fd, stored.start, most)
        finally:
            segment.fd = -1
            files.close(fd)
        if most < stored.size:
            data = data[: data.rfind(b"\n") + 1]
            self._cut(batch, len(data))
        return data

    def _cut(self, batch: Batch, size: int) -> None:
        """Shorten a batch to this many bytes, and queue the rest as another batch."""
        stored: Stored = batch.stored
        rest = replace(
            batch,
            data=b"",
            rows=0,
            attempts=replace(batch.attempts),
            stored=replace(stored, start=stored.start + size, size=stored.size - size),
        )
        with self._ledger.lock:
            stored.size = size
            stored.segment.share(1)
            self._backlog.insert(rest)

    # Giving back.

    def rewrite(self, batch: Batch) -> bool:
        """Write a part of a batch to a segment of its own, so that its rows need not wait in memory."""
        stored: Stored = batch.stored
        # Write as the part's own owner: its lock is held until the last part is settled. The current writer may be
        # another owner, or None after `close`.
        owner = stored.segment.owner
        start = len(self._directory.header)
        size = len(batch.data)
        try:
            segment = self._directory.create_segment(owner, self._clock.time(), size=start + size)
            fd, segment.fd = segment.fd, -1
            try:
                self._files.write_all(fd, batch.data)
            except BaseException:
                self._files.remove(segment.path)
                owner.remove_segment()
                raise
            finally:
                self._files.close(fd)
        except OSError as error:
            self._space.fail(error)
            return False
        with self._ledger.lock:
            self._space.add(segment)
            stored.segment, stored.start, stored.size, stored.is_part = segment, start, size, False
        return True


def _alike(one: Attempts, other: Attempts) -> bool:
    return (one.tries, one.first_try) == (other.tries, other.first_try)
