"""Puts the parts together: takes rows, flushes, closes, starts afresh in a forked child.

Rules:
- `_accept` and `_accept_event` are called by any thread at any time, also in the middle of themselves. They raise
  nothing and wait for nothing (but for room, with overflow="block"). What they use is replaced as a whole in a forked
  child, never changed.
- `flush` and `close` wait for listeners, so they hold no lock of ours, have a deadline, and do not wait at all where
  waiting could deadlock: on a delivering thread, and inside dictConfig, which holds a lock that a listener may need.
  There the pipeline goes on in the background: its listeners end when nothing is left, or the process's exit waits.
- A pipeline made by a front door is closed when the last front door that uses it is closed or gone; any other by its
  maker, or at exit.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
import weakref
from contextlib import suppress
from typing import Any, Self

from ._azure.uploader import Uploader
from ._config.settings import Settings, read
from ._delivery.breaker import shared_lane
from ._delivery.delivery import Destination
from ._delivery.listeners import Listeners
from ._delivery.reporter import Reporter, Trouble, count, described, left_behind
from ._pipeline import capture
from ._pipeline.assembly import assemble
from ._pipeline.capture import Put
from ._pipeline.waiting import Waiting
from ._process import at_exit, at_fork, feedback
from ._process.clock import Clock, SystemClock
from ._process.registry import Registry
from ._process.threads import holds_logging_lock, is_logging_lock_free
from ._queue.batch_queue import EVERYTHING
from ._rows.encoder import Encoder
from ._rows.fields import Fields
from .stats import Stats

_NEVER = float("inf")
_LATE_SECONDS = 0.05


pipelines: Registry[Pipeline] = Registry()


class Pipeline:
    """Take what handlers and processors are given, and deliver it as rows.

    Takes the arguments of `AzureMonitorHandler`, but for ``level`` and ``pipeline``. The three behind them are for
    tests: where rows go instead of Azure, the clock, and ``background=False`` to deliver in `flush` and `close` only.

    Users call `flush`, `close` and `stats`. Of what begins with an underscore, front doors, commands, fork and exit
    call what pyproject.toml names under `flake8-self`; the linter refuses them the rest.
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
        self._set_up(read(named | options, os.environ), destination, clock, background=background)

    def _set_up(
        self,
        settings: Settings,
        destination: Destination | None = None,
        clock: Clock | None = None,
        *,
        background: bool = True,
    ) -> None:
        """Put the parts together, for checked settings."""
        self.settings = settings
        # By this, other processes know that it is the same one.
        self._key = secrets.token_hex(8)
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._destination: Destination = destination if destination is not None else Uploader(self.settings)
        self._background = background
        self._reporter = Reporter(self.settings.report, self._clock.monotonic)
        self._encoder = Encoder(
            self.settings.table, max_line_bytes=self.settings.batch_bytes - 1, on_misfit=self._misfit
        )
        # Front doors that log to this pipeline, and whether one of them made it: then the last of them closes it.
        self._users: dict[weakref.ref[Any], None] = {}
        self._is_front_doors_own = False
        # Whether no more rows are taken, and whether nothing is left to wait for.
        self._is_closed = False
        self._has_ended = False
        # Inside dictConfig: since when its lock has been free.
        self._configured_at = _NEVER
        # Errors at the end of the stack, where nothing can be called to count them.
        self._uncounted: dict[Any, None] = {}
        self._begin()
        pipelines.add(self)
        capture.followers.add(self)

    def _start_afresh(self) -> None:
        """Begin with nothing, in a forked child: its parent keeps the rows that wait."""
        self._buffer.leave_to_parent()
        self._begin()

    def _begin(self) -> None:
        settings = self.settings
        self._encoder.renew()
        self._destination.forget()
        self._ledger, self._buffer, self._delivery = assemble(
            settings,
            self._destination,
            self._reporter,
            self._encoder,
            self._clock,
            shared_lane(settings.endpoint, settings.rule_id),
            self._wake,
        )
        self._listeners = Listeners(
            self._delivery,
            self._clock,
            self._reporter,
            uploads=settings.uploads,
            background=self._background,
            on_end=self._let_go,
            on_refusal=self._ask_again,
        )
        self._waiting = Waiting(settings.close_seconds, self._clock, self._ledger, self._buffer, self._listeners)
        if self._is_closed:
            self._buffer.abandon("closed")
        self._told_after_close = 0
        # A thread was refused: each row asks for one, until there is one.
        self._asks_again = False
        self._put: Put = capture.current() or self._buffer.put

    # The application's side.

    def _accept(self, record: logging.LogRecord, formatter: logging.Formatter | None) -> None:
        """Take a record as a row, with the formatter's output for its message if there is one; never raises."""
        try:
            if not self._put(self._encoder.record(record, formatter)):
                self._tell_after_close()
        except RecursionError as error:
            error.__traceback__ = error.__context__ = None
            self._uncounted[error] = None
        except Exception as error:  # noqa: BLE001 - a log call never raises into the application; the loss is counted and told
            self._failed(error)

    def _accept_event(self, event: Any, method: Any, logger_name: str | None) -> None:
        """Take an event dict as a row; the method called and the bound logger's name stand in; never raises."""
        try:
            if not self._put(self._encoder.event(event, method, logger_name)):
                self._tell_after_close()
        except RecursionError as error:
            error.__traceback__ = error.__context__ = None
            self._uncounted[error] = None
        except Exception as error:  # noqa: BLE001 - see above
            self._failed(error)

    def _encode(self, fields: Fields) -> bytes:
        """Encode what somebody else has read, as `logging-azmon send` does with lines of a file."""
        return self._encoder(fields)

    def _offer(self, line: bytes, seconds: float) -> bool:
        """Take an encoded row as soon as there is room; False if there was none for so long, and nothing is counted.

        For those who can wait, so that no row is dropped whatever `overflow` says: no log call is among them.
        """
        return self._buffer.put_within(seconds, line)

    def _settled_before(self) -> int:
        """Count the rows, from the first one on, that have all found their end."""
        return self._buffer.settled_before()

    def _tell_after_close(self) -> None:
        """Tell of rows after close: of the first, tenth, hundredth. Other reasons are told by delivering threads."""
        with self._ledger.lock:
            rows = self._ledger.dropped.get("after_close", 0)
            told = self._told_after_close
            if rows < max(1, 10 * told):
                return
            self._told_after_close = rows
        said = f"{count(rows)} logged after close dropped: after_close"
        self._reporter(Trouble(kind="lost", text=said, reason="after_close", rows=rows - told), at_once=True)

    def _failed(self, error: Exception) -> None:
        self._ledger.drop("internal", 1, self._clock.time(), accepted=1)
        self._reporter(
            Trouble(kind="internal", text=f"a row could not be made: {described(error)}", reason="internal", rows=1)
        )

    def _misfit(self) -> None:
        self._ledger.misfit()

    def _wake(self) -> None:
        at_exit.ensure_hook()
        self._listeners.wake()

    def _ask_again(self) -> None:
        """After a thread was refused, ask with each row, or those that join a batch would wait until it is full."""
        pipelines.keep(self)
        self._asks_again = True
        self._redirect(capture.current())

    def _put_and_wake(self, line: bytes) -> bool:
        is_in = self._buffer.put(line)
        self._asks_again = False  # unless a thread is refused meanwhile
        has_listener = False
        try:
            has_listener = self._listeners.wake()
        except RecursionError:
            pass  # the row is in, and whatever is raised now would count it twice
        finally:
            # Whatever came in between, the next row asks.
            self._asks_again = self._asks_again or not has_listener
        if not self._asks_again:
            self._redirect(capture.current())
            pipelines.release(self)
        return is_in

    @property
    def _fork_lock(self) -> threading.RLock:
        """Return the lock that a fork must hold: the child finds the counters and the queue whole then."""
        return self._ledger.lock

    def stats(self) -> Stats:
        """Say where every row is."""
        self._count_uncounted()
        return self._ledger.snapshot()

    def _count_uncounted(self) -> None:
        with suppress(KeyError):
            while True:
                self._failed(self._uncounted.popitem()[0])

    # Those who flush and close.

    def flush(self, timeout: float | None = None) -> bool:
        """Deliver every row accepted before this call; True if none of them is left and no row was dropped meanwhile.

        None waits `close_seconds`. On a delivering thread and inside dictConfig nothing is waited for.
        """
        mark = self._urge()
        if self._must_not_wait():
            return self._buffer.is_settled(mark)
        return self._waiting.wait(mark, self._waiting.deadline(timeout), is_patient=timeout is None)

    def close(self, timeout: float | None = None) -> None:
        """Take no more rows, deliver what waits within `close_seconds`, count the rest as lost and report it."""
        if holds_logging_lock() and self._closes_later():
            return
        if not self._begin_to_close():
            return
        self._urge()
        if self._must_not_wait():
            self._finish_alone()
            return
        deadline = self._waiting.deadline(timeout)
        # A pipeline that takes no more waits for its own notices, too, and for what dead processes have left.
        self._waiting.wait(EVERYTHING, deadline, is_patient=timeout is None)
        self._end(deadline)

    def _tell_in_reports_only(self) -> None:
        """Put no rows of its own into a table whose columns it does not know."""
        self._delivery.tells_in_rows = False

    def _drain(self, timeout: float) -> bool:
        """Wait for all that is there, also what dead processes have left in the spool; True if nothing is left."""
        self._waiting.wait(EVERYTHING, self._waiting.deadline(timeout), is_patient=False)
        if not self._buffer.is_settled(EVERYTHING):
            return False
        # Not all dead owners are taken at once: is there another one?
        self._urge()
        return self._buffer.is_settled(EVERYTHING)

    def _begin_to_close(self) -> bool:
        """Take no more rows; False if that was so already."""
        with self._ledger.lock:
            if self._is_closed:
                return False
            self._is_closed = True
        self._buffer.close()
        self._delivery.is_closing = True
        return True

    def _closes_later(self) -> bool:
        """Have a listener close when dictConfig is done; False where there is none, or no use for it.

        Until then other threads log to the old handler, and nobody else would take their rows.
        """
        if self._is_closed or not self.stats().accepted:
            return False
        self._urge()
        pipelines.keep(self)
        self._configured_at = _NEVER
        return self._listeners.run_errand(self._close_when_lock_is_free)

    def _close_when_lock_is_free(self) -> bool:
        now = self._clock.monotonic()
        self._configured_at = min(self._configured_at, now) if is_logging_lock_free() else _NEVER
        # Who found the old handler just before it was replaced has had this time; listeners ask whenever one wakes up.
        if now - self._configured_at < _LATE_SECONDS:
            return False
        if self._begin_to_close():
            self._finish_alone()
        return True

    def _finish_alone(self) -> None:
        """Leave the rest to the listeners, who end when nothing is left, or else to the exit."""
        pipelines.keep(self)
        if not self._listeners.finish() and not self._delivery.has_rows():
            self._let_go()

    @staticmethod
    def _must_not_wait() -> bool:
        return feedback.is_delivering() or holds_logging_lock()

    def _urge(self) -> int:
        """Have everything that waits sent now; return the mark to wait for: rows before it were accepted until now."""
        self._count_uncounted()
        if self._ledger.has_untold and not self._delivery.is_troubled:
            self._delivery.put_notices()
        mark = self._buffer.urge()
        if not self._buffer.is_settled(mark):
            self._delivery.hurry()
            self._listeners.wake()
        self._listeners.tell_refusal()
        return mark

    def _finish_at_exit(self, *, is_last: bool) -> None:
        """Flush what a handler will close later; end what nobody else will."""
        deadline = self._waiting.deadline(None)
        mark = self._buffer.urge()
        self._waiting.wait(EVERYTHING if self._is_closed else mark, deadline, is_patient=True)
        if self._is_closed:
            self._end(deadline)
        elif is_last or not self._users:
            self.close()

    def _end(self, deadline: float) -> None:
        """Stop the listeners and count what is left."""
        self._has_ended = True
        rows = self._buffer.abandon("closed")
        self._listeners.stop()
        with at_exit.spending():
            self._listeners.join(max(0.0, deadline - self._clock.monotonic()))
        settings = self.settings
        for trouble in left_behind(self.stats(), rows, close_seconds=settings.close_seconds, spool=settings.spool):
            self._reporter(trouble)
        self._let_go()

    def _let_go(self) -> None:
        """Let go of everything if the pipeline is closed and nothing is on its way any more."""
        if not self._is_closed or self._delivery.has_rows():
            return
        self._destination.close()
        self._buffer.release()
        for reason, loss in self._ledger.take_untold().items():
            if reason not in ("closed", "after_close"):
                said = f"{count(loss.rows)} dropped: {reason}"
                self._reporter(Trouble(kind="lost", text=said, reason=reason, rows=loss.rows))
        pipelines.release(self)

    # The front doors that share it, and who takes its rows aside.

    def _attach(self, user: object, *, is_maker: bool = False) -> Self:
        """Know somebody who logs to this pipeline; it is closed with the last of them if one of them made it."""
        self._is_front_doors_own |= is_maker
        self._users[weakref.ref(user, self._lost_sight_of)] = None
        return self

    def _detach(self, user: object) -> None:
        """Close the pipeline when the last who made and used it is gone."""
        self._users.pop(weakref.ref(user), None)
        is_ending = at_exit.seconds_left() is not None
        if not self._users and (self._is_front_doors_own or is_ending):
            self.close()

    def _lost_sight_of(self, user: weakref.ref[Any]) -> None:
        """Do without a front door that was dropped. Called by a finaliser, so nothing is waited for."""
        self._users.pop(user, None)
        if not self._users and self._is_front_doors_own and self._begin_to_close():
            if self._delivery.has_rows():
                self._listeners.wake()
            self._finish_alone()

    def _redirect(self, put: Put | None) -> None:
        """Give rows to somebody else, or to the buffer again."""
        own = self._put_and_wake if self._asks_again else self._buffer.put
        self._put = own if put is None else put


def _fork_locks() -> list[threading.RLock]:
    return [pipeline._fork_lock for pipeline in pipelines.alive()]


def restart() -> None:
    pipelines.release_all()
    for pipeline in pipelines.alive():
        pipeline._start_afresh()


def _at_exit(is_last: bool) -> None:  # noqa: FBT001 - called with it
    """Deliver the tail of all pipelines; close those that nobody will, or all if nothing comes later."""
    left = [pipeline for pipeline in pipelines.alive() if not pipeline._has_ended]
    seconds = max((pipeline.settings.close_seconds for pipeline in left), default=0.0)
    at_exit.begin(seconds)
    for pipeline in left:
        pipeline._urge()
    # One that hangs must leave time for others, which may have nobody but this thread to deliver for them.
    for number, pipeline in enumerate(left):
        pipeline.flush((at_exit.seconds_left() or 0.0) / (len(left) - number))
    for pipeline in left:
        pipeline._finish_at_exit(is_last=is_last)


at_fork.register(at_fork.Turn.PIPELINES, locks=_fork_locks, restart=restart)
at_exit.register(at_exit.Turn.PIPELINES, _at_exit)
