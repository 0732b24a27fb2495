"""Puts the parts together: takes rows, flushes, closes, starts afresh in a forked child.

Rules:
- `accept` is called by any thread at any time, also in the middle of itself. It raises nothing and waits for nothing
  (but for room, with overflow="block"). What it uses is replaced as a whole in a forked child, never changed.
- `flush` and `close` wait for listeners, so they hold no lock of ours, have a deadline, and do not wait at all where
  waiting could deadlock: on a delivering thread, and inside dictConfig, which holds a lock that a listener may need.
  There the pipeline goes on in the background, and the process's exit waits for it.
- A pipeline made by a handler is closed by the last handler that uses it; any other at exit, or by its maker.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, Self

from . import guard, process
from .buffer import MemoryBuffer
from .clock import Clock, SystemClock
from .delivery import Delivery, Destination
from .encode import Encoder
from .fields import Fields
from .listener import Listeners
from .report import Ledger, Reporter, Stats, Trouble, count
from .settings import read
from .upload import Uploader

Put = Callable[[bytes], bool]

# Who takes the rows instead of the buffers, while `testing.capture` is open.
_capturing: list[Put] = []

# While somebody waits for listeners, he looks this often whether there are any.
_LOOK_SECONDS = 0.5
# A close right after a flush that waited in vain does not wait a second time.
_SAME_SHUTDOWN_SECONDS = 1.0


class Pipeline:
    """Take fields from handlers and processors, and deliver them as rows.

    Takes the arguments of `AzureMonitorHandler`, but for ``level`` and ``pipeline``. The three behind them are for
    tests: where rows go instead of Azure, the clock, and ``background=False`` to deliver in `flush` and `close` only.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        rule_id: str | None = None,
        stream: str | None = None,
        credential: Any = None,
        *,
        destination: Destination | None = None,
        clock: Clock | None = None,
        background: bool = True,
        **options: Any,
    ) -> None:
        named = {"endpoint": endpoint, "rule_id": rule_id, "stream": stream, "credential": credential}
        self.settings = read(named | options, os.environ)
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._destination: Destination = destination if destination is not None else Uploader(self.settings)
        self._background = background
        self._reporter = Reporter(self.settings.report, self._clock.monotonic)
        self._encoder = Encoder(
            self.settings.table, max_line_bytes=self.settings.batch_bytes - 1, on_misfit=self._misfit
        )
        self._users = 0
        self.start_afresh()
        process.register(self)

    def start_afresh(self) -> None:
        """Begin with nothing: when made, and in a forked child, whose parent keeps the rows that wait."""
        settings = self.settings
        self._ledger = Ledger()
        self._encoder.renew()
        self._destination.forget()
        self._buffer = MemoryBuffer(
            self._ledger,
            self._clock,
            wake=self._wake,
            queue_bytes=settings.queue_bytes,
            batch_bytes=settings.batch_bytes,
            overflow=settings.overflow,
            block_seconds=settings.block_seconds,
        )
        self._delivery = Delivery(
            settings,
            self._buffer,
            self._destination,
            self._ledger,
            self._reporter,
            self._encoder,
            self._clock,
            process.lanes.of(settings.endpoint, settings.rule_id),
        )
        self._listeners = Listeners(
            self._delivery, self._clock, self._reporter, uploads=settings.uploads, background=self._background
        )
        self._is_closed = False
        self._refused_after_close = 0
        # When waits of the default length end, and when one last ended in vain.
        self._patience_ends = float("-inf")
        self._gave_up_at = float("-inf")
        self._put: Put = _capturing[-1] if _capturing else self._buffer.put

    # The application's side.

    @property
    def reader(self) -> Any:
        """Return what reads records and event dicts for this pipeline's table."""
        return self._encoder.reader

    def accept(self, fields: Fields) -> None:
        """Take a row; one that cannot be taken is counted."""
        try:
            if not self._put(self._encoder(fields)):
                self._refused()
        except Exception as error:  # noqa: BLE001 - a log call never raises into the application; the loss is counted and told
            self._failed(error)

    def _refused(self) -> None:
        """Tell of rows after close: nobody else will. At each power of ten, because there may be many."""
        if self._buffer.is_closed:
            self._refused_after_close += 1
            rows = self._refused_after_close
            if str(rows).strip("0") == "1":
                said = f"{count(rows)} logged after close dropped: after_close"
                self._reporter(Trouble(kind="lost", text=said, reason=f"after_close {rows}", rows=rows))

    def _failed(self, error: Exception) -> None:
        with self._ledger.lock:
            self._ledger.accepted += 1
            self._ledger.drop("internal", 1, self._clock.time())
        self._reporter(Trouble(kind="internal", text=f"a row could not be made: {error!r}", reason="internal", rows=1))

    def _misfit(self) -> None:
        self._ledger.misfit()

    def _wake(self) -> None:
        process.ensure_exit_hook()
        self._listeners.wake()

    @property
    def lock(self) -> threading.RLock:
        """Return what a fork must hold."""
        return self._ledger.lock

    def stats(self) -> Stats:
        """Say where every row is."""
        return self._ledger.snapshot()

    # Those who flush and close.

    def flush(self, timeout: float | None = None) -> bool:
        """Deliver every row accepted before this call; True if that was done in time and none was lost meanwhile.

        None waits `close_seconds`. On a delivering thread and inside dictConfig nothing is waited for.
        """
        mark = self.urge()
        if guard.is_delivering() or process.owns_logging_lock():
            return self._buffer.is_settled(mark)
        return self._wait(mark, self._deadline(timeout), is_patient=timeout is None)

    def close(self, timeout: float | None = None) -> None:
        """Take no more rows, deliver what waits within `close_seconds`, count the rest as lost and report it."""
        if self._is_closed:
            return
        self._is_closed = True
        self._buffer.close()
        self._delivery.is_closing = True
        mark = self.urge()
        if guard.is_delivering() or process.owns_logging_lock():
            return
        deadline = self._deadline(timeout)
        self._wait(mark, deadline, is_patient=timeout is None)
        self._end(deadline)

    def urge(self) -> int:
        """Have everything that waits sent now; return the mark to wait for."""
        if self._ledger.has_untold and not self._delivery.is_troubled:
            self._delivery.put_notices()
        mark = self._buffer.urge()
        if not self._buffer.is_settled(mark):
            self._delivery.hurry()
            self._listeners.wake()
        return mark

    def finish_at_exit(self) -> None:
        """Flush what a handler will close later; end what nobody else will."""
        deadline = self._deadline(None)
        self._wait(self._buffer.urge(), deadline, is_patient=True)
        if self._is_closed:
            self._end(deadline)
        elif not self._users:
            self.close()

    def _deadline(self, timeout: float | None) -> float:
        now = self._clock.monotonic()
        if timeout is not None:
            deadline = now + timeout
        else:
            if now - self._gave_up_at >= _SAME_SHUTDOWN_SECONDS:
                self._patience_ends = now + self.settings.close_seconds
            deadline = self._patience_ends
        at_exit = process.exit_deadline()
        return deadline if at_exit is None else min(deadline, at_exit)

    def _wait(self, mark: int, deadline: float, *, is_patient: bool) -> bool:
        """Wait until all before the mark is settled; where no listener can run, deliver here."""
        lost_before = sum(self.stats().dropped.values())
        waiter: SimpleQueue[None] = SimpleQueue()
        self._buffer.watch(waiter)
        try:
            while not self._buffer.is_settled(mark):
                left = deadline - self._clock.monotonic()
                if left <= 0:
                    if is_patient:
                        self._gave_up_at = self._clock.monotonic()
                    return False
                if self._listeners.start():
                    self._clock.wait(waiter, min(left, _LOOK_SECONDS))
                else:
                    self._listeners.run(deadline)
        finally:
            self._buffer.unwatch(waiter)
        return sum(self.stats().dropped.values()) == lost_before

    def _end(self, deadline: float) -> None:
        """Stop the listeners and count what is left."""
        self._delivery.is_abandoned = True
        rows = self._buffer.abandon("closed")
        self._listeners.stop()
        self._listeners.join(max(0.0, deadline - self._clock.monotonic()))
        in_flight = self.stats().in_flight
        if rows:
            said = f"{count(rows)} lost: not delivered within close_seconds={self.settings.close_seconds:g}"
            self._reporter(Trouble(kind="lost", text=said, reason="closed", rows=rows))
        if in_flight:
            said = (
                f"{count(in_flight)} still on the way when the pipeline was closed: whether they arrived is not known"
            )
            self._reporter(Trouble(kind="lost", text=said, reason="in_flight", rows=in_flight))
        else:
            self._destination.close()
        for reason, loss in self._ledger.take_untold().items():
            if reason not in ("closed", "after_close"):
                said = f"{count(loss.rows)} dropped: {reason}"
                self._reporter(Trouble(kind="lost", text=said, reason=reason, rows=loss.rows))

    # Shared by handlers.

    def attach(self) -> Self:
        """Count a handler that will close this pipeline."""
        self._users += 1
        return self

    def detach(self) -> None:
        """Close the pipeline when its last handler is closed."""
        self._users -= 1
        if self._users <= 0:
            self.close()

    def _redirect(self, put: Put | None) -> None:
        self._put = self._buffer.put if put is None else put


@contextmanager
def captured(put: Put) -> Iterator[None]:
    """Give the rows of all pipelines, also of those made meanwhile, to somebody else."""
    _capturing.append(put)
    process.for_each(lambda pipeline: pipeline._redirect(put))  # noqa: SLF001 - of this very class
    try:
        yield
    finally:
        _capturing.remove(put)
        before = _capturing[-1] if _capturing else None
        process.for_each(lambda pipeline: pipeline._redirect(before))  # noqa: SLF001
