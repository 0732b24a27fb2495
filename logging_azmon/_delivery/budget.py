"""Bound the requests that a pipeline spends on splitting batches. Pure: callers pass the time.

Rules: several delivering threads may ask concurrently. The lock is held for arithmetic only.
"""

from __future__ import annotations

from collections import deque

from .._process.real_threads import RLock


class Budget:
    """Grant a number of requests in a sliding window of time; several threads may ask concurrently."""

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
