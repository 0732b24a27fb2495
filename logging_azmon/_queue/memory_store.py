"""Rows in memory, in a bounded number of bytes; the open batch takes most of them without a lock.

A batch is one string of lines, so memory use is exact, and sending it touches no row again.

Rules:
- CPython switches threads and runs signal handlers and finalizers only at calls, returns and backward jumps; 3.11 runs
  finalizers also where a container is made. Straight-line code with none of these is atomic. Related fields change only
  in such steps, each marked "Atomic"; tests hold the code to that.
- The open batch takes rows without the lock, as many as fit the bytes that `append` has reserved for it and counted as
  used. Code that needs the queue to stand still holds the lock and calls `catch_up`: that counts those rows and takes
  the reserve back, so the next row must ask for the lock.
- Bytes are reserved from a batch's second row on: the first wakes a listener. If that is interrupted, the next row does
  it. Nothing is reserved where straight-line code is not atomic (see `threads.is_straight_line_atomic`).
- A batch without rows is being begun by a call that was interrupted: it is not removed.
- A batch's bytes count until it is released.
"""

from __future__ import annotations

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

    A store holds one for all its batches, one after the other; an object with the same attributes can replace it.
    """

    __slots__ = ("batch", "capacity", "data", "lock_free", "put", "reserved", "rows", "since")

    def __init__(self, batch: Batch, put: Put) -> None:
        # Takes the rows that need the lock.
        self.put = put
        # The batch, its bytes, and when it began.
        self.batch = batch
        self.data: Any = batch.data
        self.since = 0.0
        # The batch, once it may take rows without the lock; an interrupted call may leave an earlier one here.
        self.lock_free: Batch | None = None
        # How many bytes it may take without the lock, and how many more it may take at all.
        self.reserved = 0
        self.capacity = 0
        # How many rows it took without the lock that were not counted yet.
        self.rows = 0

    def append(self, line: bytes) -> bool:
        """Take a row, or count it as dropped and return False."""
        size = len(line)
        # Atomic, because there is neither a call nor a jump back between the test and the last change: no other thread,
        # signal handler or finalizer can come in between. It is one line, so that no debugger can, either.
        if size <= self.reserved: self.data += line; self.reserved -= size; self.rows += 1; return True  # fmt: skip # noqa: E701, E702
        return self.put(line)


class MemoryStore:
    """Keep rows in memory, at most so many bytes."""

    is_writing = False
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
        # A JSON array of n lines has two brackets, and n - 1 commas for n newlines: one byte more.
        self._batch_bytes = batch_bytes - 1
        # Stands for the open batch while there is none: it has no capacity.
        self._none = Batch(bytearray(), 0, 0)
        self._open = OpenBatch(self._none, self.append)
        # The bytes of all rows that wait or are on their way, and of the reserve.
        self.used_bytes = 0
        # The bound: `queue_bytes`, or 0 after `close`.
        self._limit = queue_bytes
        ledger.catch_up = self.catch_up

    def __repr__(self) -> str:
        return f"<MemoryStore bytes={self.used_bytes} limit={self._limit} reserved={self._open.reserved}>"

    # The application's side.

    def fast_path(self, put: Put) -> Put:
        """Return the open batch's own method, which calls `put` for a row that needs the lock."""
        self._open.put = put
        return self._open.append

    def append(self, line: bytes) -> bool:
        """Take a row if there is room, in a new batch if need be; False if not, and then nothing is counted."""
        size = len(line)
        with self._lock:
            while True:
                # Atomic: the row, its count, and the reserve for rows to come. The old reserve is taken back first, so
                # that even under a debugger no other thread's row comes in between.
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
                # If the call is interrupted here, this batch stays empty or takes rows later: both are fine.
                begun = self._clock.monotonic()
                batch = Batch(bytearray(), 0, 0, is_open=True)
                self._backlog.waiting.append(batch)
                self._count_open(batch, max(self._batch_bytes, size), begun)
        if not batch.announced:
            try:
                self._wake()
                if self._open.batch is batch and is_straight_line_atomic():
                    self._open.lock_free = batch
                batch.announced = True
            except RecursionError:
                pass  # the row is in, and an exception raised now would count it twice: the next row wakes
        return True

    def _count_open(self, then: Batch | None, capacity: int = 0, since: float = 0.0) -> None:
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
        if then is not None:
            opened.batch.is_open = False
            then.first_row = ledger.accepted
            opened.lock_free = None
            opened.batch = then
            opened.data = then.data
            opened.capacity = capacity
            opened.since = since

    def append_notice(self, line: bytes) -> bool:
        """Take a row of the library's own as a batch of one, even after `close`."""
        size = len(line)
        self.catch_up()
        if self.used_bytes + size > self._queue_bytes:
            return False
        ledger = self._ledger
        batch = Batch(b"", 0, ledger.accepted, is_notice=True)
        self._backlog.waiting.append(batch)
        # Atomic: the row and its count.
        batch.data = line
        batch.rows = 1
        self.used_bytes += size
        ledger.accepted += 1
        ledger.queued += 1
        return True

    def make_room(self, size: int) -> bool:
        """Drop the oldest rows that wait until so many bytes fit; rows on their way cannot be dropped."""
        with self._lock:
            while True:
                self.catch_up()
                missing = self.used_bytes + size - self._limit
                if missing <= 0:
                    return True
                oldest = self._backlog.oldest("queued")
                if oldest is None or size > self._limit:  # which is 0 once another thread has closed
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
        # Skip it if another call dropped the same rows meanwhile, or a flush sent them.
        if batch.rows == rows_before and batch in self._backlog.waiting:
            # A bytearray gives up its first bytes without moving the rest.
            del data[first]
            batch.data = data
            batch.rows -= rows
            batch.first_row += rows
            self.used_bytes -= end
            self._ledger.drop("queue_full", rows, now, queued=rows, is_notice=batch.is_notice)
            if not batch.rows and batch in self._backlog.waiting:
                self._backlog.waiting.remove(batch)

    # The delivering side.

    @property
    def is_empty(self) -> bool:
        """Tell whether no row waits or is on its way."""
        return self.used_bytes == 0

    def refresh(self, now: float, *, is_urgent: bool, adopts: bool) -> None:
        """Find nothing new: dead processes leave no memory."""

    def next_refresh(self) -> None:
        """Return None: there is never anything to refresh."""

    def catch_up(self) -> None:
        """Count the rows that came in without the lock, and take the reserve back."""
        self._count_open(None)

    def open_since(self) -> float | None:
        """Return when the open batch began, if there is one."""
        opened = self._open
        return opened.since if opened.batch.rows else None

    def close_open(self) -> None:
        """Have the next row begin another batch."""
        self._count_open(self._none)

    def load(self, batch: Batch) -> Loaded:  # noqa: ARG002 - as Store has it
        """Do nothing: the rows are there."""
        return Loaded.READY

    def unload(self, batch: Batch) -> None:
        """Do nothing: the rows stay in memory."""

    def divide(self, batch: Batch, parts: list[Batch]) -> None:
        """Count the bytes of the parts instead of the batch's."""
        growth = sum(len(part.data) for part in parts) - len(batch.data)
        self.used_bytes += growth

    def release(self, batch: Batch) -> None:
        """Count the bytes of a batch no longer."""
        size = len(batch.data)
        with self._lock:
            self.used_bytes -= size

    def keep_rejected(self, batch: Batch, answer: dict[str, Any]) -> str:  # noqa: ARG002 - as Store has it
        """Return "": memory is no place to keep them."""
        return ""

    # The end.

    def close(self) -> None:
        """Take no more rows."""
        self._limit = 0
        self.close_open()

    def hand_over(self, batch: Batch) -> bool:  # noqa: ARG002 - as Store has it
        """Return False: memory ends with its process."""
        return False

    def release_ownership(self) -> None:
        """Do nothing: no other process sees this memory."""

    def leave_to_parent(self) -> None:
        """Take no more rows, without the lock: in a forked child, a thread that does not exist may hold it."""
        self._open.reserved = 0
        self._limit = 0
