"""Report dropped rows in rows of the library's own (notices), so that a query over the table shows the gaps."""

from __future__ import annotations

from collections.abc import Callable

from .._process.clock import Clock
from .._queue.batch_queue import BatchQueue
from .._queue.ledger import Ledger
from ..trouble import Trouble, clock_time, count
from .reporter import Reporter


class LossNotices:
    """Queue one notice, and report one loss, for each reason for which rows were dropped."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        queue: BatchQueue,
        reporter: Reporter,
        clock: Clock,
        notice: Callable[[str, str, int], bytes],
        batch_seconds: float,
    ) -> None:
        """`notice` encodes a row of the library's own from a message, a level and the level's number."""
        self._ledger = ledger
        self._queue = queue
        self._report = reporter
        self._clock = clock
        self._notice = notice
        self._batch_seconds = batch_seconds
        self._next_at = 0.0
        # Cleared if the table's columns are not known: losses are then reported only when the pipeline closes.
        self.is_enabled = True

    def put_if_due(self) -> None:
        """Queue notices, at most once in `batch_seconds`; called after each delivery."""
        now = self._clock.monotonic()
        if self._ledger.has_unreported and now >= self._next_at:
            self._next_at = now + self._batch_seconds
            self.put()

    def put(self) -> None:
        """Queue notices now; a loss whose notice finds no room is reported later."""
        if not self.is_enabled:
            return
        for reason, loss in self._ledger.take_unreported().items():
            text = f"{count(loss.rows)} dropped: {reason}, {clock_time(loss.first)} to {clock_time(loss.last)} UTC"
            if self._queue.put_notice(self._notice(text, "WARNING", 30)):
                self._report(Trouble(kind="lost", text=text, reason=reason, rows=loss.rows))
            else:
                self._ledger.restore_unreported(reason, loss)
