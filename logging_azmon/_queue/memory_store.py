"""A store that keeps rows in a bounded number of bytes of memory; the open batch takes most rows without the lock.

A batch is one bytearray of lines, so its memory use is known exactly, and sending it needs no work for each row.

Rules:
- CPython switches threads and runs signal handlers and finalizers only at calls, returns and backward jumps; 3.11 also
  runs finalizers where a container is created. Straight-line code with none of these is atomic. Related fields change
  only in such steps, each marked "Atomic"; tests check that.
- The open batch takes rows without the lock as long as they fit the reserve: bytes that `append` has counted as used in
  advance. Code that needs the queue to stand still holds the lock and calls `catch_up`, which counts those rows and
  takes the reserve back, so that the next row needs the lock.
- The first row of a batch never uses the reserve, because it must wake a listener. If that is interrupted, the next row
  does it.
- Where straight-line code is not atomic (see `_process.atomicity`), nothing is reserved: each row takes the lock. The
  lock keeps other threads out, but not this thread's own signal handlers and finalizers, so their rows are deferred.
- A waiting batch without rows belongs to an interrupted call that has just begun it, so it is not removed.
- A batch's bytes count against the bound until it is released.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from .._process.atomicity import is_straight_line_atomic
from .._process.clock import Clock
from .backlog import Backlog
from .batch import Batch
from .ledger import Ledger, Reason
from .store import Loaded, Put


class OpenBatch:
    """Take rows for the open batch without a lock, and account for its bytes.

    One object serves all open batches of a store, one after the other.
    """

    __slots__ = ("batch", "capacity", "data", "lock_free", "put", "reserved", "rows", "since")

    def __init__(self, batch: Batch, put: Put) -> None:
        # Called for rows that need the lock.
        self.put = put
        # The open batch.
        self.batch = batch
        # The data of the batch.
        self.data: Any = batch.data
        # When the batch began.
        self.since = 0.0
        # The open batch, once it may take rows without the lock. An interrupted call may leave an earlier batch here.
        self.lock_free: Batch | None = None
        # How many bytes it may take without the lock.
        self.reserved = 0
        # How many further bytes it may take with the lock.
        self.capacity = 0
        # How many rows it took without the lock since the last `catch_up`.
        self.rows = 0

    def append(self, line: bytes) -> bool:
        """Take a row, or count it as dropped and return False."""
        size = len(line)
        # Atomic: there is neither a call nor a backward jump between the test and the last change, so no other thread,
        # signal handler or finalizer can run in between. It is one line, so that a debugger cannot stop in between.
        if size <= self.reserved: self.data += line; self.reserved -= size; self.rows += 1; return True  # fmt: skip # noqa: E701, E702
        return self.put(line)


class MemoryStore:
    """Keep rows in memory, up to `queue_bytes`."""

    why_full: Reason = "queue_full"

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        backlog: Backlog,
        *,
        wake: Callable[[], object],
        queue_bytes: int,
        batch_bytes: int,
    ) -> None:
        self._ledger = ledger
        self._lock = ledger.lock
        self._clock = clock
        self._backlog = backlog
        self._wake = wake
        self._queue_bytes = queue_bytes
        # A JSON array of n lines replaces n newlines by n - 1 commas and two brackets, so it is one byte longer.
        self._batch_bytes = batch_bytes - 1
        # A placeholder while no batch is open; it has no capacity.
        self._no_batch = Batch(bytearray(), 0, 0)
        # Takes a row if there is room, in a new batch if need be; otherwise returns False, and counts nothing.
        self.append: Put
        self._choose_append()
        self._open = OpenBatch(self._no_batch, self.append)
        # The bytes of all rows that wait or are in flight, and of the reserve.
        self.used_bytes = 0
        # The bound: `queue_bytes`, or 0 after `close`.
        self._limit = queue_bytes
        # Whether a row is being added where straight-line code is not atomic.
        self.is_writing = False
        # Rows of log calls that interrupted that, to be put after it.
        self._deferred: deque[bytes] = deque()
        ledger.catch_up = self.catch_up

    def __repr__(self) -> str:
        return f"<MemoryStore bytes={self.used_bytes} limit={self._limit} reserved={self._open.reserved}>"

    # The application's side.

    def fast_path(self, put: Put) -> Put:
        """Return the open batch's own method, which calls `put` for a row that needs the lock."""
        self._open.put = put
        return self._open.append

    def _choose_append(self) -> bool:
        """Choose how rows are added, and return whether straight-line code is atomic.

        This is done again for each batch, because a debugger may have been attached.
        """
        is_atomic = is_straight_line_atomic()
        self.append = self._append if is_atomic else self._append_alone
        return is_atomic

    def _append_alone(self, line: bytes) -> bool:
        """Take a row, or defer it if this thread interrupted itself while it was taking another."""
        with self._lock:
            if self.is_writing:
                self._deferred.append(line)
                return True
            self.is_writing = True
            try:
                is_in = self._append(line)
            finally:
                self.is_writing = False
                while self._deferred:
                    self._open.put(self._deferred.popleft())
        return is_in

    def _append(self, line: bytes) -> bool:
        size = len(line)
        with self._lock:
            while True:
                # Atomic: the row, its count, and the reserve for rows to come. The old reserve is taken back first, so
                # that even under a debugger no row of another thread is added in between.
                opened, ledger = self._open, self._ledger
                reserved, opened.reserved = opened.reserved, 0
                opened.capacity += reserved
                self.used_bytes -= reserved
                free = self._limit - self.used_bytes
                if size <= opened.capacity and size <= free:
                    batch = opened.batch
                    opened.data += line
                    rows = opened.rows + 1
                    opened.rows = 0
                    batch.rows += rows
                    ledger.accepted += rows
                    ledger.queued += rows
                    most = opened.capacity if opened.capacity < free else free  # noqa: FURB136 - `min` is a call
                    reserved = most - size if batch is opened.lock_free else 0
                    opened.capacity -= size + reserved
                    self.used_bytes += size + reserved
                    opened.reserved = reserved
                    break
                if size > free:
                    return False
                # If the call is interrupted here, the batch stays empty or takes rows later; both are harmless.
                begun = self._clock.monotonic()
                batch = Batch(bytearray(), 0, 0, since=begun, is_open=True)
                self._backlog.append(batch)
                self._count_open(batch, max(self._batch_bytes, size), begun)
        if not batch.is_announced:
            try:
                self._wake()
                if self._choose_append() and self._open.batch is batch:
                    self._open.lock_free = batch
                batch.is_announced = True
            except RecursionError:
                pass  # the row is in, so raising would count it twice; the next row wakes a listener
        return True

    def _count_open(self, next_batch: Batch | None, capacity: int = 0, since: float = 0.0) -> None:
        """Count the open batch's rows, take its reserve back, and open another batch if one is given."""
        # Atomic; the reserve comes first, as in `append`.
        opened, ledger = self._open, self._ledger
        reserved, opened.reserved = opened.reserved, 0
        opened.capacity += reserved
        self.used_bytes -= reserved
        rows, opened.rows = opened.rows, 0
        opened.batch.rows += rows
        ledger.accepted += rows
        ledger.queued += rows
        if next_batch is not None:
            opened.batch.is_open = False
            next_batch.first_row = ledger.accepted
            opened.lock_free = None
            opened.batch = next_batch
            opened.data = next_batch.data
            opened.capacity = capacity
            opened.since = since

    def append_notice(self, line: bytes) -> bool:
        """Take a row of the library's own as a batch of one, even after `close`."""
        size = len(line)
        self.catch_up()
        if self.is_writing or self.used_bytes + size > self._queue_bytes:
            return False
        ledger = self._ledger
        batch = Batch(b"", 0, ledger.accepted, since=self._clock.monotonic(), is_notice=True)
        self._backlog.append(batch)
        # Atomic: the row and its count.
        batch.data = line
        batch.rows = 1
        self.used_bytes += size
        ledger.accepted += 1
        ledger.queued += 1
        return True

    def make_room(self, size: int) -> bool:
        """Drop the oldest waiting rows until this many bytes fit; rows in flight cannot be dropped."""
        with self._lock:
            while True:
                self.catch_up()
                missing = self.used_bytes + size - self._limit
                if missing <= 0:
                    return True
                oldest = self._backlog.oldest("queued")
                if oldest is None or size > self._limit:  # the limit is 0 once another thread has called `close`
                    return False
                if oldest.is_open:
                    self.close_open()
                self._drop_first_rows(oldest, missing)

    def _drop_first_rows(self, batch: Batch, least_bytes: int) -> None:
        now = self._clock.time()
        rows_before = batch.rows
        data = batch.data if isinstance(batch.data, bytearray) else bytearray(batch.data)
        end = data.find(b"\n", least_bytes - 1) + 1 or len(data)
        rows = data.count(b"\n", 0, end)
        first = slice(end)
        ledger = self._ledger
        # Atomic: the rows and their counts. Skipped if another call has dropped the same rows meanwhile, or a flush has
        # taken them.
        if batch.rows == rows_before and batch in self._backlog.waiting:
            # Deleting the first bytes of a bytearray does not move the others.
            del data[first]
            batch.data = data
            batch.rows -= rows
            batch.first_row += rows
            self.used_bytes -= end
            ledger.queued -= rows
            ledger.dropped["queue_full"] += rows
            ledger.drops += 1
            # End of the atomic step.
            if not batch.is_notice:
                ledger.add_unreported("queue_full", rows, now)
            if not batch.rows:
                self._backlog.remove(batch)

    # The delivering side.

    def catch_up(self) -> None:
        """Count the rows that were taken without the lock, and take the reserve back."""
        if not self.is_writing:
            self._count_open(None)

    def open_since(self) -> float | None:
        """Return when the open batch began, if there is one."""
        opened = self._open
        return opened.since if opened.batch.rows else None

    def close_open(self) -> None:
        """Make the next row begin another batch."""
        self._count_open(self._no_batch)

    def load(self, batch: Batch) -> Loaded:  # noqa: ARG002 - as Store has it
        """Do nothing: the rows are in memory already."""
        return Loaded.READY

    def unload(self, batch: Batch) -> None:
        """Do nothing: the rows stay in memory."""

    def divide(self, batch: Batch, parts: list[Batch]) -> None:
        """Replace the batch's bytes by those of its parts in `used_bytes`."""
        growth = sum(len(part.data) for part in parts) - len(batch.data)
        self.used_bytes += growth

    def release(self, batch: Batch) -> None:
        """Subtract a batch's bytes from `used_bytes`."""
        size = len(batch.data)
        with self._lock:
            # Atomic, so that a batch that is given back after an interruption is not released twice.
            if not batch.is_released:
                batch.is_released = True
                self.used_bytes -= size

    # The end.

    def close(self) -> None:
        """Take no more rows."""
        self._limit = 0
        self.close_open()

    def leave_to_parent(self) -> None:
        """Take no more rows, without the lock: in a forked child, a thread that does not exist may hold it."""
        self._open.reserved = 0
        self._limit = 0
