"""The bounded queue in memory: rows in, batches out.

Rows are lines of JSON. A full batch is one byte string, so memory is what it says it is, and sending it touches no row
again; only the lines of the open one are apart, because appending to bytes moves them again and again.

Rules:
- `put` is called by the application's threads, also by signal handlers and finalisers in the middle of another call
  on the same thread. The lock is the ledger's: re-entrant, and never held during I/O or a wait.
- Python runs signal handlers and finalisers where a call returns, and 3.11 finalisers also where an object is made. So
  values that belong together change without either in between, and what is looked through is copied first, in one step.
- A batch belongs to whoever took it until it is settled or given back. Its bytes count until it is settled.
- A batch with a `segment` has its rows on disk, and is counted there: see `spool`, which adds such batches.
- `_waiters` get a token whenever something is settled; nobody waits under the lock.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from . import guard
from .batch import Batch
from .clock import Clock
from .holding import holds, runs_event_loop
from .ledger import Ledger, Reason

# A mark later than any row.
EVERYTHING = sys.maxsize


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
        self._none = Batch(b"", 0, 0)
        # Batches in the order of their first rows. The open one is the last that was begun; it may be `_none`.
        self._waiting: deque[Batch] = deque()
        self._open = self._none
        self._taken: set[Batch] = set()
        # The bytes of all rows that wait or are on their way, and how many there may be.
        self._bytes = 0
        self._limit = queue_bytes
        # Batches that begin before this mark go at once: somebody flushes.
        self._urgent_before = 0
        self._waiters: list[SimpleQueue[None]] = []
        self._has_waited_in_vain = False
        self._lost_for: Reason | None = None

    # The application's side.

    def put(self, line: bytes) -> bool:
        """Take a row, or count it as dropped and return False."""
        # What nearly all rows need, without a further call; `_put` does the same for the rest.
        size, row = len(line), (line,)
        with self._lock:
            batch = self._open
            if size <= batch.room and self._bytes + size <= self._limit:
                lines = batch.lines
                lines += row
                batch.room -= size
                batch.rows += 1
                self._bytes += size
                ledger = self._ledger
                ledger.accepted += 1
                ledger.queued += 1
                return True
        return self._put_or_drop(line)

    def _put_or_drop(self, line: bytes) -> bool:
        """Take a row, with the room that `overflow` makes for it; or count it as dropped."""
        if self._put(line):
            return True
        if self._limit:
            if self._overflow == "drop_old" and self._make_room(len(line)) and self._put(line):
                return True
            if self._overflow == "block" and self._put_when_there_is_room(line):
                return True
        self._ledger.drop(self._full() if self._limit else "after_close", 1, self._clock.time(), accepted=1)
        return False

    def _full(self) -> Reason:
        """Say why a row finds no room."""
        return "queue_full"

    def _put(self, line: bytes) -> bool:
        """Take a row if there is room, in a new batch if need be; False if not, and then nothing is counted."""
        size, row = len(line), (line,)
        has_begun = False
        with self._lock:
            while self._bytes + size <= self._limit:
                batch = self._open
                # One on disk may be another thread's, begun since it was found that this row goes through memory.
                if size <= batch.room and batch.segment is None:
                    batch.lines += row
                    batch.room -= size
                    batch.rows += 1
                    self._bytes += size
                    self._ledger.accepted += 1
                    self._ledger.queued += 1
                    break
                # One that is interrupted here stays empty, or takes rows later: both are fine.
                begun = self._clock.monotonic()
                batch = Batch(b"", 0, self._ledger.accepted, max(self._batch_bytes, size), begun, lines=[])
                self._waiting.append(batch)
                self._open, full = batch, self._open
                full.join()
                has_begun = True
            else:
                return False
        if has_begun:
            self._wake_for_first_row()
        return True

    def _close_open(self) -> None:
        """Begin another batch with the next row."""
        batch, self._open = self._open, self._none
        batch.join()

    def _wake_for_first_row(self) -> None:
        try:
            self._wake()
        except RecursionError:
            # The row is in: whatever is raised now would count it twice. The next one begins a batch, and wakes.
            self._open = self._none

    def put_notice(self, line: bytes) -> bool:
        """Take a row of the library's own, if there is room: even while closing, but not in the end."""
        size = len(line)
        with self._lock:
            if self._lost_for or self._bytes + size > self._queue_bytes:
                return False
            batch = Batch(b"", 0, self._ledger.accepted, is_notice=True)
            self._waiting.append(batch)
            batch.data = line
            batch.rows = 1
            self._bytes += size
            self._ledger.accepted += 1
            self._ledger.queued += 1
        self._wake()
        return True

    def close(self) -> None:
        """Accept no more rows; nobody waits for room any longer."""
        with self._lock:
            self._limit = 0
            self._call_waiters()

    def _make_room(self, size: int) -> bool:
        """Drop the oldest rows that wait until so many bytes find room; those on their way cannot be dropped."""
        with self._lock:
            while self._bytes + size > self._limit:
                oldest = self._oldest()
                if oldest is None or size > self._limit:  # which is 0 once another thread has closed
                    return False
                if oldest is self._open:
                    self._close_open()
                if oldest.rows:
                    self._drop_first_rows(oldest, self._bytes + size - self._limit)
                else:
                    self._waiting.remove(oldest)
            return True

    def _oldest(self, *, is_on_disk: bool = False) -> Batch | None:
        for batch in list(self._waiting):
            if (batch.segment is not None) is is_on_disk:
                return batch
        return None

    def _drop_first_rows(self, batch: Batch, least_bytes: int) -> None:
        now = self._clock.time()
        batch.join()
        rows_before = batch.rows
        data = batch.data if isinstance(batch.data, bytearray) else bytearray(batch.data)
        end = data.find(b"\n", least_bytes - 1) + 1 or len(data)
        rows = data.count(b"\n", 0, end)
        first = slice(end)
        if batch.rows == rows_before:  # or else this was interrupted by another that did the same
            # A bytearray gives up its first bytes without moving the rest.
            del data[first]
            batch.data = data
            batch.rows -= rows
            batch.number += rows
            self._bytes -= end
            self._ledger.drop("queue_full", rows, now, queued=rows, is_notice=batch.is_notice)

    def _put_when_there_is_room(self, line: bytes) -> bool:
        """Wait once; whoever has waited in vain stops the others from doing so, until there is room again."""
        # Who is in the middle of `put`, delivers, or runs an event loop must not wait.
        is_busy = holds(self._lock) or guard.is_delivering() or runs_event_loop()
        if is_busy or self._has_waited_in_vain:
            return False
        self._has_waited_in_vain = not self.put_within(self._block_seconds, line)
        return not self._has_waited_in_vain

    def put_within(self, seconds: float, line: bytes) -> bool:
        """Take a row as soon as there is room; False if there was none for so long, and then nothing is counted."""
        waiter: SimpleQueue[None] = SimpleQueue()
        self.watch(waiter)
        deadline = self._clock.monotonic() + seconds
        try:
            while not self._put(line):
                left = deadline - self._clock.monotonic()
                if left <= 0 or self._limit == 0:
                    return False
                self._clock.wait(waiter, left)
        finally:
            self.unwatch(waiter)
        return True

    # The delivering side.

    def is_ready(self, now: float, *, is_due: bool) -> bool:
        """Tell whether `take` would hand out a batch."""
        with self._lock:
            return self._first(now, is_due=is_due) is not None

    def take(self, now: float, *, is_due: bool) -> Batch | None:
        """Hand out the oldest batch that may go: a full one, one given back, or the open one if it is due."""
        with self._lock:
            batch = self._first(now, is_due=is_due)
            if batch is not None:
                if batch is self._open:
                    self._open = self._none
                batch.join()
                self._taken.add(batch)
                self._waiting.remove(batch)
                if batch.segment is None:
                    self._ledger.queued -= batch.rows
                else:
                    self._ledger.spooled -= batch.rows
                self._ledger.in_flight += batch.rows
            return batch

    def _first(self, now: float, *, is_due: bool) -> Batch | None:
        """Return the oldest batch that may go; the open one only if it is due, or if somebody flushes for it."""
        for batch in list(self._waiting):
            if batch is self._open and not is_due and batch.number >= self._urgent_before:
                continue
            if batch.has_rows and batch.not_before <= now:
                return batch
        return None

    def look(self, now: float) -> None:
        """Look around for more rows, where there may be some; called before a batch is asked for."""

    def open_since(self) -> float | None:
        """Tell when the open batch began, if there is one."""
        with self._lock:
            return self._open.since if self._open.rows else None

    def next_retry(self) -> float | None:
        """Tell when the first of those that were given back may go, if there are any."""
        with self._lock:
            waiting = [batch for batch in list(self._waiting) if batch is not self._open and batch.has_rows]
            return min((batch.not_before for batch in waiting), default=None)

    def give_back(self, batch: Batch) -> None:
        """Queue a batch again, before those that came later; or count it as lost if that is too late."""
        with self._lock:
            if self._lost_for:
                self.settle(batch, lost=self._lost_for)
                return
            if batch in self._taken:
                places = enumerate(list(self._waiting))
                self._waiting.insert(
                    next((place for place, other in places if other.number >= batch.number), len(self._waiting)), batch
                )
                self._taken.discard(batch)
                self._ledger.in_flight -= batch.rows
                if batch.segment is None:
                    self._ledger.queued += batch.rows
                else:
                    self._ledger.spooled += batch.rows
        self._wake()

    def replace(self, batch: Batch, parts: list[Batch]) -> None:
        """Exchange a taken batch for its parts."""
        with self._lock:
            growth = sum(len(part.data) for part in parts) - len(batch.data)
            self._taken.update(parts)
            self._taken.discard(batch)
            if batch.segment is None:
                self._bytes += growth

    def settle(self, batch: Batch, *, rejected: bool = False, lost: Reason | None = None) -> None:
        """End a batch, once: delivered, unless it was rejected by the service, or lost for a reason."""
        with self._lock:
            if batch not in self._taken:
                return
            now = self._clock.time()
            size = len(batch.data)
            self._taken.discard(batch)
            if batch.segment is None:
                self._bytes -= size
            if lost:
                self._ledger.drop(lost, batch.rows, now, in_flight=batch.rows, is_notice=batch.is_notice)
            elif rejected:
                self._ledger.in_flight -= batch.rows
                self._ledger.rejected += batch.rows
            else:
                self._ledger.in_flight -= batch.rows
                self._ledger.delivered += batch.rows
            self._has_waited_in_vain = False
            self._call_waiters()

    def reject(self, batch: Batch, answer: dict[str, Any]) -> str:  # noqa: ARG002 - kept where there is a directory
        """End a batch that the service has refused; return where its rows are kept, if they are."""
        self.settle(batch, rejected=True)
        return ""

    # Those who flush and close.

    def urge(self) -> int:
        """Ask for all that waits to go now, and return the mark to wait for."""
        with self._lock:
            self._urgent_before = self._ledger.accepted
            for batch in list(self._waiting):
                batch.not_before = 0.0
            return self._urgent_before

    def is_settled(self, mark: int) -> bool:
        """Tell whether every row put before the mark has found its end."""
        with self._lock:
            # What came from dead processes has numbers below 0, and is waited for only by whoever waits for all.
            first = 0 if mark < EVERYTHING else -EVERYTHING
            batches = (*self._waiting, *self._taken)
            return not any(batch.has_rows and first <= batch.number < mark for batch in batches)

    def settled_before(self) -> int:
        """Count the rows, from the first one put, that have all found their end."""
        with self._lock:
            batches = (*self._waiting, *self._taken)
            left = [batch.number for batch in batches if batch.has_rows and batch.number >= 0]
            return min(left, default=self._ledger.accepted)

    @property
    def is_empty(self) -> bool:
        """Tell whether no row waits or is on its way."""
        return self._bytes == 0

    def watch(self, waiter: SimpleQueue[None]) -> None:
        """Put a token into this queue whenever a batch is settled."""
        with self._lock:
            self._waiters.append(waiter)

    def unwatch(self, waiter: SimpleQueue[None]) -> None:
        """Put no more tokens into this queue."""
        with self._lock:
            self._waiters.remove(waiter)

    def _call_waiters(self) -> None:
        for waiter in list(self._waiters):
            waiter.put(None)

    def leave(self) -> None:
        """Let others have what is left, where there is something to leave."""

    def disown(self) -> None:
        """Leave all to the parent, in a forked child."""

    def abandon(self, reason: Reason) -> int:
        """Count all that waits as lost, and what is still given back; return how many rows that is now."""
        with self._lock:
            self._lost_for = reason
            self._limit = 0
            self._close_open()
            now = self._clock.time()
            lost = 0
            while self._waiting:
                batch = self._waiting.popleft()
                batch.join()
                self._bytes -= len(batch.data)
                self._ledger.drop(reason, batch.rows, now, queued=batch.rows, is_notice=batch.is_notice)
                lost += batch.rows
            self._call_waiters()
            return lost
