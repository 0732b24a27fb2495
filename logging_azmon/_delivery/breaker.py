"""A circuit breaker: a pause after a failure, a probe before all senders resume, and longer intervals after a 429.

All pipelines that send to the same endpoint and rule share a breaker, because the service's answer to one of them would
be its answer to all. Each pipeline also has its own breaker, for failures that concern only its stream or identity.
Callers pass the time; the breaker reads no clock.

state       reached by                            `acquire` gives                left by
closed      the start, a success                  a ticket to each caller        a failure: open
open        a failure                             None                           the end of the pause: half-open
half-open   the end of the pause, `end_pauses`    a ticket to one caller, the    the probe's success: closed,
                                                  probe; None to the others      or its failure: open

Rules:
- Delivering and flushing threads call it, the latter even in a signal handler. The lock is therefore re-entrant, and is
  held for arithmetic only.
- Every ticket is given back by `succeeded`, `failed` or `release`. Giving it back twice does no harm.
- A ticket acquired before the last failure is stale. Its outcome is ignored, with one exception: if the service asked
  for a longer pause, that pause counts.
- Threads that wait for a pause or a probe to end are woken, without the lock, when it changes.
"""

from __future__ import annotations

import random
import weakref
from collections.abc import Callable

from .._process import at_fork
from .._process.real_threads import Lock, RLock

# The largest stretch: how many times longer than usual batches wait.
MAX_STRETCH = 32.0
# A rule's quota applies to one minute.
QUOTA_SECONDS = 60.0
# After a 429 the stretch does not fall for this long.
HOLD_SECONDS = 300.0
# Then each success lowers it, down to a floor safely above the stretch at which the quota was exceeded. The floor is
# lowered once in this time, which jitter shortens by up to a half. Without a floor, a fleet that shares a quota would
# exceed it again every few minutes.
FLOOR_SECONDS = 3_600.0
_STRETCH_FACTOR = 2.0
_STRETCH_DECAY = 0.9
_SAFETY_FACTOR = 1.25
_FLOOR_DECAY = 0.8


