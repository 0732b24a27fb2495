"""Waits until rows have found their end, on behalf of those who flush and close.

Rules: no lock of ours is held. What no listener can deliver is delivered by who waits. Waits of the default length that
follow each other, as a flush and a close at the end do, share one deadline; the process's exit shortens all of them.
"""

from __future__ import annotations

from queue import SimpleQueue

from .._delivery.listeners import Listeners
from .._process import at_exit
from .._process.clock import Clock
from .._process.threads import holds
from .._queue.batch_queue import BatchQueue
from .._queue.ledger import Ledger

# While somebody waits for listeners, he looks this often whether there are any: soon, then seldom.
_FIRST_LOOK_SECONDS = 0.005
_LOOK_SECONDS = 0.5
# A close right after a flush that waited in vain does not wait a second time.
_SAME_SHUTDOWN_SECONDS = 1.0


class Waiting:
    """Wait for the rows of one pipeline."""

    def __init__(
        self, close_seconds: float, clock: Clock, ledger: Ledger, buffer: BatchQueue, listeners: Listeners
    ) -> None:
        self._close_seconds = close_seconds
        self._clock = clock
        self._ledger = ledger
        self._buffer = buffer
        self._listeners = listeners
        # When waits of the default length end, and when one last ended in vain.
        self._patience_ends = float("-inf")
        self._gave_up_at = float("-inf")

    def deadline(self, timeout: float | None) -> float:
        """Return when a wait that begins now has to end; None stands for `close_seconds`."""
        now = self._clock.monotonic()
        if timeout is not None:
            deadline = now + timeout
        else:
            if now - self._gave_up_at >= _SAME_SHUTDOWN_SECONDS:
                self._patience_ends = now + self._close_seconds
            deadline = self._patience_ends
        left = at_exit.seconds_left()
        return deadline if left is None else min(deadline, now + left)

    def wait(self, mark: int, deadline: float, *, is_patient: bool) -> bool:
        """Wait until all before the mark is settled; True if that is so, and nothing was dropped meanwhile."""
        lost_before = self._lost()
        waiter: SimpleQueue[None] = SimpleQueue()
        self._buffer.watch(waiter)
        look = _FIRST_LOOK_SECONDS
        try:
            with at_exit.spending():
                while not self._buffer.is_settled(mark):
                    left = deadline - self._clock.monotonic()
                    if left <= 0:
                        if is_patient:
                            self._gave_up_at = self._clock.monotonic()
                        return False
                    # Whoever interrupted a log call holds the lock that listeners need.
                    if not holds(self._ledger.lock) and self._listeners.attend():
                        pause = left
                    else:
                        pause = self._listeners.deliver_one(left)
                    self._clock.wait(waiter, min(pause, left, look))
                    look = min(2 * look, _LOOK_SECONDS)
        finally:
            self._buffer.unwatch(waiter)
        return self._lost() == lost_before

    def _lost(self) -> int:
        return sum(self._ledger.snapshot().dropped.values())
