"""The batches in memory: the open one, those that wait, those on their way, and each row in one of them.

A batch is one string of lines, so memory is what it says it is, and sending it touches no row again.

Rules:
- The lock is the ledger's: re-entrant, and never held during I/O or a wait.
- Python lets in other threads, signal handlers and finalisers where a function is called or returns and where a loop
  begins anew; 3.11 finalisers also where a container is made. So values that belong together change with nothing of
  the kind in between, and what is looked through is copied first, in one step. Tests hold the code to that.
- The open batch takes rows without the lock, up to its `room`, which counts as taken; they are counted later. Whoever
  needs the queue to stand still holds the lock and calls `_catch_up`: then there is no room, and who has a row must
  ask for the lock. It has room from its second row on, so that there is always one who wakes listeners for it, and
  none where threads are let in at any line (see `is_straight_line_atomic`).
- A batch without rows is one that somebody is just beginning: it is left where it is.
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

from .._process.clock import Clock
from .._process.threads import is_straight_line_atomic
from .batch import Batch
from .ledger import Ledger, Reason

# A mark later than any row.
EVERYTHING = sys.maxsize


class Batches:
    """Hold rows in memory, at most so many bytes."""

    def __init__(
        self, ledger: Ledger, clock: Clock, *, wake: Callable[[], object], queue_bytes: int, batch_bytes: int
    ) -> None:
        # Never changed.
        self._ledger = ledger
        self._lock = ledger.lock
        self._clock = clock
        self._wake = wake
        self._queue_bytes = queue_bytes
        # A body has two brackets, and a comma where a line has its end, but for the last: one byte more than the lines.
        self._batch_bytes = batch_bytes - 1
        self._none = Batch(b"", 0, 0)
        # Batches in the order of their first rows. The open one is the last that was begun; it may be `_none`.
        self._waiting: deque[Batch] = deque()
        self._open = self._none
        self._taken: set[Batch] = set()
        # The bytes of all rows that wait or are on their way, and the open batch's room; and how many there may be.
        self._bytes = 0
        self._limit = queue_bytes
        # Batches that begin before this mark go at once: somebody flushes.
        self._urgent_before = 0
        self._waiters: list[SimpleQueue[None]] = []
        self._lost_for: Reason | None = None
        ledger.catch_up = self._catch_up

    # Rows come in.

    def _put(self, line: bytes) -> bool:
        """Take a row if there is room, in a new batch if need be; False if not, and then nothing is counted."""
        size = len(line)
        with self._lock:
            while True:
                # In one step, see the rules: the row, and room for those to come. First the room that is left is taken
                # back, so that even under a debugger no other thread's row comes in between.
                batch = self._open
                # One on disk may be another thread's, begun since it was found that this row goes through memory.
                is_in_memory = batch.segment is None
                if is_in_memory:
                    room, batch.room = batch.room, 0
                    batch.space += room
                    self._bytes -= room
                free = self._limit - self._bytes
                if is_in_memory and size <= batch.space and size <= free:
                    batch.data += line
                    batch.rows += 1
                    most = batch.space if batch.space < free else free  # noqa: FURB136 - `min` is a call
                    room = most - size if batch.gives_room else 0
                    batch.space -= size + room
                    self._bytes += size + room
                    batch.room = room
                    break
                if size > free:
                    return False
                # One that is interrupted here stays empty, or takes rows later: both are fine.
                begun = self._clock.monotonic()
                batch = Batch(bytearray(), 0, 0, since=begun, space=max(self._batch_bytes, size))
                self._waiting.append(batch)
                self._catch_up(batch)
        if not batch.is_known:
            try:
                self._wake()
                batch.gives_room = is_straight_line_atomic()
                batch.is_known = True
            except RecursionError:
                pass  # the row is in, and whatever is raised now would count it twice: the next one wakes
        return True

    def _catch_up(self, then: Batch | None = None) -> Batch:
        """Count the open batch's rows, take its room back, and open another if one is given; return what was open."""
        # In one step, see the rules; first the room, as in `_put`.
        batch, ledger = self._open, self._ledger
        if batch.segment is None:
            room, batch.room = batch.room, 0
            batch.space += room
            self._bytes -= room
            rows = batch.rows - batch.counted
            batch.counted += rows
            ledger.accepted += rows
            ledger.queued += rows
        if then is not None:
            then.number = ledger.accepted
            self._open = then
        return batch

    def _close_open(self) -> Batch:
        """Begin another batch with the next row."""
        return self._catch_up(self._none)

    def put_notice(self, line: bytes) -> bool:
        """Take a row of the library's own, if there is room: even while closing, but not in the end."""
        size = len(line)
        with self._lock:
            self._catch_up()
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
                    self._close_open()
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
                # Counted first: as long as it is among those taken, nobody drops it to make room.
                self._ledger.in_flight -= batch.rows
                if batch.segment is None:
                    self._ledger.queued += batch.rows
                else:
                    self._ledger.spooled += batch.rows
                self._taken.discard(batch)
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
            self._call_waiters()

    def reject(self, batch: Batch, answer: dict[str, Any]) -> str:  # noqa: ARG002 - kept where there is a directory
        """End a batch that the service has refused; return where its rows are kept, if they are."""
        self.settle(batch, rejected=True)
        return ""

    # Those who flush and close.

    def close(self) -> None:
        """Accept no more rows; nobody waits for room any longer."""
        with self._lock:
            self._limit = 0
            self._close_open()
            self._call_waiters()

    def urge(self) -> int:
        """Ask for all that waits to go now, and return the mark to wait for."""
        with self._lock:
            self._catch_up()
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
            self._catch_up()
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
                self._bytes -= len(batch.data)
                self._ledger.drop(reason, batch.rows, now, queued=batch.rows, is_notice=batch.is_notice)
                lost += batch.rows
            self._call_waiters()
            return lost