class CircuitBreaker:
    """Stop every sender after a failure, then let one batch probe before all resume."""

    def __init__(self, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._lock = RLock()
        self._uniform = uniform
        # Callbacks, held weakly because a breaker may outlive its pipelines. The tuple is replaced, never changed.
        self._wakes: tuple[weakref.WeakMethod[Callable[[], None]], ...] = ()
        # A count of failures, which also serves as the ticket: a ticket with a smaller number is stale.
        self._generation = 0
        # The failures since the last success, and what the last one was.
        self._failures = 0
        self._failure = ""
        # When the pause ends.
        self._resume_at = 0.0
        # Whether the service requested this pause; `end_pauses` leaves such a pause in place.
        self._from_server = False
        self._is_probing = False
        # How many times longer than usual batches wait.
        self._stretch = 1.0
        # The stretch at which the quota was last exceeded; the floor is derived from it.
        self._exceeded_stretch = 0.0
        # When the quota was last exceeded.
        self._exceeded_at = float("-inf")
        # When the stretch may begin to fall.
        self._stretch_falls_from = 0.0
        # When the floor may be lowered next.
        self._floor_falls_from = 0.0

    def __repr__(self) -> str:
        state = "half-open" if self._is_probing else "open" if self._failures else "closed"
        pause = f"resume_at={self._resume_at:.1f}, from_server={self._from_server}"
        return f"<CircuitBreaker {state}, failures={self._failures}, {pause}, stretch={self._stretch:.1f}>"

    @property
    def stretch(self) -> float:
        """Return how many times longer than usual batches wait because the quota was exceeded."""
        return self._stretch

    @property
    def is_failing(self) -> bool:
        """Return whether the last request failed, so that the breaker is open or half-open."""
        return self._failures > 0

    @property
    def failure(self) -> str:
        """Return what failed last, in words; "" if the last request succeeded."""
        with self._lock:
            return self._failure if self._failures else ""

    def wait_seconds(self, now: float) -> float | None:
        """Return how long the pause still lasts; None while a probe is in flight, whose end wakes waiting threads."""
        with self._lock:
            if now < self._resume_at:
                return self._resume_at - now
            return None if self._is_probing else 0.0

    def acquire(self, now: float) -> int | None:
        """Return a ticket to send one batch, or None if it must wait."""
        with self._lock:
            if now < self._resume_at or self._is_probing:
                return None
            self._is_probing = self._failures > 0
            return self._generation

    def release(self, ticket: int) -> None:
        """Give back a ticket without an outcome; if it was the probe's, another batch may probe."""
        with self._lock:
            if ticket != self._generation or not self._is_probing:
                return
            self._is_probing = False
        self._wake()

    def succeeded(self, ticket: int, now: float) -> bool:
        """Note a success; return whether it closes the breaker."""
        with self._lock:
            if ticket != self._generation:
                return False
            if now >= self._stretch_falls_from and self._stretch > 1.0:
                if now >= self._floor_falls_from:
                    self._exceeded_stretch *= _FLOOR_DECAY
                    self._keep_floor(now)
                floor = self._exceeded_stretch * _SAFETY_FACTOR
                self._stretch = max(1.0, min(self._stretch, floor), self._stretch * _STRETCH_DECAY)
            has_recovered, self._failures, self._is_probing = self._failures > 0, 0, False
        if has_recovered:
            self._wake()
        return has_recovered

    def failures_with(self, ticket: int) -> int:
        """Return the number of consecutive failures, counting this request's, which has not been noted yet."""
        with self._lock:
            return self._failures + (ticket == self._generation)

    def failed(
        self, ticket: int, now: float, seconds: float, *, from_server: bool, is_throttled: bool, failure: str = "failed"
    ) -> None:
        """Note a failure, in words for `health`, and pause every sender for this long.

        `from_server` says that the service asked for the pause, so that `end_pauses` must not cut it short.
        """
        with self._lock:
            if ticket == self._generation:
                self._generation += 1
                if is_throttled:
                    self._throttle(now)
                self._failures += 1
                self._failure = failure
                self._is_probing = False
            elif not from_server:
                return
            if now + seconds >= self._resume_at:
                self._resume_at = now + seconds
                self._from_server = from_server
        self._wake()

    def _throttle(self, now: float) -> None:
        """Raise the stretch, but at most once a minute: consecutive 429s within a minute are about the same quota."""
        self._stretch_falls_from = now + HOLD_SECONDS
        if self._failures and now < self._exceeded_at + QUOTA_SECONDS:
            return
        self._exceeded_at = now
        self._exceeded_stretch = self._stretch
        self._stretch = min(self._stretch * _STRETCH_FACTOR, MAX_STRETCH)
        self._keep_floor(now)

    def _keep_floor(self, now: float) -> None:
        # With jitter, so that processes that were throttled together do not speed up together.
        self._floor_falls_from = now + self._uniform(0.5, 1.0) * FLOOR_SECONDS

    def end_pauses(self, now: float) -> None:
        """End the pause now, so that a flush can send a probe, unless the service asked for the pause."""
        with self._lock:
            if self._from_server or self._resume_at <= now:
                return
            self._resume_at = now
        self._wake()

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Call this bound method, as long as its object is alive, whenever a pause changes or a probe ends."""
        with self._lock:
            self._wakes = (*(known for known in self._wakes if known() is not None), weakref.WeakMethod(wake))

    def _wake(self) -> None:
        for known in self._wakes:
            wake = known()
            if wake is not None:
                wake()


class CircuitBreakers:
    """Find the breaker of an endpoint and rule; a breaker is kept as long as a pipeline uses it."""

    def __init__(self) -> None:
        self._breakers: weakref.WeakValueDictionary[tuple[str, str], CircuitBreaker] = weakref.WeakValueDictionary()
        self._lock = Lock()

    def of(self, endpoint: str, rule_id: str) -> CircuitBreaker:
        """Return the breaker that all pipelines to this endpoint and rule share."""
        with self._lock:
            breaker = self._breakers.get((endpoint, rule_id))
            if breaker is None:
                breaker = self._breakers[endpoint, rule_id] = CircuitBreaker()
            return breaker


_breakers = CircuitBreakers()


def shared_breaker(endpoint: str, rule_id: str) -> CircuitBreaker:
    """Return the breaker that all pipelines of this process to this endpoint and rule share."""
    return _breakers.of(endpoint, rule_id)


def restart() -> None:
    """Begin with new breakers in a forked child."""
    global _breakers  # noqa: PLW0603 - one set per process
    _breakers = CircuitBreakers()


at_fork.register(at_fork.Turn.PROCESS, restart=restart)
