"""The lifecycle of a pipeline: flush, close, fork and exit, as transitions between its states (see `pipeline_state`).

Rules:
- `flush` and `close` wait for listeners, so they hold none of the library's locks and have a deadline. Where waiting
  could deadlock they do not wait: on a delivering thread, and inside dictConfig, which holds a lock that a listener may
  need. There the listeners go on in the background, and end when no row is left; the exit of the process waits for
  them.
- Transitions are made under the ledger's lock, which is re-entrant; no network I/O happens under it.
- In a child that was forked without hooks, each of the methods that users and exit call restarts the modules first.
- A pipeline that has unsettled rows but no front doors is kept alive until they are settled.
"""

from __future__ import annotations

import secrets
import threading
from typing import Any

from .._config.settings import Settings
from .._config.unfilled import remarks
from .._delivery.breaker import shared_breaker
from .._delivery.destination import Destination
from .._delivery.listener_threads import Listeners
from .._delivery.reporter import Reporter
from .._process import at_exit, at_fork, feedback
from .._process.clock import Clock
from .._process.may_wait import holds_logging_lock
from .._process.registry import Registry
from .._queue.batch_queue import EVERYTHING
from .._queue.pipeline_state import PipelineState, State
from .._rows.before_send import HookedEncoder
from .._rows.encoder import Encoder
from ..health import Health
from ..stats import Stats
from ..trouble import Trouble, count
from .assembly import assemble
from .close_after_config import CloseAfterConfig
from .diagnosis import SWITCHED_OFF, diagnose
from .flush_wait import FlushWait
from .front_doors import FrontDoors
from .intake import Intake
from .left_behind import left_behind
from .off import Off


