"""Simulate a fleet against a rule's quota on a virtual clock, with the real delivery: pacing, breakers, decisions.

Only the rows are simulated: a `Tally` stands in for the queue and counts what it would hold. Nothing waits and nothing
is sent, so half an hour of ten thousand processes takes a minute or two.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

from ..._config.service_limits import QUOTA_BYTES, QUOTA_REQUESTS
from ..._config.settings import Settings
from ..._delivery.answer import Answer
from ..._delivery.breaker import CircuitBreaker
from ..._delivery.delivery import Delivery
from ..._delivery.reporter import Reporter
from ..._delivery.scheduler import Scheduler
from ..._process.clock import Clock
from ..._queue.batch import Batch
from ..._queue.ledger import Ledger, Reason
from ..._queue.pipeline_state import PipelineState
from ..._rows.shrink import shrink_row

MINUTE = 60.0
STORED = Answer(status=204)
_MANY = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Describe the processes, and the quota of the service for each minute."""

    processes: int
    rows_per_second: float
    row_bytes: int
    quota_requests: int = QUOTA_REQUESTS
    quota_bytes: int = QUOTA_BYTES
    # All processes start within this time.
    deploy_seconds: float = 1.0
    # Whether a 429 comes with a Retry-After.
    sends_retry_after: bool = True


@dataclass(slots=True)
class Minute:
    """Count the requests of one minute, and the bytes accepted."""

    asked: int = 0
    taken: int = 0
    taken_bytes: int = 0

    @property
    def refused(self) -> int:
        """Count the requests that were answered with 429."""
        return self.asked - self.taken


@dataclass(slots=True)
class SimulationResult:
    """Hold the results of a simulation."""

    minutes: list[Minute] = field(default_factory=list)
    accepted: int = 0
    delivered: int = 0
    waiting: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    most_waiting_bytes: int = 0

    def settled_after(self) -> int | None:
        """Return the minute after which at most 1 % of requests are refused; None if the simulation ends before."""
        calm = [minute.refused * 100 <= minute.asked for minute in self.minutes]
        if not calm or not calm[-1]:
            return None
        return len(calm) - next((n for n, is_calm in enumerate(reversed(calm)) if not is_calm), len(calm))

    def scaled(self, factor: float) -> SimulationResult:
        """Return the results for `factor` times as many processes."""
        return SimulationResult(
            minutes=[
                Minute(round(each.asked * factor), round(each.taken * factor), round(each.taken_bytes * factor))
                for each in self.minutes
            ],
            accepted=round(self.accepted * factor),
            delivered=round(self.delivered * factor),
            waiting=round(self.waiting * factor),
            dropped={reason: round(rows * factor) for reason, rows in self.dropped.items()},
            most_waiting_bytes=self.most_waiting_bytes,
        )


class _Time:
    """Stand in for the clock: the simulation sets the time."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    def wait(self, wakeups: SimpleQueue[None], seconds: float) -> None:  # noqa: ARG002 - as Clock has it
        raise AssertionError("a simulation never waits")  # pragma: no cover - a bug if it does


class Service:
    """Accept the quota's requests and bytes in each minute of the clock, as the local workspace does."""

    def __init__(self, fleet: Fleet, clock: Clock) -> None:
        self._fleet = fleet
        self._clock = clock
        self.minutes: list[Minute] = []

    def send(self, lines: Any, *, seconds: float | None = None) -> Answer:  # noqa: ARG002 - an answer takes no time
        """Count a request, and accept it if the quota of the minute has room."""
        now = self._clock.monotonic()
        while len(self.minutes) <= now // MINUTE:
            self.minutes.append(Minute())
        minute = self.minutes[-1]
        minute.asked += 1
        size = len(lines)
        if minute.taken >= self._fleet.quota_requests or minute.taken_bytes + size > self._fleet.quota_bytes:
            left = math.ceil(MINUTE - now % MINUTE)
            return Answer(status=429, retry_after=f"{left}" if self._fleet.sends_retry_after else None)
        minute.taken += 1
        minute.taken_bytes += size
        return STORED

    def close(self) -> None:
        """Do nothing: there is no connection to close."""

    def forget(self) -> None:
        """Do nothing: there is no connection to forget."""


