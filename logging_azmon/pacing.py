"""When a batch goes: size, age, first row, jitter, pauses, and stretching under 429. Pure: the clock is given.

`Pace` belongs to a pipeline. A `Lane` is shared by all pipelines that send to the same endpoint and rule: what the
service says to one it says to all. A pipeline also has a lane of its own, for what only its stream or identity meets.

Rules: lanes are used by delivering threads and those who flush, also in a signal handler; their lock is re-entrant and
held for arithmetic only. Listeners who wait for a pause or a probe to end are woken when it does, without the lock.
"""

from __future__ import annotations

import random
import threading
import weakref
from collections import deque
from collections.abc import Callable

# The first row after a quiet time goes this soon: enough for what comes with it to join.
FIRST_ROW_SECONDS = 0.1
# How many times longer than usual, and how long at most, stretching may make rows wait.
MOST_STRETCH = 32.0
MOST_STRETCHED_SECONDS = 120.0
_CALMING = 0.9


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
        """Note that a batch has gone."""
        self._last_taken = now
        self._jitter = self._uniform(0.8, 1.0)


class Budget:
    """Grant so many requests in so many seconds."""

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


class Lane:
    """Pause all who send to one place, then let one batch probe before all resume.

    Who may send gets a ticket, which goes back with `passed`, `failed` or `left`; a second time does no harm.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        # Replaced as a whole. Weak, because a lane outlives the pipelines that share it.
        self._wakes: tuple[weakref.WeakMethod[Callable[[], None]], ...] = ()
        # Grows with each failure, and is the ticket: a request that began before the last failure tells nothing new
        # by failing, too.
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
        """Ask to send; returns a ticket, or None: not now."""
        with self._lock:
            if now < self._resume_at or self._is_probing:
                return None
            self._is_probing = self._failures > 0
            return self._era

    def left(self, ticket: int) -> None:
        """Give a ticket back that has told nothing; if it was for a probe, somebody else may probe."""
        with self._lock:
            if ticket != self._era or not self._is_probing:
                return
            self._is_probing = False
        self._wake()

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

    def failed(self, ticket: int, now: float, seconds: float, *, is_ordered: bool, is_throttled: bool) -> None:
        """Pause everybody; `is_ordered` says that the service named the time, so that no one may hurry it."""
        with self._lock:
            if ticket == self._era:
                self._era += 1
                self._failures += 1
                self._is_probing = False
                if is_throttled:
                    self._stretch = min(self._stretch * 2, MOST_STRETCH)
            elif not is_ordered:
                return
            if now + seconds >= self._resume_at:
                self._resume_at = now + seconds
                self._is_ordered = is_ordered
        self._wake()

    def hurry(self, now: float) -> None:
        """Let one batch probe now, for somebody who flushes: unless the service said when to come back."""
        with self._lock:
            if self._is_ordered or self._resume_at <= now:
                return
            self._resume_at = now
        self._wake()

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Call this bound method, as long as its object lives, when a pause has changed or a probe has ended."""
        with self._lock:
            self._wakes = (*(known for known in self._wakes if known() is not None), weakref.WeakMethod(wake))

    def _wake(self) -> None:
        for known in self._wakes:
            wake = known()
            if wake is not None:
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
