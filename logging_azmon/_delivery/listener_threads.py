"""Background threads: QueueListeners that take batches and deliver them. Only `sigterm` starts another thread.

Rules:
- A log call starts a listener, perhaps in a signal handler or finalizer that interrupted `Thread.start` itself. It
  therefore only starts a bare thread by `_thread`, which takes no lock of `threading`, and that thread starts the
  listener.
- A listener is free unless it is delivering. When a full batch waits and no listener is free, another is started, up to
  `uploads` of them.
- Listeners are daemons, because the interpreter joins all other threads before atexit, which delivers the last rows.
  They end when the pipeline is closed and no row is left; the last one calls `on_end`.
- No thread is started once the main thread has ended; a bare thread that exists by then listens itself. If no listener
  is free, a flushing thread then delivers itself (`deliver_one`). From 3.12 on the interpreter itself refuses threads
  from a moment earlier; that is not reported as a refusal.
- None is started where uWSGI forbids it (see `_process.thread_support`); it may be allowed later, in a forked child.
- A lost wake-up delays a look at the queue, a superfluous one costs a look; neither loses a row.
- The lock is re-entrant, because a log call may interrupt any line. It is held for arithmetic only.
- Every join has a timeout.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from logging.handlers import QueueListener
from typing import Any

from .._process import feedback, heir, real_threads
from .._process.clock import Clock, SystemClock
from .._process.real_threads import Empty, RLock, SimpleQueue
from .._process.thread_support import Threads, signals_left_to_others, threads
from .._queue.pipeline_state import PipelineState
from ..trouble import Trouble, described
from .delivery import Delivery
from .reporter import Reporter
from .scheduler import Scheduler, Work

# The interval between two calls of an action that is retried until it is done.
_ACTION_SECONDS = 0.1
# How long to wait after the system has refused to start a thread, or after a bug of ours.
_PAUSE_SECONDS = 1.0
_NO_THREADS = (
    "uWSGI runs without --enable-threads, so no thread can deliver: rows wait for a flush, or for the end of the"
    " process; set enable-threads = true"
)
# Whether that was reported.
_has_reported = False


class Listener(QueueListener):
    """Deliver batches on a thread of its own until the pool stops.

    The base class's loop calls `dequeue` and `handle`. `start` is overridden, because its thread would not be marked as
    delivering. `stop` is not used: it joins without a timeout, and a sentinel that is meant for one listener could end
    another. The loop is called by its private name, `_monitor`, which is unchanged since Python 3.2.
    """

    def __init__(self, pool: Listeners) -> None:
        super().__init__(pool.wakeups)
        self._pool = pool
        # Set if the start failed or was interrupted. The listener is then not counted as live, so its thread must end
        # at once.
        self.is_cancelled = False

    def start(self) -> None:  # pragma: no cover - runs on a bare thread, which coverage does not trace
        """Start the thread; or listen on this bare one if Threads are greenlets, or the main thread has ended."""
        if real_threads.is_patched() or not threading.main_thread().is_alive():
            self._listen(is_bare=True)
        else:
            # Without `daemon`, Thread would look up the current thread, which registers a dummy thread for a bare one
            # and never removes it.
            threading.Thread(target=self._listen, name="logging_azmon", daemon=True).start()

    def _listen(self, *, is_bare: bool = False) -> None:
        # Marked until the thread ends: a record that it logs may come back through a queue, and is recognized by its
        # thread.
        with feedback.listening():
            # A bare thread has no Thread object, and `current_thread` would make one.
            if not is_bare:  # pragma: no branch - coverage does not trace a bare thread
                self._pool.thread_started()
            try:
                self._monitor()  # type: ignore[attr-defined]
            finally:
                self._pool.thread_ended()

    def dequeue(self, block: bool) -> Any:  # noqa: ARG002, FBT001 - the base class's signature; listeners always block
        """Return the next batch to send; `queue.Empty` ends the thread when the pool has stopped."""
        work = self._pool.next_work()
        if work is None:
            raise Empty
        return work

    def handle(self, work: Any) -> None:
        """Deliver a batch."""
        self._pool.deliver(work)


class Listeners:
    """Run up to `uploads` listeners on one queue."""

    def __init__(
        self,
        *,
        state: PipelineState,
        scheduler: Scheduler,
        delivery: Delivery,
        clock: Clock,
        reporter: Reporter,
        uploads: int,
        background: bool,
        on_end: Callable[[], None],
        on_refusal: Callable[[], None],
    ) -> None:
        """`on_end` is called when the last listener ends, `on_refusal` when no thread could be started."""
        self.wakeups: SimpleQueue[None] = SimpleQueue()
        self._state = state
        self._scheduler = scheduler
        self._delivery = delivery
        self._clock = clock
        self._report = reporter
        self._uploads = uploads
        self._background = background
        self._on_end = on_end
        self._on_refusal = on_refusal
        self._lock = RLock()
        # How many listeners were requested and have not ended.
        self._live = 0
        # How many of them are not delivering.
        self._free = 0
        # An action that listeners call until it returns True.
        self._action: Callable[[], bool] | None = None
        # Why the last thread was refused; empty once that was reported.
        self._refusal = ""
        self._refused_at = float("-inf")
        # Threads by the number in their names; ended threads are removed when the next one starts.
        self._threads: dict[int, threading.Thread] = {}
        # A wake-up for each listener that has ended.
        self._ends: SimpleQueue[None] = SimpleQueue()
        scheduler.subscribe(self._wake_all)

    def __repr__(self) -> str:
        refused = "" if self._refused_at == float("-inf") else f", a thread refused at {self._refused_at:.1f}"
        return f"<Listeners {self._live} of {self._uploads} live, {self._free} free{refused}>"

    # Called by log calls.

    def wake(self) -> bool:
        """Wake a listener to look at the queue; return False if there is none, so that the caller must deliver."""
        if self._live:  # without listeners, wake-ups would pile up; a new listener looks anyway
            self.wakeups.put(None)
        return self.ensure_listener()

    def _wake_all(self) -> None:
        """Wake all free listeners, because a pause has changed; the breakers hold this method weakly."""
        for _ in range(max(1, self._free)):
            self.wakeups.put(None)

    def ensure_listener(self) -> bool:
        """Ensure that a listener takes the batches that are due; return False if none can, so that the caller must."""
        if self._free or (self._live and not self._scheduler.has_ready_batch()):
            return True
        listener = Listener(self)
        with self._lock:
            if self._free:
                return True
            if not self._may_start():
                return False
            if self._live >= self._uploads:
                return True
            support = threads()
            try:
                if support is Threads.NOW:
                    self._live += 1
                    self._free += 1
                    with signals_left_to_others():
                        real_threads.start_new_thread(self._start_listener, listener)
                    return True
            except Exception as error:  # noqa: BLE001 - RuntimeError if no thread can be started, or MemoryError
                listener.is_cancelled = True
                self._not_started(_refusal_of(error))
                return False
            except BaseException:
                # Ctrl-C may come before the thread exists, or after. In both cases none is counted and none runs.
                listener.is_cancelled = True
                self._live -= 1
                self._free -= 1
                raise
        self._do_without(support)
        return False

    def _may_start(self) -> bool:
        return (
            self._background
            and not self._state.is_closed
            and threading.main_thread().is_alive()
            and self._clock.monotonic() >= self._refused_at + _PAUSE_SECONDS
        )

    def _do_without(self, support: Threads) -> None:
        """Ask for a thread again at the next row if one may start later; otherwise report, once, that none runs."""
        global _has_reported  # noqa: PLW0603 - said once, also if uWSGI's workers inherit it
        heir.offer()
        if support is Threads.LATER:
            self._on_refusal()
        elif not _has_reported:
            _has_reported = True
            self._report(Trouble(kind="internal", text=_NO_THREADS, reason="thread"))

    def _start_listener(self, listener: Listener) -> None:  # pragma: no cover - coverage does not trace a bare thread
        # The caller of `ensure_listener` holds the lock until the thread is accounted for.
        with self._lock:
            if listener.is_cancelled:
                return
        try:
            listener.start()
        except Exception as error:  # noqa: BLE001 - as in `ensure_listener`
            self._not_started(_refusal_of(error))

    def _not_started(self, refusal: str) -> None:
        with self._lock:
            self._live -= 1
            self._free -= 1
            self._refusal = refusal
            self._refused_at = self._clock.monotonic()
        self._ends.put(None)
        self._on_refusal()

    def retry_until_done(self, action: Callable[[], bool]) -> bool:
        """Make listeners call this until it returns True; return False if there is no listener."""
        self._action = action
        return self.wake()

    def report_refusal(self) -> None:
        """Report that a thread was refused; the log call that requested it did not, because it must return soon."""
        refusal, self._refusal = self._refusal, ""
        if refusal:
            text = f"no thread can be started ({refusal}); rows wait for a flush, or for a thread"
            self._report(Trouble(kind="internal", text=text, reason="thread"))

    # Called by listeners.

    def next_work(self) -> Work | None:
        """Wait for a batch; return None when the listener must end: the pipeline is closed, or drained."""
        while not self._state.is_closed:
            action = self._action
            if action is not None and action():
                self._action = None
            work, seconds = self._take()
            if work is not None:
                with self._lock:
                    self._free -= 1
                if self._scheduler.has_ready_batch():
                    self.wake()
                return work
            if self._scheduler.is_draining and not self._scheduler.has_rows():
                self._wake_all()  # to end as well
                return None
            self._clock.wait(self.wakeups, seconds if self._action is None else min(seconds, _ACTION_SECONDS))
        return None

    def deliver(self, work: Work) -> None:
        """Deliver one batch."""
        try:
            self._delivery.deliver(*work)
        except BaseException as error:  # noqa: BLE001 - not even SystemExit ends a listener: the next batch may be fine
            text = f"unexpected {described(error)} while delivering; the rows are tried again"
            self._report(Trouble(kind="internal", text=text))
        finally:
            with self._lock:
                self._free += 1

    def thread_started(self) -> None:
        """Note that the current thread, a listener's, has started, and name it."""
        thread = threading.current_thread()
        with self._lock:
            self._threads = {number: known for number, known in self._threads.items() if known.is_alive()}
            number = next(number for number in itertools.count(1) if number not in self._threads)
            self._threads[number] = thread
        thread.name = f"logging_azmon-{number}"

    def thread_ended(self) -> None:
        """Note that the current thread, a listener's, is about to end."""
        with self._lock:
            self._live -= 1
            self._free -= 1
            is_last = self._live == 0
        if is_last:
            self._on_end()
        self._ends.put(None)

    def _take(self) -> tuple[Work | None, float]:
        try:
            return self._scheduler.next_batch()
        except Exception as error:  # noqa: BLE001 - a listener must survive a bug of ours, which is reported
            self._report(Trouble(kind="internal", text=f"unexpected {described(error)} while looking for rows"))
            return None, _PAUSE_SECONDS

    # Called by flush and close.

    def deliver_one(self, seconds: float) -> float:
        """Deliver one batch on this thread within this time, if one is due.

        Return 0 after a batch, and otherwise the seconds until one may be due.
        """
        with feedback.delivering():
            work, pause = self._take()
            if work is not None:
                self._delivery.deliver(*work, seconds=seconds)
                return 0.0
        return pause

    def finish(self) -> bool:
        """Wake all listeners, so that they notice that no more rows are taken; return whether there are any."""
        self._wake_all()
        return self._live > 0

    def join(self, seconds: float) -> None:
        """Wait until all listeners have ended, at most this long: each does once it has delivered its current batch."""
        deadline = time.monotonic() + seconds
        # A listener that is about to start has no thread to join yet.
        while self._live and (left := deadline - time.monotonic()) > 0:
            SystemClock.wait(self._ends, left)
        for thread in list(self._threads.values()):
            thread.join(max(0.0, deadline - time.monotonic()))


def _refusal_of(error: Exception) -> str:
    """Return why a thread was refused: an error's text, or its type's name if it has none.

    Return "" if the interpreter is ending, because then the exit delivers the rows.
    """
    text = str(error)
    return "" if text.endswith("at interpreter shutdown") else text or type(error).__name__
