"""Order batches, hand them out, take them back, and settle them, so that each row is counted once.

A row is settled when it is delivered, rejected or lost. The store keeps the rows until then (see `store`), and the
overflow policy decides about a row for which there is no room (see `overflow`).

Rules:
- The lock is the ledger's: re-entrant, and never held during I/O or a wait. Only a spool writes rows under it.
- Any thread calls `put` and `put_within`; signal handlers and finalizers call `put`, re-entrantly.
- Only `put_within` waits, and `put` if the policy is `Block`. Both wait without the lock.
- A batch belongs to the thread that took it, until it is settled or given back.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from .._process.clock import Clock
from .._process.real_threads import SimpleQueue
from .backlog import Backlog
from .batch import Batch, joined, separated
from .ledger import Ledger, Reason
from .overflow import Overflow
from .pipeline_state import PipelineState, State
from .store import Durable, Loaded, Put, Store

# A watermark later than any row.
EVERYTHING = sys.maxsize


class BatchQueue:
    """Queue rows until they are settled."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        clock: Clock,
        backlog: Backlog,
        store: Store,
        overflow: Overflow,
        state: PipelineState,
        wake: Callable[[], object],
        durable: Durable | None = None,
    ) -> None:
        """Queue rows in this store; `durable` is the store again if its rows survive the process."""
        self.lock = ledger.lock
        self._ledger = ledger
        self._clock = clock
        self._backlog = backlog
        self._store = store
        self._durable = durable
        self._overflow = overflow
        self._state = state
        self._wake = wake
        # Takes a row, or counts it as dropped and returns False. The store's own function, to save a call for each row.
        self.put: Put = store.fast_path(self._put)
        # Batches that begin before this watermark are due immediately, because a flush waits for them.
        self._urgent_before = 0
        # When the store is to be refreshed next; None if never.
        self._next_refresh: float | None = None
        self.settled_batches = 0
        # The number of threads that wait in a flush or close.
        self._flushes = 0

    def __repr__(self) -> str:
        return f"<BatchQueue {self._state.state.value} {self._backlog!r} store={self._store!r}>"

    # The application's side.

    def _put(self, line: bytes) -> bool:
        """Take a row, after the policy has made room for it if need be; or count it as dropped."""
        if self._store.append(line):
            return True
        if self._state.takes_rows and self._overflow.put(line, self):
            return True
        reason: Reason = self._store.why_full if self._state.takes_rows else "after_close"
        self._ledger.drop(reason, 1, self._clock.time(), accepted=1)
        return False

    def offer(self, line: bytes) -> bool:
        """Take a row if there is room; otherwise return False, and count nothing."""
        return self._store.append(line)

    def put_within(self, line: bytes, seconds: float) -> bool:
        """Take a row as soon as there is room; return False, and count nothing, if there is none within this time."""
        wakeups: SimpleQueue[None] = SimpleQueue()
        with self.lock:
            self._backlog.watch(wakeups)
        deadline = self._clock.monotonic() + seconds
        try:
            while not self._store.append(line):
                left = deadline - self._clock.monotonic()
                if left <= 0 or not self._state.takes_rows:
                    return False
                self._clock.wait(wakeups, left)
        finally:
            with self.lock:
                self._backlog.unwatch(wakeups)
        return True

    def drop_oldest(self, size: int) -> bool:
        """Drop the oldest rows until this many bytes fit; return False if that is not possible."""
        return self._store.make_room(size)

    def put_notice(self, line: bytes) -> bool:
        """Take a row of the library's own, if there is room: even while draining, but not once closed."""
        with self.lock:
            if self._state.is_closed or not self._store.append_notice(line):
                return False
        self._wake()
        return True

    # The delivering side.

    def refresh(self, now: float) -> None:
        """Adopt orphans from time to time, and report trouble of the store; called before `take`."""
        if self._durable is not None:
            self._next_refresh = self._durable.refresh(now, is_urgent=False, adopts=not self._state.is_closed)

    def is_ready(self, now: float, *, is_due: bool) -> bool:
        """Return whether `take` would hand out a batch."""
        with self.lock:
            return self._first(now, is_due=is_due) is not None

    def take(self, now: float, *, is_due: bool) -> Batch | None:
        """Hand out the oldest batch that may be sent, loaded: a full one, one given back, or the open one if due."""
        while True:
            with self.lock:
                batch = self._first(now, is_due=is_due)
                if batch is None:
                    return None
                if batch.is_open:
                    self._store.close_open()
                self._take(batch)
            if self._load(batch):
                return self._joined(batch, now)

    def _take(self, batch: Batch) -> None:
        self._backlog.take(batch)
        self._ledger.take(batch.rows, batch.place)

    def _load(self, batch: Batch) -> bool:
        """Load a taken batch; return False, and settle it or give it back, if it has no rows to send now."""
        try:
            loaded = self._store.load(batch)
        except BaseException:
            # MemoryError, Ctrl-C: the rows are still in the store.
            self.give_back(batch)
            raise
        if loaded is Loaded.LATER:
            self.give_back(batch)
        elif loaded is not Loaded.READY:
            self.settle(batch, lost="unreadable" if loaded is Loaded.UNREADABLE else None)
        return loaded is Loaded.READY

    def _joined(self, batch: Batch, now: float) -> Batch:
        """Join a batch that a dead process left with others, so that many small files cost few requests."""
        if self._durable is None or not batch.is_adopted:
            return batch
        with self.lock:
            others = self._durable.companions(batch, now)
            for other in others:
                self._take(other)
        try:
            members = [batch, *[other for other in others if self._load(other)]]
            whole = joined(members)
        except BaseException:
            for other in reversed([batch, *others]):
                self.give_back(other)
            raise
        if whole is not batch:
            with self.lock:
                self._backlog.join(members, whole)
        return whole

    def _first(self, now: float, *, is_due: bool) -> Batch | None:
        """Return the oldest batch that may be sent; while a flush waits, its batches go before adopted ones."""
        if self._store.is_writing:
            return None
        oldest: Batch | None = None
        for batch in list(self._backlog.waiting):
            if batch.is_open and not is_due and batch.first_row >= self._urgent_before:
                continue
            if not batch.has_rows or batch.attempts.not_before > now:
                continue
            if oldest is None:
                oldest = batch
                if not batch.is_adopted or not self._urgent_before:
                    break
            elif not batch.is_adopted and batch.first_row < self._urgent_before:
                return batch
        return oldest

    def open_since(self) -> float | None:
        """Return when the open batch began, if there is one that this process sends."""
        with self.lock:
            return self._store.open_since()

    def next_event_at(self) -> float | None:
        """Return when the next batch that was given back may be sent, or a refresh is due; None if neither is."""
        with self.lock:
            waiting = [batch for batch in list(self._backlog.waiting) if not batch.is_open and batch.has_rows]
            moments = [batch.attempts.not_before for batch in waiting]
            refresh = self._next_refresh
            return min(moments if refresh is None else [*moments, refresh], default=None)

    def give_back(self, batch: Batch) -> None:
        """Return a taken batch to its place in the order; once closed, hand it over or count it as lost."""
        if not self._backlog.is_taken(batch):
            return
        batches = separated(batch)
        for each in batches:
            self._store.unload(each)
        with self.lock:
            if batch.members:
                self._backlog.divide(batch, batches)
            for each in reversed(batches):
                self._give_back(each)
        if self._state.is_closed:
            self.release_ownership()
        else:
            self._wake()

    def _give_back(self, batch: Batch) -> None:
        if not self._state.is_closed:
            self._backlog.insert(batch)
            # Count first, remove from the taken ones second. Until it is removed, `oldest` skips the batch, so no other
            # call can drop it while the counters are wrong.
            self._ledger.give_back(batch.rows, batch.place)
            self._backlog.untake(batch)
        else:
            self._leave_given_back(batch)

    def _leave_given_back(self, batch: Batch) -> None:
        """End a batch that is given back once the pipeline is closed."""
        self._ledger.give_back(batch.rows, batch.place)
        self._backlog.untake(batch)
        self._leave(batch)
        self.settled_batches += 1
        self._backlog.notify()

    def _leave(self, batch: Batch) -> int:
        """Hand a waiting batch over to the next process, or count its rows as lost; return how many are lost."""
        if self._durable is not None and self._durable.hand_over(batch):
            return 0
        self._store.release(batch)
        self._ledger.drop("closed", batch.rows, self._clock.time(), queued=batch.rows, is_notice=batch.is_notice)
        return batch.rows

    def replace(self, batch: Batch, parts: list[Batch]) -> None:
        """Replace a taken batch by its parts."""
        with self.lock:
            # The parts of a joined batch have files of their own.
            if not batch.members:
                self._store.divide(batch, parts)
            self._backlog.divide(batch, parts)

    def settle(self, batch: Batch, *, is_rejected: bool = False, lost: Reason | None = None) -> None:
        """Settle a taken batch as delivered, rejected, or lost for a reason; a second call does nothing."""
        if not self._backlog.is_taken(batch):
            return
        # Released before it is counted, so that no other process finds rows on disk that are counted as settled.
        for each in batch.members or (batch,):
            self._store.release(each)
        with self.lock:
            self._backlog.untake(batch)
            now = self._clock.time()
            if lost:
                self._ledger.drop(lost, batch.rows, now, in_flight=batch.rows, is_notice=batch.is_notice)
            elif is_rejected:
                self._ledger.reject(batch.rows, now)
            else:
                self._ledger.deliver(batch.rows)
            self.settled_batches += 1
            self._backlog.notify()

    def reject(self, batch: Batch, answer: dict[str, Any]) -> str:
        """Settle a batch that the service rejected; return the file that keeps its rows, or ""."""
        kept = "" if self._durable is None else self._durable.keep_rejected(batch, answer)
        self.settle(batch, is_rejected=True)
        return kept

    # Flush and close.

    def make_all_due(self) -> int:
        """Make all waiting batches due now, and return the watermark to wait for."""
        if self._durable is not None:
            self._durable.refresh(self._clock.monotonic(), is_urgent=True, adopts=not self._state.is_closed)
        with self.lock:
            self._ledger.catch_up()
            self._urgent_before = self._ledger.accepted
            for batch in list(self._backlog.waiting):
                batch.attempts.not_before = 0.0
            return self._urgent_before

    def is_settled(self, watermark: int) -> bool:
        """Return whether all rows before the watermark are settled; `EVERYTHING` includes adopted rows."""
        with self.lock:
            # Adopted rows come first, with negative numbers.
            first = -EVERYTHING if watermark == EVERYTHING else 0
            return not any(first <= batch.first_row < watermark and batch.has_rows for batch in self._backlog.all())

    def settled_count(self) -> int:
        """Return how many rows, counted from the first one put, are settled without a gap."""
        with self.lock:
            self._ledger.catch_up()
            first_rows = [batch.first_row for batch in self._backlog.all() if batch.first_row >= 0 and batch.has_rows]
            return min(first_rows, default=self._ledger.accepted)

    def since(self) -> float | None:
        """Return when the oldest row came that is not settled; None if every row is."""
        with self.lock:
            self._ledger.catch_up()
            return self._backlog.since()

    @property
    def batches_in_flight(self) -> int:
        """Return how many batches are being sent."""
        return self._backlog.taken

    @property
    def is_empty(self) -> bool:
        """Return whether no row waits or is in flight."""
        return not self._backlog.has_rows()

    def watch(self, wakeups: SimpleQueue[None]) -> None:
        """Put a wake-up into this queue whenever a batch is settled, because a flush waits for it."""
        with self.lock:
            self._backlog.watch(wakeups)
            self._flushes += 1

    def unwatch(self, wakeups: SimpleQueue[None]) -> None:
        """Put no more wake-ups into this queue."""
        with self.lock:
            self._flushes -= 1
            self._backlog.unwatch(wakeups)

    @property
    def is_flushing(self) -> bool:
        """Return whether a flush or close waits for rows."""
        return self._flushes > 0

    def begin_closing(self) -> bool:
        """Note that the pipeline will close once dictConfig is done; return False if it does not take rows any more."""
        with self.lock:
            return self._state.move(State.CLOSING)

    def begin_drain(self) -> bool:
        """Take no more rows for this process to send, and end all waits for room; return False if that was done."""
        with self.lock:
            if not self._state.move(State.DRAINING):
                return False
            self._store.close()
            self._backlog.notify()
            return True

    def close(self) -> int:
        """End draining: hand waiting rows over to the next process, or count them as lost, also those given back later.

        Return how many rows are lost now.
        """
        with self.lock:
            self._state.move(State.CLOSED)
            # Again: a forked child may begin in the state CLOSED.
            self._store.close()
            lost = 0
            while (batch := self._backlog.take_next()) is not None:
                lost += self._leave(batch)
            self._backlog.notify()
        self.release_ownership()
        return lost

    def release_ownership(self) -> None:
        """Let other processes adopt the rows that are left on disk, once none of them is in flight."""
        if self._durable is not None:
            self._durable.release_ownership()

    def rows_in_memory(self) -> list[bytes]:
        """Return the waiting rows that are in memory, in a forked child that delivers them in its parent's place."""
        # A copy: no thread of this child changes the queue, but a signal handler may.
        return [line for batch in list(self._backlog.waiting) for line in bytes(batch.data).splitlines(keepends=True)]

    def leave_to_parent(self) -> None:
        """Take no more rows, in a forked child; all rows in the queue are the parent's."""
        # Its own, because the pipeline goes on with another queue.
        self._state = PipelineState(State.CLOSED)
        self._store.leave_to_parent()
