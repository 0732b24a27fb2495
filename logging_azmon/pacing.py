"""When a batch goes: size, age, first row, jitter, pauses, and stretching under 429. Pure: the clock is given.

`Pace` belongs to a pipeline. A `Lane` is shared by all pipelines that send to the same endpoint and rule: what the
service says to one it says to all. A pipeline also has a lane of its own, for what only its stream or identity meets.

Rules: lanes are used by delivering threads and those who flush, never inside a log call; their lock is held for
arithmetic only. Listeners who wait for a probe are woken by its end.
"""

from __future__ import annotations

import random
import threading
import weakref
from collections.abc import Callable

# The first row after a quiet time goes this soon: enough for what comes with it to join.
FIRST_ROW_SECONDS = 0.1
# The longest that stretching may make rows wait.
MOST_STRETCHED_SECONDS = 120.0
_CALMING = 0.95


class Pace:
    """Say when the open batch is due."""

    def __init__(self, batch_seconds: float, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._batch_seconds = batch_seconds
        self._uniform = uniform
        self._last_taken: float | None = None
        # Processes that start together must not send together: the first interval is anything up to a whole one.
        self._jitter = uniform(0.2, 1.0)

    def due_at(self, since: float, stretch: float) -> float:
        """Say when a batch that began then should go."""
        is_quiet = self._last_taken is None or since - self._last_taken >= self._batch_seconds
        if is_quiet and stretch == 1.0:
            return since + min(FIRST_ROW_SECONDS, self._batch_seconds)
        interval = min(self._batch_seconds * stretch, max(self._batch_seconds, MOST_STRETCHED_SECONDS))
        return since + interval * self._jitter

    def taken(self, now: float) -> None:
        """Note that the open batch has gone."""
        self._last_taken = now
        self._jitter = self._uniform(0.8, 1.0)


class Lane:
    """Pause all who send to one place, then let one batch probe before all resume."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wakes: weakref.WeakSet[Callable[[], None]] = weakref.WeakSet()
        # Grows with each failure: a request that began before the last one tells nothing new by failing, too.
        self._era = 0
        self._failures = 0
        self._resume_at = 0.0
        self._is_ordered = False
        self._is_probing = False
        self._stretch = 1.0

    @property
    def stretch(self) -> float:
        """Tell how many times longer than usual batches wait, because the quota was used up."""
        return self._stretch

    @property
    def is_troubled(self) -> bool:
        """Tell whether the last requests failed."""
        return self._failures > 0

    def wait_seconds(self, now: float) -> float | None:
        """Tell how long nobody may send; None: until a probe ends, which wakes those who wait."""
        with self._lock:
            if now < self._resume_at:
                return self._resume_at - now
            return None if self._is_probing else 0.0

    def enter(self, now: float) -> int | None:
        """Ask to send one request; the ticket goes back with `passed`, `failed` or `left`. None: not now."""
        with self._lock:
            if now < self._resume_at or self._is_probing:
                return None
            self._is_probing = self._failures > 0
            return self._era

    def left(self, ticket: int) -> None:
        """Give a ticket back unused."""
        with self._lock:
            if ticket == self._era:
                self._is_probing = False

    def passed(self, ticket: int) -> bool:
        """Note that the service answers; return whether that ends a trouble."""
        with self._lock:
            if ticket != self._era:
                return False
            self._stretch = max(1.0, self._stretch * _CALMING)
            has_recovered, self._failures, self._is_probing = self._failures > 0, 0, False
        if has_recovered:
            self._wake()
        return has_recovered

    def failures_with(self, ticket: int) -> int:
        """Count the failures in a row if this request has failed, too."""
        with self._lock:
            return self._failures + (ticket == self._era)

    def failed(self, ticket: int, now: float, delay: float, *, is_ordered: bool, is_throttled: bool) -> None:
        """Pause everybody; `is_ordered` says that the service named the time, so that no one may hurry it."""
        with self._lock:
            if ticket == self._era:
                self._era += 1
                self._failures += 1
                self._is_probing = False
                if is_throttled:
                    self._stretch = min(self._stretch * 2, MOST_STRETCHED_SECONDS)
            elif not is_ordered:
                return
            self._resume_at = max(self._resume_at, now + delay)
            self._is_ordered = is_ordered
        self._wake()

    def hurry(self, now: float) -> None:
        """Let one batch probe now, for somebody who flushes: unless the service said when to come back."""
        with self._lock:
            if not self._is_ordered:
                self._resume_at = min(self._resume_at, now)
        self._wake()

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Call this when the pause changes or a probe has ended."""
        self._wakes.add(wake)

    def _wake(self) -> None:
        for wake in list(self._wakes):
            wake()


class Lanes:
    """Find the lane of an endpoint and rule; one is kept as long as a pipeline uses it."""

    def __init__(self) -> None:
        self._lanes: weakref.WeakValueDictionary[tuple[str, str], Lane] = weakref.WeakValueDictionary()
        self._lock = threading.Lock()

    def of(self, endpoint: str, rule_id: str) -> Lane:
        """Return the lane that all pipelines to this endpoint and rule share."""
        with self._lock:
            lane = self._lanes.get((endpoint, rule_id))
            if lane is None:
                lane = self._lanes[endpoint, rule_id] = Lane()
            return lane
