"""Count every row once, in the counter for the state that it is in.

Rules:
- The lock is re-entrant and held briefly. The queue and its stores share it, because a row's move from one counter to
  another must be atomic for `snapshot`. No network I/O happens under it, so a log call may take it; a spool writes
  rows under it.
- The queue and its stores call the methods from `accept` to `hand_over` with the lock held. All other methods take it
  themselves.
- A store that takes a new row changes the counters itself, not through a method: a row and its count must change in one
  atomic step.
- The times of the last delivery and loss are noted after the counters, outside of any atomic step.
- `catch_up`, which the memory store sets, counts the rows that were taken without the lock.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from .._process.real_threads import RLock
from ..stats import Stats

# Why rows are dropped. mypy checks the code against these values, and a test checks docs/operations.md.
Reason = Literal[
    "queue_full",
    "spool_full",
    "gave_up",
    "closed",
    "after_close",
    "torn",
    "unreadable",
    "internal",
    "hook_failed",
    "filtered",
]
# Rows that were left out on purpose: counted, but no loss.
ON_PURPOSE = frozenset({"filtered"})
# Why rows are lost: the service may also reject them.
LossReason = Reason | Literal["rejected"]
# The counter that holds a waiting row: in memory or on disk.
Place = Literal["queued", "spooled"]


@dataclass(slots=True)
class Loss:
    """Sum up the losses for one reason until a notice reports them."""

    rows: int
    first: float
    last: float


def lost(dropped: Mapping[str, int]) -> int:
    """Return how many of the dropped rows are lost."""
    return sum(rows for reason, rows in dropped.items() if reason not in ON_PURPOSE)


class Ledger:
    """Hold the counters of one pipeline in one process."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.lock = RLock()
        self._monotonic = monotonic
        # Counts the rows that a store took in without the lock.
        self.catch_up: Callable[[], object] = lambda: None
        self.accepted = self.delivered = self.queued = self.in_flight = self.rejected = 0
        self.adopted = self.spooled = self.handed_over = 0
        self.misfits = self.redacted = self.requests = self.retries = self.sent_bytes = 0
        # Requests by their answer, a status or what failed; and those of them after which the rows were sent again.
        self.answers: defaultdict[int | str, int] = defaultdict(int)
        self.retried: defaultdict[int | str, int] = defaultdict(int)
        # A defaultdict makes no Python call, so no signal handler or finalizer can interrupt the counting.
        self.dropped: defaultdict[str, int] = defaultdict(int)
        # How often `dropped` has changed.
        self.drops = 0
        # When rows were last delivered, on the monotonic clock.
        self.last_delivery: float | None = None
        # When rows were last lost, in wall time as in notices, and why.
        self.last_loss: tuple[float, LossReason] | None = None
        # Losses that no notice has reported yet.
        self._unreported: dict[Reason, Loss] = {}

    def __repr__(self) -> str:
        dropped = sum(self.dropped.values())
        return (
            f"<Ledger accepted={self.accepted} queued={self.queued} spooled={self.spooled} in_flight={self.in_flight}"
            f" delivered={self.delivered} rejected={self.rejected} dropped={dropped}>"
        )

    def accept(self, rows: int) -> None:
        """Count new rows, which now wait in memory."""
        self.accepted += rows
        self.queued += rows

    def adopt(self, rows: int) -> None:
        """Count rows that a dead process left, which wait on disk."""
        self.adopted += rows
        self.spooled += rows

    def discover(self, rows: int, *, is_adopted: bool) -> None:
        """Count rows that were found when their file was read; they are in flight already."""
        if is_adopted:
            self.adopted += rows
        else:
            self.accepted += rows
        self.in_flight += rows

    def take(self, rows: int, place: Place) -> None:
        """Move waiting rows to in flight."""
        if place == "queued":
            self.queued -= rows
        else:
            self.spooled -= rows
        self.in_flight += rows

    def give_back(self, rows: int, place: Place) -> None:
        """Move rows in flight back to waiting."""
        self.in_flight -= rows
        if place == "queued":
            self.queued += rows
        else:
            self.spooled += rows

    def deliver(self, rows: int) -> None:
        """Move rows in flight to delivered."""
        self.in_flight -= rows
        self.delivered += rows
        if rows:
            self.last_delivery = self._monotonic()

    def reject(self, rows: int, now: float) -> None:
        """Move rows in flight to rejected."""
        self.in_flight -= rows
        self.rejected += rows
        self.last_loss = (now, "rejected")

    def hand_over(self, rows: int) -> None:
        """Move adopted rows that wait on disk to handed over."""
        self.spooled -= rows
        self.handed_over += rows

    def drop(
        self,
        reason: Reason,
        rows: int,
        now: float,
        *,
        accepted: int = 0,
        queued: int = 0,
        spooled: int = 0,
        in_flight: int = 0,
        is_notice: bool = False,
    ) -> None:
        """Count rows as dropped; the keyword arguments say how many are new, or come from which counter.

        The library's own notices are counted, but their loss causes no further notice; nor does leaving a row out on
        purpose.
        """
        with self.lock:
            self.accepted += accepted
            self.queued -= queued
            self.spooled -= spooled
            self.in_flight -= in_flight
            if rows:
                self.dropped[reason] += rows
                self.drops += 1
            if rows and not is_notice and reason not in ON_PURPOSE:
                self.add_unreported(reason, rows, now)

    def add_unreported(self, reason: Reason, rows: int, now: float) -> None:
        """Note dropped rows for the next notice."""
        self.last_loss = (now, reason)
        loss = self._unreported.setdefault(reason, Loss(0, now, now))
        loss.rows += rows
        loss.last = now

    def misfit(self) -> None:
        """Count a value that did not fit its column."""
        with self.lock:
            self.misfits += 1

    def redact(self, replacements: int) -> None:
        """Count what was replaced in a value."""
        with self.lock:
            self.redacted += replacements

    def sent(self, size: int, *, is_retry: bool) -> None:
        """Count a request, and the bytes of its rows."""
        with self.lock:
            self.requests += 1
            self.retries += is_retry
            self.sent_bytes += size

    def answered(self, outcome: int | str, *, is_retried: bool) -> None:
        """Count an answer, by its status or by what failed; `is_retried` says that the rows are tried again."""
        with self.lock:
            self.answers[outcome] += 1
            if is_retried:
                self.retried[outcome] += 1

    def outcomes(self) -> tuple[dict[int | str, int], dict[int | str, int]]:
        """Return copies of `answers` and `retried`."""
        with self.lock:
            return dict(self.answers), dict(self.retried)

    def take_unreported(self) -> dict[Reason, Loss]:
        """Return the losses that no notice has reported, and forget them."""
        with self.lock:
            unreported, self._unreported = self._unreported, {}
            return unreported

    def restore_unreported(self, reason: Reason, loss: Loss) -> None:
        """Take back a loss whose notice could not be queued."""
        with self.lock:
            later = self._unreported.get(reason)
            if later is None:
                self._unreported[reason] = loss
            else:
                later.rows += loss.rows
                later.first = min(later.first, loss.first)

    @property
    def has_unreported(self) -> bool:
        """Return whether there are losses that no notice has reported."""
        return bool(self._unreported)

    def snapshot(self) -> Stats:
        """Return all counters as they are at one moment."""
        with self.lock:
            self.catch_up()
            while True:
                drops, dropped = self.drops, dict(self.dropped)
                # From here on, all counters are read in one atomic step. If a signal handler or finalizer has dropped a
                # row before it, `dropped` is outdated, and the loop reads again.
                stats = Stats(
                    accepted=self.accepted,
                    delivered=self.delivered,
                    queued=self.queued,
                    in_flight=self.in_flight,
                    rejected=self.rejected,
                    dropped=dropped,
                    adopted=self.adopted,
                    spooled=self.spooled,
                    handed_over=self.handed_over,
                    misfits=self.misfits,
                    redacted=self.redacted,
                    requests=self.requests,
                    retries=self.retries,
                    sent_bytes=self.sent_bytes,
                )
                if drops == self.drops:
                    return stats
