"""Decide which batch is sent when, and whether a thread may send it now.

Rules:
- Any number of delivering and flushing threads call it concurrently, even in a signal handler. It has no lock of its
  own: the queue and the breakers have theirs, and a thread that loses a race for a batch asks again.
- The caller that takes a batch also gets its tickets, and returns them by `release`, whatever happens to the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .._process.clock import Clock
from .._queue.batch import Batch
from .._queue.pipeline_state import PipelineState
from .batch_source import BatchSource
from .breaker import CircuitBreaker
from .pace import Pace
from .retry import Delay

# How long a listener sleeps if nothing is due; a new row wakes it.
_IDLE_SECONDS = 60.0


class Tickets(NamedTuple):
    """Hold the permission of both breakers, the shared one and the pipeline's own, to send one batch."""

    shared: int
    own: int


class Work(NamedTuple):
    """Hold a batch to deliver, and the tickets to send it."""

    batch: Batch
    tickets: Tickets


class Scheduler:
    """Hand out the batches of one queue as they become due, and hold them back while the service is failing."""

    def __init__(
        self,
        *,
        queue: BatchSource,
        state: PipelineState,
        clock: Clock,
        shared_breaker: CircuitBreaker,
        batch_seconds: float,
    ) -> None:
        self._queue = queue
        self._state = state
        self._clock = clock
        self._shared_breaker = shared_breaker
        self._own_breaker = CircuitBreaker()
        self._pace = Pace(batch_seconds)

    def __repr__(self) -> str:
        draining = ", draining" if self.is_draining else ""
        return f"<Scheduler shared={self._shared_breaker!r}, own={self._own_breaker!r}{draining}>"

    @property
    def is_draining(self) -> bool:
        """Return whether every waiting row is due, because no more rows are taken."""
        return not self._state.takes_rows

    @property
    def is_hurried(self) -> bool:
        """Return whether retries come sooner, because a flush waits for them, or the pipeline is about to close."""
        return self.is_draining or self._queue.is_flushing

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Call this bound method, as long as its object is alive, whenever a pause changes or a probe ends."""
        self._shared_breaker.subscribe(wake)
        self._own_breaker.subscribe(wake)

    @property
    def is_failing(self) -> bool:
        """Return whether the last request of this pipeline, or of one that shares its breaker, failed."""
        return self._shared_breaker.is_failing or self._own_breaker.is_failing

    @property
    def failure(self) -> str:
        """Return what failed last, in words; "" unless `is_failing`."""
        return self._shared_breaker.failure or self._own_breaker.failure

    def retry_seconds(self) -> float | None:
        """Return how long the pauses still last; None while a probe is in flight."""
        pauses = self._pauses(self._clock.monotonic())
        return None if None in pauses else max(pause or 0.0 for pause in pauses)

    @property
    def interval(self) -> float:
        """Return the longest time that a row waits for its batch to fill."""
        return self._pace.interval(self._shared_breaker.stretch)

    def _pauses(self, now: float) -> list[float | None]:
        return [breaker.wait_seconds(now) for breaker in (self._shared_breaker, self._own_breaker)]

    def end_pauses(self) -> None:
        """End pauses now, for a flush, unless the service asked for them."""
        now = self._clock.monotonic()
        self._shared_breaker.end_pauses(now)
        self._own_breaker.end_pauses(now)

    def has_ready_batch(self) -> bool:
        """Return whether a batch is ready and only needs a thread to send it."""
        return self._queue.is_ready(self._clock.monotonic(), is_due=False)

    def has_rows(self) -> bool:
        """Return whether a row waits or is in flight."""
        return not self._queue.is_empty

    def next_batch(self) -> tuple[Work | None, float]:
        """Return a batch to deliver now, or None and how many seconds to wait unless woken."""
        now = self._clock.monotonic()
        self._queue.refresh(now)
        pauses = self._pauses(now)
        # A pause of None means that another thread's probe is in flight: its end wakes this thread.
        if any(pause != 0.0 for pause in pauses):
            return None, max(_IDLE_SECONDS if pause is None else pause for pause in pauses)
        since = self._queue.open_since()
        due = None if since is None else self._pace.due_at(since, self._shared_breaker.stretch)
        is_due = self.is_draining or (due is not None and due <= now)
        if self._queue.is_ready(now, is_due=is_due):
            # If another thread was faster, there is no work: the caller asks again immediately.
            return self._take(now, is_due=is_due), 0.0
        waits = [moment - now for moment in (due, self._queue.next_event_at()) if moment is not None]
        return None, max(0.0, min(waits, default=_IDLE_SECONDS))

    def _take(self, now: float, *, is_due: bool) -> Work | None:
        shared = self._shared_breaker.acquire(now)
        if shared is None:
            return None
        own = self._own_breaker.acquire(now)
        batch: Batch | None = None
        try:
            if own is not None:
                batch = self._queue.take(now, is_due=is_due)
        finally:
            # Also if `take` raises: a probe that never ended would stop every sender for good.
            if batch is None:
                self._shared_breaker.release(shared)
                if own is not None:
                    self._own_breaker.release(own)
        if own is None or batch is None:
            return None
        if batch.attempts.first_try is None:
            batch.attempts.first_try = now
            self._pace.taken(now)
        return Work(batch, Tickets(shared, own))

    def succeeded(self, tickets: Tickets) -> bool:
        """Note a success with both breakers; return whether it ends an outage."""
        now = self._clock.monotonic()
        # Not `or`, which would skip the second call: both breakers must note the success.
        return self._shared_breaker.succeeded(tickets.shared, now) | self._own_breaker.succeeded(tickets.own, now)

    def failures_with(self, tickets: Tickets, *, is_shared: bool) -> int:
        """Return the number of consecutive failures, counting this request's, which has not been noted yet.

        `is_shared` asks for those of all pipelines that share the breaker, otherwise for those of this one.
        """
        if is_shared:
            return self._shared_breaker.failures_with(tickets.shared)
        return self._own_breaker.failures_with(tickets.own)

    def failed(
        self, tickets: Tickets, delay: Delay, *, is_shared: bool, is_throttled: bool = False, failure: str = "failed"
    ) -> None:
        """Note a failure, and pause every pipeline that shares the breaker, or only this one."""
        breaker, ticket = (self._shared_breaker, tickets.shared) if is_shared else (self._own_breaker, tickets.own)
        now = self._clock.monotonic()
        breaker.failed(
            ticket,
            now,
            delay.seconds,
            from_server=delay.from_server,
            is_throttled=is_throttled,
            failure=failure,
        )

    def release(self, tickets: Tickets) -> None:
        """Give back tickets, whether or not an outcome was noted."""
        self._shared_breaker.release(tickets.shared)
        self._own_breaker.release(tickets.own)
