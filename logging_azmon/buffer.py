"""The bounded queue in memory: rows in, batches out.

Rows are lines of JSON, kept end to end in byte strings of a batch's size: memory is what it says it is, and neither
sealing nor sending touches a row again.

Rules:
- `put` is called by the application's threads, also by signal handlers and finalisers in the middle of another `put`
  of the same thread. The lock is the ledger's: re-entrant, and never held during I/O or a wait.
- Where `put` and `_cut_off` read and write the open batch, they call nothing: Python runs signal handlers and
  finalisers only between calls, so that nothing of the same thread can come in between.
- A batch belongs to whoever took it until it is settled or given back. Its bytes count until it is settled.
- `_waiters` get a token whenever something is settled; nobody waits under the lock.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue

from . import guard
from .clock import Clock
from .report import Ledger


@dataclass(eq=False, slots=True)
class Batch:
    """Hold rows on their way, and what has been tried with them."""

    data: bytes | bytearray
    rows: int
    # The number of its first row: a flush waits until no batch is left that begins before its mark.
    number: int
    notices: int = 0
    tries: int = 0
    first_try: float | None = None
    not_before: float = 0.0
    # Requests that splitting may still cost, shared by all pieces of one batch.
    split_budget: list[int] = field(default_factory=list)
    is_shrunk: bool = False


class MemoryBuffer:
    """Queue rows in memory, at most so many bytes."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        *,
        wake: Callable[[], None],
        queue_bytes: int,
        batch_bytes: int,
        overflow: str,
        block_seconds: float,
    ) -> None:
        # Never changed.
        self._ledger = ledger
        self._lock = ledger.lock
        self._clock = clock
        self._wake = wake
        self._queue_bytes = queue_bytes
        # A body has two brackets, and a comma where a line has its end, but for the last: one byte more than the lines.
        self._batch_bytes = batch_bytes - 1
        self._overflow = overflow
        self._block_seconds = block_seconds
        # The open batch: its lines, their number, what it still has room for (0 where there is none), its beginning.
        self._data = bytearray()
        self._rows = 0
        self._room = 0
        self._since = 0.0
        self._notices = 0
        # Everything else that waits or is on its way.
        self._sealed: deque[Batch] = deque()
        self._taken: set[Batch] = set()
        self._bytes = 0
        self._limit = queue_bytes
        self._next_number = 0
        self._urgent_before = 0
        self._waiters: list[SimpleQueue[None]] = []
        self._has_waited_in_vain = False

    # The application's side.

    def put(self, line: bytes) -> bool:
        """Take a row, or count it as dropped and return False."""
        if self._put(line):
            return True
        if self._limit == 0:
            return self._refuse("after_close")
        if self._overflow == "drop_old" and self._make_room(len(line)) and self._put(line):
            return True
        if self._overflow == "block" and self._put_when_there_is_room(line):
            return True
        return self._refuse("queue_full")

    def _put(self, line: bytes) -> bool:
        size = len(line)
        begun = False
        with self._lock:
            while self._bytes + size <= self._limit:
                if size <= self._room:
                    self._data += line
                    self._room -= size
                    self._bytes += size
                    self._rows += 1
                    self._next_number += 1
                    self._ledger.accepted += 1
                    self._ledger.queued += 1
                    break
                self._begin_batch()
                begun = True
            else:
                return False
        if begun:
            self._wake()
        return True

    def put_notice(self, line: bytes) -> bool:
        """Take a row of the library's own if there is room, even while closing."""
        with self._lock:
            limit, self._limit = self._limit, self._queue_bytes
            is_in = self._put(line)
            self._limit = limit
            self._notices += is_in
            return is_in

    def close(self) -> None:
        """Accept no more rows."""
        with self._lock:
            self._limit = 0

    @property
    def is_closed(self) -> bool:
        """Tell whether rows are refused for good."""
        return self._limit == 0

    def _refuse(self, reason: str) -> bool:
        with self._lock:
            self._ledger.accepted += 1
            self._ledger.drop(reason, 1, self._clock.time())
        return False

    def _begin_batch(self) -> None:
        batch = self._cut_off()
        if batch is not None:
            self._sealed.append(batch)
        self._since = self._clock.monotonic()
        self._room = self._batch_bytes

    def _cut_off(self) -> Batch | None:
        """Take the open batch away, in one step."""
        fresh = bytearray()
        data, rows, notices, self._data, self._rows, self._notices, self._room = (
            self._data,
            self._rows,
            self._notices,
            fresh,
            0,
            0,
            0,
        )
        return Batch(data, rows, self._next_number - rows, notices) if rows else None

    def _make_room(self, size: int) -> bool:
        """Drop the oldest rows that wait; those on their way cannot be dropped."""
        with self._lock:
            while self._bytes + size > self._limit:
                if not self._sealed:
                    batch = self._cut_off()
                    if batch is None:
                        return False
                    self._sealed.append(batch)
                self._drop_first_rows(self._sealed[0], self._bytes + size - self._limit)
            return True

    def _drop_first_rows(self, batch: Batch, excess: int) -> None:
        end = batch.data.find(b"\n", excess - 1) + 1
        if end in (0, len(batch.data)):
            self._sealed.popleft()
            end, rows, notices = len(batch.data), batch.rows, batch.notices
        else:
            rows, notices = batch.data.count(b"\n", 0, end), 0
            # A bytearray gives up its first bytes without moving the rest.
            batch.data = data = batch.data if isinstance(batch.data, bytearray) else bytearray(batch.data)
            del data[:end]
            batch.rows -= rows
            batch.number += rows
        self._bytes -= end
        self._ledger.queued -= rows
        self._ledger.drop("queue_full", rows, self._clock.time(), notices=notices)

    def _put_when_there_is_room(self, line: bytes) -> bool:
        """Wait once; whoever has waited in vain stops the others from doing so, until there is room again."""
        if self._has_waited_in_vain or self._must_not_wait():
            return False
        waiter: SimpleQueue[None] = SimpleQueue()
        self.watch(waiter)
        deadline = self._clock.monotonic() + self._block_seconds
        try:
            while not self._put(line):
                left = deadline - self._clock.monotonic()
                if left <= 0 or self._limit == 0:
                    self._has_waited_in_vain = True
                    return False
                self._clock.wait(waiter, left)
        finally:
            self.unwatch(waiter)
        return True

    def _must_not_wait(self) -> bool:
        """Tell whether this thread is in the middle of `put`, delivers, or runs an event loop."""
        if self._lock._is_owned() or guard.is_delivering():  # type: ignore[attr-defined]  # noqa: SLF001 - as Condition does
            return True
        asyncio = sys.modules.get("asyncio")
        return asyncio is not None and asyncio._get_running_loop() is not None  # noqa: SLF001 - documented, but for the name

    # The delivering side.

    def is_ready(self, now: float, *, is_due: bool) -> bool:
        """Tell whether `take` would hand out a batch."""
        with self._lock:
            return any(batch.not_before <= now for batch in self._sealed) or self._open_may_go(is_due=is_due)

    def take(self, now: float, *, is_due: bool) -> Batch | None:
        """Hand out the oldest batch that may go: a full one, one given back, or the open one if it is due."""
        with self._lock:
            batch = next((batch for batch in self._sealed if batch.not_before <= now), None)
            if batch is not None:
                self._sealed.remove(batch)
            elif self._open_may_go(is_due=is_due):
                batch = self._cut_off()
            if batch is not None:
                self._taken.add(batch)
                self._ledger.queued -= batch.rows
                self._ledger.in_flight += batch.rows
            return batch

    def _open_may_go(self, *, is_due: bool) -> bool:
        return self._rows > 0 and (is_due or self._next_number - self._rows < self._urgent_before)

    def open_since(self) -> float | None:
        """Tell when the open batch began, if there is one."""
        with self._lock:
            return self._since if self._rows else None

    def next_retry(self) -> float | None:
        """Tell when the first of the sealed batches may go, if there are any."""
        with self._lock:
            return min((batch.not_before for batch in self._sealed), default=None)

    def give_back(self, batch: Batch) -> None:
        """Queue a batch again, in front."""
        with self._lock:
            self._taken.discard(batch)
            self._ledger.in_flight -= batch.rows
            self._ledger.queued += batch.rows
            self._sealed.appendleft(batch)
        self._wake()

    def replace(self, batch: Batch, pieces: list[Batch]) -> None:
        """Exchange a taken batch for its pieces."""
        with self._lock:
            self._taken.discard(batch)
            self._taken.update(pieces)
            self._bytes += sum(len(piece.data) for piece in pieces) - len(batch.data)

    def settle(self, batch: Batch, *, rejected: bool = False, lost: str = "") -> None:
        """End a batch: delivered, unless it was rejected by the service, or lost for a reason."""
        with self._lock:
            self._taken.discard(batch)
            self._ledger.in_flight -= batch.rows
            if lost:
                self._ledger.drop(lost, batch.rows, self._clock.time(), notices=batch.notices)
            elif rejected:
                self._ledger.rejected += batch.rows
            else:
                self._ledger.delivered += batch.rows
            self._free(len(batch.data))

    def _free(self, size: int) -> None:
        self._bytes -= size
        self._has_waited_in_vain = False
        for waiter in self._waiters:
            waiter.put(None)

    # Those who flush and close.

    def urge(self) -> int:
        """Ask for all that waits to go now, and return the mark to wait for."""
        with self._lock:
            self._urgent_before = self._next_number
            for batch in self._sealed:
                batch.not_before = 0.0
            return self._next_number

    def is_settled(self, mark: int) -> bool:
        """Tell whether every row put before the mark has found its end."""
        with self._lock:
            if self._rows and self._next_number - self._rows < mark:
                return False
            return all(batch.number >= mark for batch in (*self._sealed, *self._taken))

    @property
    def is_empty(self) -> bool:
        """Tell whether no row waits or is on its way."""
        with self._lock:
            return not (self._rows or self._sealed or self._taken)

    def watch(self, waiter: SimpleQueue[None]) -> None:
        """Put a token into this queue whenever a batch is settled."""
        with self._lock:
            self._waiters.append(waiter)

    def unwatch(self, waiter: SimpleQueue[None]) -> None:
        """Stop that."""
        with self._lock:
            self._waiters.remove(waiter)

    def abandon(self, reason: str) -> int:
        """Count all that waits as lost, and return how many rows that was."""
        with self._lock:
            batch = self._cut_off()
            if batch is not None:
                self._sealed.append(batch)
            rows = sum(batch.rows for batch in self._sealed)
            for batch in self._sealed:
                self._ledger.queued -= batch.rows
                self._ledger.drop(reason, batch.rows, self._clock.time(), notices=batch.notices)
            size = sum(len(batch.data) for batch in self._sealed)
            self._sealed.clear()
            self._free(size)
            return rows
