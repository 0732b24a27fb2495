"""Decide when the open batch is due. Pure: callers pass the time.

Each pipeline has its own pace. `breaker` holds the state that pipelines to the same endpoint and rule share.
"""

from __future__ import annotations

import random
from collections.abc import Callable

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
        return since + self.interval(stretch) * self._jitter

    def interval(self, stretch: float) -> float:
        """Return the longest time that a batch waits to be filled."""
        return min(self._batch_seconds * stretch, max(self._batch_seconds, MAX_STRETCHED_SECONDS))

    def taken(self, now: float) -> None:
        """Note that a batch was taken to be sent."""
        self._last_taken = now
        self._jitter = self._uniform(0.8, 1.0)