class Tally:
    """Stand in for a queue: rows arrive by themselves, at an even rate, and are counted instead of kept."""

    def __init__(self, settings: Settings, fleet: Fleet, ledger: Ledger, clock: _Time, begin: float) -> None:
        self._ledger = ledger
        self._clock = clock
        self._rate = fleet.rows_per_second
        self._size = fleet.row_bytes
        self._limit = settings.queue_bytes // fleet.row_bytes
        self._full_rows = max(1, (settings.batch_bytes - 1) // fleet.row_bytes)
        self._begin = begin
        # Number of rows in closed batches; rows are numbered as they arrive.
        self._closed = 0
        self._waiting: list[Batch] = []
        self._kept = 0
        self._lost = 0
        self.most = 0

    def _arrived(self, now: float) -> int:
        return 0 if now < self._begin else int((now - self._begin) * self._rate + 1e-6) + 1

    def _moment(self, row: int) -> float:
        return self._begin + row / self._rate

    def update(self) -> None:
        """Count the rows that have arrived since the last update, and close the batches that are full."""
        now = self._clock.now
        come = self._arrived(now) - self._closed - self._lost
        room = self._limit - self._kept
        open_rows = come
        if open_rows > room:
            lost = open_rows - room
            self._lost += lost
            open_rows = room
            self._ledger.drop("queue_full", lost, now, accepted=lost)
        while open_rows >= self._full_rows:
            self._close_batch(self._full_rows)
            open_rows -= self._full_rows
        self.most = max(self.most, (self._kept + open_rows) * self._size)

    def _close_batch(self, rows: int) -> Batch:
        data: Any = range(rows * self._size)  # any object of this length
        batch = Batch(data, rows, self._closed)
        self._closed += rows
        self._kept += rows
        self._ledger.accept(rows)
        self._waiting.append(batch)
        return batch

    def next_event(self) -> float:
        """Return when the next row that begins or fills a batch arrives."""
        now = self._clock.now
        first = self._closed + self._lost
        if self._arrived(now) <= first:
            return self._moment(first)
        return self._moment(first + self._full_rows - 1)

    # The methods of `BatchSource`.

    @property
    def is_empty(self) -> bool:
        """Return False: a simulated process never ends."""
        return False  # pragma: no cover - only listeners ask, and a simulation has none

    @property
    def is_flushing(self) -> bool:
        """Return False: a simulated process never flushes."""
        return False

    def refresh(self, now: float) -> None:
        """Do nothing, because there is no spool."""

    def open_since(self) -> float | None:
        """Return when the open batch began."""
        first = self._closed + self._lost
        return self._moment(first) if self._arrived(self._clock.now) > first else None

    def is_ready(self, now: float, *, is_due: bool) -> bool:
        """Return whether there is a batch to take."""
        return any(batch.attempts.not_before <= now for batch in self._waiting) or (
            is_due and self.open_since() is not None
        )

    def take(self, now: float, *, is_due: bool) -> Batch | None:
        """Return the oldest batch that is ready."""
        batch = next((batch for batch in self._waiting if batch.attempts.not_before <= now), None)
        if batch is None:
            rows = min(self._arrived(now) - self._closed - self._lost, self._limit - self._kept)
            if not is_due or rows <= 0:
                return None  # pragma: no cover - called only when a batch is ready
            batch = self._close_batch(rows)
        self._waiting.remove(batch)
        self._ledger.take(batch.rows, batch.place)
        return batch

    def next_event_at(self) -> float | None:
        """Return when the first waiting batch is ready."""
        return min((batch.attempts.not_before for batch in self._waiting), default=None)

    def give_back(self, batch: Batch) -> None:
        """Put a batch back into the queue."""
        self._waiting.insert(0, batch)
        self._ledger.give_back(batch.rows, batch.place)

    def replace(self, batch: Batch, parts: list[Batch]) -> None:  # noqa: ARG002 - as BatchSource has it
        """Refuse: the simulated service takes batches of any size."""
        raise AssertionError("the simulated service splits nothing")  # pragma: no cover - a bug if it does

    def reject(self, batch: Batch, answer: dict[str, Any]) -> str:  # noqa: ARG002 - as BatchSource has it
        """Refuse: the simulated service rejects nothing."""
        raise AssertionError("the simulated service rejects nothing")  # pragma: no cover - a bug if it does

    def settle(self, batch: Batch, *, lost: Reason | None = None) -> None:
        """Count a batch as delivered; no other outcome occurs."""
        if lost:
            raise AssertionError("the simulated service loses nothing")  # pragma: no cover - a bug if it does
        self._kept -= batch.rows
        self._ledger.deliver(batch.rows)


class Simulation:
    """Simulate a fleet minute by minute."""

    def __init__(self, settings: Settings, fleet: Fleet, *, seed: int = 11) -> None:
        self._settings = settings
        self._fleet = fleet
        self._seed = seed
        self._time = _Time()
        self._service = Service(fleet, self._time)
        self._parts: list[tuple[Scheduler, Delivery, Tally, Ledger]] = []
        # A heap of (time of the next event, number of the process).
        self._events: list[tuple[float, int]] = []

    def _start(self) -> None:
        silent = Reporter(lambda _: None, self._time.monotonic)
        for number in range(self._fleet.processes):
            ledger = Ledger()
            begin = random.random() * self._fleet.deploy_seconds  # noqa: S311 - a simulation
            tally = Tally(self._settings, self._fleet, ledger, self._time, begin)
            scheduler = Scheduler(
                queue=tally,
                state=PipelineState(),
                clock=self._time,
                shared_breaker=CircuitBreaker(),
                batch_seconds=self._settings.batch_seconds,
            )
            delivery = Delivery(
                settings=self._settings,
                queue=tally,
                scheduler=scheduler,
                destination=self._service,
                ledger=ledger,
                reporter=silent,
                clock=self._time,
                shrink=shrink_row,
                on_delivered=lambda: None,
            )
            self._parts.append((scheduler, delivery, tally, ledger))
            self._events.append((begin, number))
        heapq.heapify(self._events)

    def run(self, minutes: int) -> Iterator[SimulationResult]:
        """Simulate this many minutes; yield the results so far after each."""
        state = random.getstate()
        random.seed(self._seed)  # Delivery and its pacing draw from the global generator
        try:
            self._start()
            for minute in range(1, minutes + 1):
                self._play_until(minute * MINUTE)
                yield self._course()
        finally:
            random.setstate(state)

    def _play_until(self, end: float) -> None:
        events = self._events
        while events[0][0] < end:
            moment, number = events[0]
            self._time.now = max(self._time.now, moment)
            scheduler, delivery, tally, _ = self._parts[number]
            heapq.heapreplace(events, (self._act(scheduler, delivery, tally), number))
        self._time.now = end

    def _act(self, scheduler: Scheduler, delivery: Delivery, tally: Tally) -> float:
        now = self._time.now
        for _ in range(_MANY):
            tally.update()
            work, pause = scheduler.next_batch()
            if work is None:
                return max(min(now + max(pause, 1e-3), max(tally.next_event(), now + 1e-3)), now + 1e-3)
            delivery.deliver(*work)
        raise AssertionError("a process sends endlessly while no time passes")  # pragma: no cover - as above

    def _course(self) -> SimulationResult:
        course = SimulationResult(minutes=self._service.minutes)
        dropped: dict[str, int] = {}
        for _, _, tally, ledger in self._parts:
            tally.update()
            stats = ledger.snapshot()
            course.accepted += stats.accepted
            course.delivered += stats.delivered
            course.waiting += stats.queued + stats.in_flight
            course.most_waiting_bytes = max(course.most_waiting_bytes, tally.most)
            for reason, rows in stats.dropped.items():
                dropped[reason] = dropped.get(reason, 0) + rows
        course.dropped = dropped
        return course
