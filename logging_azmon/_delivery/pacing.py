"""When a batch goes, and how many requests dividing batches may cost. Pure: the clock is given.

Both belong to one pipeline. What all who send to one place have in common is in `lanes`.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable

# The first row after a quiet time goes this soon: enough for what comes with it to join.
_FIRST_ROW_SECONDS = 0.1
# However much rows are stretched, none waits longer than this for its batch to go.
MOST_STRETCHED_SECONDS = 120.0


class Pace:
    """Say when the open batch is due."""

    def __init__(self, batch_seconds: float, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._batch_seconds = batch_seconds
        self._uniform = uniform
        self._last_taken: float | None = None
        # Processes that start together must not send together: the first interval is anything up to a whole one.
        self._jitter = uniform(0.2, 1.0)

    def due_at(self, since: float, stretch: float) -> float:
        """Say when a batch that began then should go; `stretch` is its lane's."""
        is_quiet = self._last_taken is None or since - self._last_taken >= self._batch_seconds
        if is_quiet and stretch == 1.0:
            return since + min(_FIRST_ROW_SECONDS, self._batch_seconds)
        interval = min(self._batch_seconds * stretch, max(self._batch_seconds, MOST_STRETCHED_SECONDS))
        return since + interval * self._jitter

    def taken(self, now: float) -> None:
        """Note that a batch has gone."""
        self._last_taken = now
        self._jitter = self._uniform(0.8, 1.0)


class Budget:
    """Grant so many requests in so many seconds; several threads may ask at once."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._lock = threading.RLock()
        self._granted: deque[tuple[float, int]] = deque()
        self._sum = 0

    def grant(self, number: int, now: float) -> bool:
        """Take that many, or none if that would be too many."""
        with self._lock:
            while self._granted and self._granted[0][0] <= now - self._seconds:
                self._sum -= self._granted.popleft()[1]
            if self._sum and self._sum + number > self._most:
                return False
            self._granted.append((now, number))
            self._sum += number
            return True
