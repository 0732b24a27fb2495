"""Counts every row once, where it is.

Rules: the lock is re-entrant and short; no network I/O happens under it, so a log call may take it. The buffer shares
it, because a row's way from one counter to the next must be one step for `snapshot`: it changes counters itself, under
the lock. A spool writes rows under it.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

# Why rows are dropped. The type checker holds the code to these, a test README.
Reason = Literal["queue_full", "spool_full", "gave_up", "closed", "after_close", "torn", "unreadable", "internal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Show where every row of a pipeline is.

    ``accepted + adopted == delivered + queued + in_flight + spooled + rejected + sum(dropped.values()) + handed_over``
    holds in every snapshot.
    """

    accepted: int
    delivered: int
    queued: int
    in_flight: int
    rejected: int
    dropped: Mapping[str, int]
    adopted: int = 0
    spooled: int = 0
    handed_over: int = 0
    # Values that did not fit their column, and what delivery took.
    misfits: int = 0
    requests: int = 0
    retries: int = 0
    sent_bytes: int = 0


@dataclass(slots=True)
class Loss:
    """Sum up losses of one reason until they are told."""

    rows: int
    first: float
    last: float


class Ledger:
    """Hold the counters of one pipeline in one process."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        # Counts what whoever takes rows has left to be counted later.
        self.catch_up: Callable[[], object] = lambda: None
        self.accepted = self.delivered = self.queued = self.in_flight = self.rejected = 0
        self.adopted = self.spooled = self.handed_over = 0
        self.misfits = self.requests = self.retries = self.sent_bytes = 0
        # Counts without a call, so that nothing of the same thread can come in between.
        self.dropped: defaultdict[str, int] = defaultdict(int)
        self._drops = 0
        # Losses that no row of the library's own has told yet.
        self._untold: dict[Reason, Loss] = {}

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
        """Count rows as lost: offered only now, or taken from the counter where they were until then.

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
        """Hand over the losses to be told, once."""
        with self.lock:
            untold, self._untold = self._untold, {}
            return untold

    def untell(self, reason: Reason, loss: Loss) -> None:
        """Take a loss back that could not be told."""
        with self.lock:
            later = self._untold.get(reason)
            if later is None:
                self._untold[reason] = loss
            else:
                later.rows += loss.rows
                later.first = min(later.first, loss.first)

    @property
    def has_untold(self) -> bool:
        """Tell whether there are losses that no row has told."""
        return bool(self._untold)

    def snapshot(self) -> Stats:
        """Return all counters as they are at one moment."""
        with self.lock:
            self.catch_up()
            while True:
                drops, dropped = self._drops, dict(self.dropped)
                # From here on all is read in one step; before it, a signal handler or a finaliser may have lost a row.
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
