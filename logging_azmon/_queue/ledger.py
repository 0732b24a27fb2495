"""Count every row once, in the counter that says where it is.

Rules:
- The lock is re-entrant and held briefly. The queue and its stores share it, because a row's move from one counter to
  another must be atomic for `snapshot`. No network I/O happens under it, so a log call may take it; a spool writes
  rows under it.
- Methods that move waiting rows and rows on their way (`accept` to `hand_over`) are called with the lock held, by the
  queue and its stores. All others take it themselves.
- The three places that take rows in change counters themselves, because there a row and its count must change in one
  atomic step.
- Rows that were taken in without the lock are counted by `catch_up`, which the store sets.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..stats import Stats

# Why rows are dropped. The type checker holds the code to these, a test README.
Reason = Literal["queue_full", "spool_full", "gave_up", "closed", "after_close", "torn", "unreadable", "internal"]
# The counter of rows that wait: in memory or on disk.
Place = Literal["queued", "spooled"]


@dataclass(slots=True)
class Loss:
    """Sum up losses of one reason until they are reported in a row."""

    rows: int
    first: float
    last: float


class Ledger:
    """Hold the counters of one pipeline in one process."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        # Counts the rows that a store took in without the lock.
        self.catch_up: Callable[[], object] = lambda: None
        self.accepted = self.delivered = self.queued = self.in_flight = self.rejected = 0
        self.adopted = self.spooled = self.handed_over = 0
        self.misfits = self.requests = self.retries = self.sent_bytes = 0
        # A defaultdict counts without a Python call, so nothing on this thread can come in between.
        self.dropped: defaultdict[str, int] = defaultdict(int)
        self._drops = 0
        # Losses that no notice has reported yet.
        self._untold: dict[Reason, Loss] = {}

    def __repr__(self) -> str:
        dropped = sum(self.dropped.values())
        return (
            f"<Ledger accepted={self.accepted} queued={self.queued} spooled={self.spooled} in_flight={self.in_flight}"
            f" delivered={self.delivered} rejected={self.rejected} dropped={dropped}>"
        )

    def accept(self, rows: int) -> None:
        """Count rows that were offered, and now wait in memory."""
        self.accepted += rows
        self.queued += rows

    def adopt(self, rows: int) -> None:
        """Count rows that a dead process left on disk, where they wait."""
        self.adopted += rows
        self.spooled += rows

    def discover(self, rows: int, *, is_adopted: bool) -> None:
        """Count rows that came to light when their file was read, on their way already."""
        if is_adopted:
            self.adopted += rows
        else:
            self.accepted += rows
        self.in_flight += rows

    def take(self, rows: int, place: Place) -> None:
        """Count rows as on their way that waited until now."""
        if place == "queued":
            self.queued -= rows
        else:
            self.spooled -= rows
        self.in_flight += rows

    def give_back(self, rows: int, place: Place) -> None:
        """Count rows as waiting again that were on their way."""
        self.in_flight -= rows
        if place == "queued":
            self.queued += rows
        else:
            self.spooled += rows

    def deliver(self, rows: int) -> None:
        """Count rows as delivered that were on their way."""
        self.in_flight -= rows
        self.delivered += rows

    def reject(self, rows: int) -> None:
        """Count rows as rejected by the service that were on their way."""
        self.in_flight -= rows
        self.rejected += rows

    def hand_over(self, rows: int) -> None:
        """Count adopted rows that wait on disk as left to the next process."""
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
        """Count rows as lost: rows that are only now offered, or rows taken from the counter that held them.

        The library's own notices are counted, but breed no further notice.
        """
        with self.lock:
            self.accepted += accepted
            self.queued -= queued
            self.spooled -= spooled
            self.in_flight -= in_flight
            if rows:
                self.dropped[reason] += rows
                self._drops += 1
            if rows and not is_notice:
                loss = self._untold.setdefault(reason, Loss(0, now, now))
                loss.rows += rows
                loss.last = now

    def misfit(self) -> None:
        """Count a value that did not fit its column."""
        with self.lock:
            self.misfits += 1

    def sent(self, size: int, *, is_retry: bool) -> None:
        """Count a request and the bytes of its rows."""
        with self.lock:
            self.requests += 1
            self.retries += is_retry
            self.sent_bytes += size

    def take_untold(self) -> dict[Reason, Loss]:
        """Return the losses that have not been reported in a row, each once."""
        with self.lock:
            untold, self._untold = self._untold, {}
            return untold

    def untell(self, reason: Reason, loss: Loss) -> None:
        """Take back a loss that could not be reported."""
        with self.lock:
            later = self._untold.get(reason)
            if later is None:
                self._untold[reason] = loss
            else:
                later.rows += loss.rows
                later.first = min(later.first, loss.first)

    @property
    def has_untold(self) -> bool:
        """Tell whether there are losses that no row has reported."""
        return bool(self._untold)

    def snapshot(self) -> Stats:
        """Return all counters as they are at one moment."""
        with self.lock:
            self.catch_up()
            while True:
                drops, dropped = self._drops, dict(self.dropped)
                # From here on, all counters are read in one atomic step. Before it, a signal handler or a finalizer may
                # have dropped a row.
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
                    requests=self.requests,
                    retries=self.retries,
                    sent_bytes=self.sent_bytes,
                )
                if drops == self._drops:
                    return stats
