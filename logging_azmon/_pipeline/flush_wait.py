"""Wait until rows are settled, for flush and close.

Rules: none of the library's locks is held. If no listener can deliver, the waiting thread delivers. If a flush without
a timeout argument has timed out, a close within the next second does not wait again. At exit, every wait is limited by
the time that the process has left.
"""

from __future__ import annotations

from .._delivery.listener_threads import Listeners
from .._process import at_exit
from .._process.clock import Clock
from .._process.may_wait import holds
from .._process.real_threads import SimpleQueue
from .._queue.batch_queue import BatchQueue
from .._queue.ledger import Ledger, lost

# Poll for a free listener at first after 5 ms, doubling to 0.5 s.
_FIRST_POLL_SECONDS = 0.005
_POLL_SECONDS = 0.5
# A close that follows a timed-out flush within this time does not wait again.
_SAME_SHUTDOWN_SECONDS = 1.0


class FlushWait:
    """Wait for the rows of one pipeline."""

    def __init__(
        self, close_seconds: float, clock: Clock, ledger: Ledger, queue: BatchQueue, listeners: Listeners
    ) -> None:
        self._close_seconds = close_seconds
        self._clock = clock
        self._ledger = ledger
        self._queue = queue
        self._listeners = listeners
        # The deadline of waits of the default length. A new one is set unless such a wait has just timed out.
        self._default_deadline = float("-inf")
        self._timed_out_at = float("-inf")

    def deadline(self, timeout: float | None) -> float:
        """Return the deadline of a wait that begins now; a `timeout` of None means `close_seconds`."""
        now = self._clock.monotonic()
        if timeout is not None:
            deadline = now + timeout
        else:
            if now - self._timed_out_at >= _SAME_SHUTDOWN_SECONDS:
                self._default_deadline = now + self._close_seconds
            deadline = self._default_deadline
        left = at_exit.seconds_left()
        return deadline if left is None else min(deadline, now + left)

    def wait(self, watermark: int, deadline: float, *, is_default: bool) -> bool:
        """Wait until all rows before the watermark are settled; True if they are, and no row was dropped meanwhile.

        `is_default` says that this is a wait of the default length.
        """
        lost_before = self._lost()
        wakeups: SimpleQueue[None] = SimpleQueue()
        poll = _FIRST_POLL_SECONDS
        self._queue.watch(wakeups)
        try:
            with at_exit.spending():
                while not self._queue.is_settled(watermark):
                    left = deadline - self._clock.monotonic()
                    if left <= 0:
                        if is_default:
                            self._timed_out_at = self._clock.monotonic()
                        return False
                    # If this thread interrupted its own log call, it holds the lock that listeners need.
                    if not holds(self._ledger.lock) and self._listeners.ensure_listener():
                        pause = left
                    else:
                        pause = self._listeners.deliver_one(left)
                    self._clock.wait(wakeups, min(pause, left, poll))
                    poll = min(2 * poll, _POLL_SECONDS)
        finally:
            self._queue.unwatch(wakeups)
        return self._lost() == lost_before

    def _lost(self) -> int:
        return lost(self._ledger.snapshot().dropped)
