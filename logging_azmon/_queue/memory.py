"""The bounded queue in memory, as the application's threads see it: a row goes in, or what `overflow` says happens.

Rules: see `batches`, whose lock and open batch are used here. `put` is called by any thread, also by signal handlers
and finalisers in the middle of another call on the same thread. It waits only with overflow="block", without the lock.
"""

from __future__ import annotations

from queue import SimpleQueue
from typing import Any

from .._process import feedback
from .._process.threads import holds, runs_event_loop
from .batch import Batch
from .batch_queue import Batches
from .ledger import Reason


class MemoryBuffer(Batches):
    """Queue rows in memory, at most so many bytes."""

    def __init__(self, *args: Any, overflow: str, block_seconds: float, **more: Any) -> None:
        super().__init__(*args, **more)
        self._overflow = overflow
        self._block_seconds = block_seconds
        self._has_waited_in_vain = False

    def put(self, line: bytes) -> bool:
        """Take a row, or count it as dropped and return False."""
        size = len(line)
        batch = self._open
        # In one step, see the rules of `batches`; and in one line, so that no debugger is let in either. What nearly
        # all rows need; the rest is for `_put`.
        if size <= batch.room: batch.data += line; batch.room -= size; batch.rows += 1; return True  # fmt: skip # noqa: E701, E702
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

    def _make_room(self, size: int) -> bool:
        """Drop the oldest rows that wait until so many bytes find room; those on their way cannot be dropped."""
        with self._lock:
            while True:
                self._catch_up()
                missing = self._bytes + size - self._limit
                if missing <= 0:
                    return True
                oldest = self._oldest()
                if oldest is None or size > self._limit:  # which is 0 once another thread has closed
                    return False
                if oldest is self._open:
                    self._close_open()
                self._drop_first_rows(oldest, missing)

    def _oldest(self, *, is_on_disk: bool = False) -> Batch | None:
        for batch in list(self._waiting):
            # One that somebody is just taking is on its way.
            if batch.has_rows and batch not in self._taken and (batch.segment is not None) is is_on_disk:
                return batch
        return None

    def _drop_first_rows(self, batch: Batch, least_bytes: int) -> None:
        now = self._clock.time()
        rows_before = batch.rows
        data = batch.data if isinstance(batch.data, bytearray) else bytearray(batch.data)
        end = data.find(b"\n", least_bytes - 1) + 1 or len(data)
        rows = data.count(b"\n", 0, end)
        first = slice(end)
        # Or else this was interrupted by another that did the same, or by a flush that has sent them.
        if batch.rows == rows_before and batch in self._waiting:
            # A bytearray gives up its first bytes without moving the rest.
            del data[first]
            batch.data = data
            batch.rows -= rows
            batch.number += rows
            self._bytes -= end
            self._ledger.drop("queue_full", rows, now, queued=rows, is_notice=batch.is_notice)
            if not batch.rows and batch in self._waiting:
                self._waiting.remove(batch)

    def _put_when_there_is_room(self, line: bytes) -> bool:
        """Wait once; whoever has waited in vain stops the others from doing so, until there is room again."""
        # Who is in the middle of `put`, delivers, or runs an event loop must not wait.
        is_busy = holds(self._lock) or feedback.is_delivering() or runs_event_loop()
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

    def settle(self, batch: Batch, *, rejected: bool = False, lost: Reason | None = None) -> None:
        """End a batch, once: delivered, unless it was rejected by the service, or lost for a reason."""
        super().settle(batch, rejected=rejected, lost=lost)
        self._has_waited_in_vain = False
