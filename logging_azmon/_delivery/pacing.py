"""The due time of the open batch, and the budget of requests for splitting batches. Pure: callers pass the time.

Each pipeline has its own of both. `breaker` holds the state that pipelines to the same endpoint and rule share.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

from .._process.real_threads import RLock

# The first row after a quiet period is sent after this time, so that the rows that follow it can join.
_FIRST_ROW_SECONDS = 0.1
# A stretched batch waits at most this long, or `batch_seconds` if that is longer.
MAX_STRETCHED_SECONDS = 120.0


class Pace:
    """Decide when the open batch is due.

    It has no lock: threads that take batches at the same time store the same time, and any jitter will do.
    """

    def __init__(self, batch_seconds: float, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._batch_seconds = batch_seconds
        self._uniform = uniform
        self._last_taken: float | None = None
        # The first interval may be much shorter, so that processes that start together do not send together.
        self._jitter = uniform(0.2, 1.0)

    def __repr__(self) -> str:
        last = "none" if self._last_taken is None else f"{self._last_taken:.1f}"
        return f"<Pace last_taken={last}, batch_seconds={self._batch_seconds:g}, jitter={self._jitter:.2f}>"

    def due_at(self, since: float, stretch: float) -> float:
        """Return when a batch begun at `since` is due; `stretch` comes from the shared breaker."""
        is_quiet = self._last_taken is None or since - self._last_taken >= self._batch_seconds
        if is_quiet and stretch == 1.0:
            return since + min(_FIRST_ROW_SECONDS, self._batch_seconds)
        interval = min(self._batch_seconds * stretch, max(self._batch_seconds, MAX_STRETCHED_SECONDS))
        return since + interval * self._jitter

    def taken(self, now: float) -> None:
        """Note that a batch was taken to be sent."""
        self._last_taken = now
        self._jitter = self._uniform(0.8, 1.0)


class Budget:
    """Grant a number of requests in a sliding window of time; several threads may ask at once."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._lock = RLock()
        # When each grant was made, and of how many requests, oldest first.
        self._granted: deque[tuple[float, int]] = deque()
        self._sum = 0

    def __repr__(self) -> str:
        return f"<Budget {self._sum} of {self._most} granted in {self._seconds:g} s>"

    def grant(self, number: int, now: float) -> bool:
        """Grant all of this number, or nothing if that exceeds the budget.

        A number larger than the whole budget is granted if nothing else was granted in the window.
        """
        with self._lock:
            while self._granted and self._granted[0][0] <= now - self._seconds:
                self._sum -= self._granted.popleft()[1]
            if self._sum and self._sum + number > self._most:
                return False
            self._granted.append((now, number))
            self._sum += number
            return True