class Lifecycle:
    """Hold the components of a pipeline, and take it through its states, forks and the exit of the process."""

    def __init__(
        self,
        settings: Settings,
        destination: Destination,
        clock: Clock,
        pipelines: Registry[Lifecycle],
        *,
        background: bool,
    ) -> None:
        """Assemble the pipeline, and register it with the others, for forks and the exit."""
        at_fork.ensure_restarted()
        self.settings = settings
        # Identifies the pipeline across processes when it is pickled.
        self.key = secrets.token_hex(8)
        self.destination = destination
        self._clock = clock
        self._pipelines = pipelines
        self._background = background
        self._report = Reporter(settings.report, clock.monotonic)
        self.encoder = self._make_encoder()
        self._state = PipelineState()
        self._front_doors = FrontDoors(self._close_unused)
        self._is_table_reported = False
        self._close_after_config = CloseAfterConfig(clock, self.close_in_background)
        self.intake = Intake(self.encoder, self._report, clock, settings.stream, enabled=settings.enabled)
        # What front doors give their log calls to.
        self.front: Intake | Off = self.intake if settings.enabled else Off(self.intake)
        self._assemble()
        pipelines.add(self)

    def __repr__(self) -> str:
        return f"{self.queue!r}, {self.listeners!r}"

    def _assemble(self) -> None:
        """Assemble the components that each process has of its own."""
        settings = self.settings
        self.ledger, self.queue, self.scheduler, self.notices, self.delivery = assemble(
            settings,
            state=self._state,
            destination=self.destination,
            reporter=self._report,
            encoder=self.encoder,
            clock=self._clock,
            breaker=shared_breaker(settings.endpoint, settings.rule_id),
            wake=self.intake.wake,
            on_end=lambda: self._pipelines.changed(self),
        )
        self.listeners = Listeners(
            state=self._state,
            scheduler=self.scheduler,
            delivery=self.delivery,
            clock=self._clock,
            reporter=self._report,
            uploads=settings.uploads,
            background=self._background,
            on_end=self._close_if_idle,
            on_refusal=self._thread_refused,
        )
        self._flush_wait = FlushWait(settings.close_seconds, self._clock, self.ledger, self.queue, self.listeners)
        self.intake.connect(self.queue, self.ledger, self.listeners, on_thread=lambda: self._pipelines.release(self))

    def _make_encoder(self) -> Encoder | HookedEncoder:
        settings = self.settings
        options: dict[str, Any] = {"max_line_bytes": settings.batch_bytes - 1, "on_misfit": self._count_misfit}
        if settings.redact is not None:
            # Compiles its expressions when it is imported, which only those pay who ask for it.
            from .._rows.redaction.redactor import Redactor

            options["redactor"] = Redactor(settings.redact, self._count_redacted)
        if settings.before_send is not None:
            return HookedEncoder(settings.before_send, settings.table, **options)
        return Encoder(settings.table, **options)

    def _count_misfit(self) -> None:
        # Looked up at each call, because a forked child has a new ledger.
        self.ledger.misfit()

    def _count_redacted(self, replacements: int) -> None:
        self.ledger.redact(replacements)

    @property
    def state(self) -> State:
        """Return the state that the pipeline is in."""
        return self._state.state

    def _thread_refused(self) -> None:
        self._pipelines.keep(self)
        self.intake.ask_for_thread()

    def take_key(self, key: str) -> None:
        """Identify by this key, because the pipeline was unpickled from another process."""
        self.key = key

    # Called by users.

    def stats(self) -> Stats:
        """Return a snapshot of the counters, which account for every row."""
        at_fork.ensure_restarted()
        self.intake.count_failures()
        return self.ledger.snapshot()

    def health(self) -> Health:
        """Return whether rows are delivered, and if not, why."""
        settings = self.settings
        if not settings.enabled:
            return SWITCHED_OFF
        stats = self.stats()
        scheduler = self.scheduler
        since, ledger = self.queue.since(), self.ledger
        return diagnose(
            settings,
            stats,
            now=self._clock.monotonic(),
            wall_time=self._clock.time(),
            takes_rows=self._state.takes_rows,
            oldest_row=since,
            last_delivery=ledger.last_delivery,
            last_loss=ledger.last_loss,
            interval=scheduler.interval,
            failure=scheduler.failure,
            retry_seconds=scheduler.retry_seconds(),
        )

    def flush(self, timeout: float | None = None) -> bool:
        """Deliver the waiting rows.

        Return True if the service has accepted or rejected each of them, and no row was dropped during the call.
        A `timeout` of None means `close_seconds`. On a delivering thread and inside dictConfig it does not wait.
        """
        at_fork.ensure_restarted()
        watermark = self.make_all_due()
        if _must_not_wait():
            return self.queue.is_settled(watermark)
        return self._flush_wait.wait(watermark, self._flush_wait.deadline(timeout), is_default=timeout is None)

    def close(self, timeout: float | None = None) -> None:
        """Take no more rows, deliver the waiting ones within `timeout` seconds, then count and report the rest as lost.

        A `timeout` of None means `close_seconds`.
        """
        at_fork.ensure_restarted()
        if holds_logging_lock() and self._close_later():
            return
        if not self.queue.begin_drain():
            return
        self.make_all_due()
        if _must_not_wait():
            self._drain_in_background()
            return
        deadline = self._flush_wait.deadline(timeout)
        # A closing pipeline also waits for its own notices and for rows adopted from dead processes.
        self._flush_wait.wait(EVERYTHING, deadline, is_default=timeout is None)
        self._finish_closing(deadline)

    # OPEN -> CLOSING, inside dictConfig.

    def _close_later(self) -> bool:
        """Close once dictConfig is done.

        Return False if the caller must close now: no listener runs, or no row was ever taken.
        """
        if self.state is State.CLOSING:
            return True
        if not self._state.takes_rows or not self.stats().accepted:
            return False
        self.make_all_due()
        self._pipelines.keep(self)
        return self._close_after_config.begin(self.listeners) and self.queue.begin_closing()

    def close_in_background(self) -> None:
        """Take no more rows, and leave the waiting ones to the listeners."""
        if self.queue.begin_drain():
            self._drain_in_background()

    def _drain_in_background(self) -> None:
        """Leave the waiting rows to the listeners, which end when none is left, or else to the exit of the process."""
        self._pipelines.keep(self)
        if not self.listeners.finish() and not self.scheduler.has_rows():
            self._close_if_idle()

    # DRAINING -> CLOSED.

    def _finish_closing(self, deadline: float) -> None:
        """Stop the listeners, count what is left, and report it."""
        # If no row was left, the last listener may have ended and closed the queue already.
        rows = self.queue.close()
        self.listeners.finish()
        with at_exit.spending():
            self.listeners.join(max(0.0, deadline - self._clock.monotonic()))
        settings = self.settings
        for trouble in left_behind(self.stats(), rows, close_seconds=settings.close_seconds, spool=settings.spool):
            self._report(trouble)
        self._free_resources()

    def _close_if_idle(self) -> None:
        """Close the queue and the connections, if no row waits or is in flight."""
        if self._state.takes_rows or self.scheduler.has_rows():
            return
        self.queue.close()
        self._free_resources()

    def _free_resources(self) -> None:
        if self.scheduler.has_rows():
            return
        self.destination.close()
        self.queue.release_ownership()
        for reason, loss in self.ledger.take_unreported().items():
            if reason not in ("closed", "after_close"):
                text = f"{count(loss.rows)} dropped: {reason}"
                self._report(Trouble(kind="lost", text=text, reason=reason, rows=loss.rows))
        self._pipelines.release(self)

    # Called by `bulk` and at exit.

    def make_all_due(self) -> int:
        """Make all waiting rows due now, and return the watermark to wait for: the number of rows accepted so far."""
        at_fork.ensure_restarted()
        self.intake.count_failures()
        if self.ledger.has_unreported and not self.scheduler.is_failing:
            self.notices.put()
        watermark = self.queue.make_all_due()
        if not self.queue.is_settled(watermark):
            self.scheduler.end_pauses()
            self.listeners.wake()
        self.listeners.report_refusal()
        return watermark

    def wait_for_everything(self, seconds: float) -> None:
        """Wait until all rows are settled, adopted ones too, at most this long."""
        self._flush_wait.wait(EVERYTHING, self._flush_wait.deadline(seconds), is_default=False)

    # Front doors.

    def attach(self, front_door: object, *, is_maker: bool) -> None:
        """Register a front door that logs to this pipeline; the first one reports a table without the message."""
        self._front_doors.add(front_door, is_maker=is_maker)
        if not self._is_table_reported:
            self._is_table_reported = True
            for text in remarks(self.settings.table):
                self._report(Trouble(kind="configuration", text=f"{self.settings.stream}: {text}", reason="columns"))

    def detach(self, front_door: object) -> None:
        """Forget a front door that was closed, and close the pipeline if nothing else will."""
        self._front_doors.remove(front_door)
        if self._front_doors.should_close(is_ending=at_exit.seconds_left() is not None):
            self.close()

    def _close_unused(self) -> None:
        # Called by a finalizer, so it must not wait.
        at_fork.ensure_restarted()
        if self.queue.begin_drain():
            if self.scheduler.has_rows():
                self.listeners.wake()
            self._drain_in_background()

    # Fork and exit.

    @property
    def fork_lock(self) -> threading.RLock:
        """Return the lock that a fork must hold, so that the child finds counters and queue in a consistent state."""
        return self.ledger.lock

    def restart(self, *, is_heir: bool = False) -> None:
        """Start afresh in a forked child, without the waiting rows: those are the parent's, unless this is its heir."""
        inherited = self.queue.rows_in_memory() if is_heir else ()
        self.queue.leave_to_parent()
        self.intake.uncounted.clear()
        self.encoder.restart()
        self.destination.forget()
        self._state.restart()
        self._assemble()
        if self._state.is_closed:
            self.queue.close()
        for line in inherited:
            self.queue.put(line)

    def finish_at_exit(self, *, is_last: bool) -> None:
        """Deliver the waiting rows; close the pipeline, unless a handler is open: logging.shutdown closes that."""
        deadline = self._flush_wait.deadline(None)
        watermark = self.queue.make_all_due()
        was_closed = not self._state.takes_rows
        self._flush_wait.wait(EVERYTHING if was_closed else watermark, deadline, is_default=True)
        if was_closed:
            self._finish_closing(deadline)
        elif is_last or not len(self._front_doors):
            self.close()


def _must_not_wait() -> bool:
    return feedback.is_delivering() or holds_logging_lock()
