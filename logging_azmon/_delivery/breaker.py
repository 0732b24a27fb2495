"""Who may send to one place, and when: pauses, probes, and stretching under 429. The clock is given.

A `Lane` is shared by all pipelines that send to the same endpoint and rule: what the service says to one it says to
all. A pipeline also has a lane of its own, for what only its stream or identity meets.

Rules: lanes are used by delivering threads and those who flush, also in a signal handler; their lock is re-entrant and
held for arithmetic only. Listeners who wait for a pause or a probe to end are woken when it does, without the lock.
"""

from __future__ import annotations

import random
import threading
import weakref
from collections.abc import Callable

from .._process import at_fork

# How many times longer than usual stretching may make rows wait.
MOST_STRETCH = 32.0
# A rule's quota is one for a minute.
QUOTA_SECONDS = 60.0
# After a 429 nothing becomes shorter for so long; then down to what is safely longer than it was when the quota was
# used up, and shorter than that only step by step, each up to so many seconds after the last. A fleet that shares a
# quota would otherwise find its way back above it in minutes, again and again.
CALM_SECONDS = 300.0
REMEMBERED_SECONDS = 3_600.0
_CALMING = 0.9
_SAFELY_LONGER = 1.25
_FORGETTING = 0.8


class Lane:
    """Pause all who send to one place, then let one batch probe before all resume.

    Who may send gets a ticket, which goes back with `passed`, `failed` or `left`; a second time does no harm.
    """

    def __init__(self, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._lock = threading.RLock()
        self._uniform = uniform
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
        # The stretch with which the quota was used up last, and when that was; until when nothing becomes shorter, and
        # until when that stretch is remembered in full.
        self._too_short = 0.0
        self._stretched_at = float("-inf")
        self._calm_from = 0.0
        self._forget_from = 0.0

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

    def passed(self, ticket: int, now: float) -> bool:
        """Note that the service answers; return whether that ends a trouble."""
        with self._lock:
            if ticket != self._era:
                return False
            if now >= self._calm_from and self._stretch > 1.0:
                if now >= self._forget_from:
                    self._too_short *= _FORGETTING
                    self._remember(now)
                least = self._too_short * _SAFELY_LONGER
                self._stretch = max(1.0, min(self._stretch, least), self._stretch * _CALMING)
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
                if is_throttled:
                    self._throttle(now)
                self._failures += 1
                self._is_probing = False
            elif not is_ordered:
                return
            if now + seconds >= self._resume_at:
                self._resume_at = now + seconds
                self._is_ordered = is_ordered
        self._wake()

    def _throttle(self, now: float) -> None:
        """Stretch, but not for each try in vain: those of a minute are told of one and the same quota."""
        self._calm_from = now + CALM_SECONDS
        if self._failures and now < self._stretched_at + QUOTA_SECONDS:
            return
        self._stretched_at = now
        self._too_short = self._stretch
        self._stretch = min(self._stretch * 2, MOST_STRETCH)
        self._remember(now)

    def _remember(self, now: float) -> None:
        # Those who were throttled together must not try again together.
        self._forget_from = now + self._uniform(0.5, 1.0) * REMEMBERED_SECONDS

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


_lanes = Lanes()


def shared_lane(endpoint: str, rule_id: str) -> Lane:
    """Return the lane that all pipelines of this process to this endpoint and rule share."""
    return _lanes.of(endpoint, rule_id)


def restart() -> None:
    """Begin again in a forked child."""
    global _lanes  # noqa: PLW0603 - one set a process
    _lanes = Lanes()


at_fork.register(at_fork.Turn.PROCESS, restart=restart)
