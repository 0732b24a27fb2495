"""Take log calls: encode each as a row, put it into the queue, and never raise.

Rules:
- `accept` and `accept_event` are called by any thread at any time, and re-entrantly by signal handlers and finalizers.
  They raise nothing but RecursionError, and wait only for room in the queue, with overflow="block".
- In a forked child the components that they use are replaced, never changed.
- When the stack is exhausted, nothing can be called to count a row. The front door stores the RecursionError in
  `uncounted`, without a call, and `count_failures` counts it later.
- After the system has refused to start a thread, each row asks for one again. Otherwise rows that join an open batch
  would wait until the batch is full.
- A forked child in which no hook has run is recognized before a row is made (see `_process.fork_mark`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .._delivery.listener_threads import Listeners
from .._delivery.reporter import Reporter
from .._process import at_exit, at_fork, fork_mark
from .._process.clock import Clock
from .._process.fork_mark import mark
from .._queue.batch_queue import BatchQueue
from .._queue.ledger import Ledger
from .._queue.store import Put
from .._rows.before_send import FilteredError, HookedEncoder, HookError
from .._rows.encoder import Encoder
from ..trouble import Trouble, count, described
from . import capture

# Whether a log call must look at its record to recognize a forked child.
ASKS_RECORD = not fork_mark.IS_WIPED


class Intake:
    """Turn the application's log calls into rows of the queue."""

    def __init__(
        self, encoder: Encoder | HookedEncoder, reporter: Reporter, clock: Clock, stream: str, *, enabled: bool = True
    ) -> None:
        """Without `enabled`, only captures take rows."""
        self._enabled = enabled
        self._encoder = encoder
        # So that a capture can tell whose rows it takes.
        self._stream = stream
        self._report = reporter
        self._clock = clock
        # RecursionErrors of log calls that could not be counted where they happened.
        self.uncounted: dict[Any, None] = {}
        # Set by `connect`, again in each forked child.
        self._put: Put
        self._queue: BatchQueue
        self._ledger: Ledger
        self._listeners: Listeners

    def connect(self, queue: BatchQueue, ledger: Ledger, listeners: Listeners, on_thread: Callable[[], object]) -> None:
        """Put rows into this queue from now on; `on_thread` is called when a thread starts after an earlier refusal."""
        self._queue = queue
        self._ledger = ledger
        self._listeners = listeners
        self._on_thread = on_thread
        self._reported_after_close = 0
        # Whether each row asks for a thread, because one was refused.
        self._asks_for_thread = False
        # First, so that a capture that begins meanwhile is not missed.
        capture.followers.add(self)
        while True:
            current = capture.current()
            self.redirect(current)
            # A capture that ends meanwhile must not keep the rows.
            if capture.current() is current:
                break

    # Log calls.

    def accept(self, record: logging.LogRecord, formatter: logging.Formatter | None) -> None:
        """Queue a record as a row; if there is a formatter, its output is the message."""
        try:
            if (not mark[0] or (ASKS_RECORD and fork_mark.is_foreign(record))) and not at_fork.ensure_restarted(
                self.accept, record, formatter
            ):
                return
            if not self._put(self._encoder.record(record, formatter)):
                self._report_after_close()
        except RecursionError as error:
            error.__traceback__ = error.__context__ = None
            self.uncounted[error] = None
        except Exception as error:  # noqa: BLE001 - a log call never raises; the loss is counted and reported
            self._fail(error)

    def accept_event(self, event: Any, method: Any, logger_name: str | None) -> None:
        """Queue an event dict as a row; the method's and the bound logger's names stand in for missing keys."""
        try:
            if (not mark[0] or ASKS_RECORD) and not at_fork.ensure_restarted(
                self.accept_event, event, method, logger_name
            ):
                return
            if not self._put(self._encoder.event(event, method, logger_name)):
                self._report_after_close()
        except RecursionError as error:
            error.__traceback__ = error.__context__ = None
            self.uncounted[error] = None
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(error)

    def redirect(self, capture: capture.Capture | None) -> None:
        """Give rows to a capture; with None, to the queue again."""
        own = self._put_and_wake if self._asks_for_thread else self._queue.put
        if not self._enabled:
            own = _put_nowhere
        self._put = own if capture is None else capture(self._stream)

    # Failures.

    def count_failures(self) -> None:
        """Count the rows of log calls that exhausted the stack."""
        with suppress(KeyError):
            while True:
                self._fail(self.uncounted.popitem()[0])

    def _fail(self, error: Exception) -> None:
        if isinstance(error, FilteredError):
            self._ledger.drop("filtered", 1, self._clock.time(), accepted=1)
            return
        if isinstance(error, HookError):
            self._ledger.drop("hook_failed", 1, self._clock.time(), accepted=1)
            self._report(Trouble(kind="lost", text=f"1 row dropped: {error}", reason="hook_failed", rows=1))
            return
        self._ledger.drop("internal", 1, self._clock.time(), accepted=1)
        text = f"a row could not be made: {described(error)}"
        self._report(Trouble(kind="internal", text=text, reason="internal", rows=1))

    def _report_after_close(self) -> None:
        """Report rows logged after close: the first, the tenth, and so on; delivering threads report other losses."""
        with self._ledger.lock:
            rows = self._ledger.dropped.get("after_close", 0)
            reported = self._reported_after_close
            if rows < max(1, 10 * reported):
                return
            self._reported_after_close = rows
        text = f"{count(rows)} logged after close dropped: after_close"
        self._report(Trouble(kind="lost", text=text, reason="after_close", rows=rows - reported), at_once=True)

    # Waking listeners.

    def wake(self) -> bool:
        """Wake a listener to look at the queue; return False if there is none."""
        at_exit.ensure_hook()
        return self._listeners.wake()

    def ask_for_thread(self) -> None:
        """Make each row ask for a thread, because one was refused."""
        self._asks_for_thread = True
        self.redirect(capture.current())

    def _put_and_wake(self, line: bytes) -> bool:
        is_in = self._queue.put(line)
        # Cleared before `wake`, which sets it again if a thread is refused.
        self._asks_for_thread = False
        has_listener = False
        try:
            has_listener = self._listeners.wake()
        except RecursionError:
            pass  # the row is in, and an error raised now would count it twice
        finally:
            # If this was interrupted, the next row asks again.
            self._asks_for_thread = self._asks_for_thread or not has_listener
        if not self._asks_for_thread:
            self.redirect(capture.current())
            self._on_thread()
        return is_in


def _put_nowhere(_: bytes) -> bool:
    return True
