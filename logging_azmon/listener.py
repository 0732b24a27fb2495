"""The background threads: QueueListeners that take batches and deliver them. The only module that starts threads.

Rules:
- The first listener is started by the first row, from inside a log call, which may be a signal handler or a finaliser
  that interrupted `Thread.start` itself. So the log call asks the interpreter for a bare thread, which takes no lock of
  Python's, and that thread starts the listener.
- Further listeners are started by listeners: one more when a batch waits and nobody is idle, up to `uploads`.
- Listeners are daemons: the interpreter joins others before atexit, where the tail is delivered.
- No thread is started once the main thread has ended. Whoever flushes then delivers on his own thread (`run`).
- Tokens wake listeners; a lost or superfluous token costs a look, never a row. Nobody is joined without a limit.
"""

from __future__ import annotations

import _thread
import threading
import time
from logging.handlers import QueueListener
from queue import Empty, SimpleQueue
from typing import Any

from . import guard
from .buffer import Batch
from .clock import Clock
from .delivery import Delivery
from .report import Reporter, Trouble

Work = tuple[Batch, int, int]
_START_AGAIN_SECONDS = 1.0


class Listener(QueueListener):
    """Deliver batches on a thread of its own until the pool says stop."""

    def __init__(self, pool: Listeners) -> None:
        super().__init__(pool.tokens)
        self._pool = pool
        self._marks = guard.delivering()
        self._is_marked = False

    def dequeue(self, block: bool) -> Any:  # noqa: ARG002, FBT001 - the base class's signature; listeners always block
        """Return the next batch to send; ends the thread by `queue.Empty` when the pool has stopped."""
        if not self._is_marked:
            self._is_marked = True
            self._marks.__enter__()
        work = self._pool.next_work()
        if work is None:
            self._marks.__exit__(None, None, None)
            raise Empty
        return work

    def handle(self, work: Any) -> None:
        """Deliver a batch."""
        self._pool.deliver(work)


class Listeners:
    """Keep up to `uploads` listeners on one buffer."""

    def __init__(self, delivery: Delivery, clock: Clock, reporter: Reporter, *, uploads: int, background: bool) -> None:
        self.tokens: SimpleQueue[None] = SimpleQueue()
        self._delivery = delivery
        self._clock = clock
        self._report = reporter
        self._uploads = uploads
        self._background = background
        # Re-entrant, because a log call may come in anywhere; held for arithmetic only.
        self._lock = threading.RLock()
        self._live = 0
        self._idle = 0
        self._is_stopping = False
        self._refused_at = float("-inf")
        self._threads: list[threading.Thread] = []
        delivery.subscribe(self._wake)

    # The application's side.

    def wake(self) -> None:
        """Have the buffer looked at: by a listener that waits, or by the first one."""
        self.tokens.put(None)
        if self._live == 0:
            self.start()

    def _wake(self) -> None:
        """Wake all; the bound method is kept by the lanes weakly, as long as the pool lives."""
        for _ in range(max(1, self._idle)):
            self.tokens.put(None)

    def start(self) -> bool:
        """Start a listener unless there is one; return whether there is one now."""
        if self._is_stopping or not self._background or not threading.main_thread().is_alive():
            return self._live > 0
        with self._lock:
            if self._live > 0:
                return True
            if time.monotonic() < self._refused_at + _START_AGAIN_SECONDS:
                return False
            return self._start_one()

    def _start_one(self) -> bool:
        with self._lock:
            self._live += 1
        try:
            _thread.start_new_thread(self._start_listener, ())
        except RuntimeError:  # no more threads, or the interpreter is going down
            self._not_started()
            return False
        return True

    def _start_listener(self) -> None:
        listener = Listener(self)
        try:
            listener.start()
        except RuntimeError as error:
            self._not_started()
            self._report(Trouble(kind="internal", text=f"no thread can be started ({error}); rows wait for a flush"))

    def _not_started(self) -> None:
        with self._lock:
            self._live -= 1
            self._refused_at = time.monotonic()

    # The listeners' side.

    def next_work(self) -> Work | None:
        """Wait for a batch; None when it is time to end."""
        thread = threading.current_thread()
        with self._lock:
            if thread not in self._threads:
                thread.name = f"logging_azmon-{len(self._threads) + 1}"
                self._threads.append(thread)
        while not self._is_stopping:
            work, seconds = self._next_batch()
            if work is not None:
                self._start_another_if_useful()
                return work
            with self._lock:
                self._idle += 1
            try:
                self._clock.wait(self.tokens, seconds)
            finally:
                with self._lock:
                    self._idle -= 1
        with self._lock:
            self._live -= 1
            self._threads.remove(thread)
        return None

    def deliver(self, work: Work) -> None:
        """See one batch through."""
        self._delivery.deliver(*work)

    def _next_batch(self) -> tuple[Work | None, float]:
        try:
            return self._delivery.next_batch()
        except Exception as error:  # noqa: BLE001 - a listener must survive its own errors; this one is told
            self._report(Trouble(kind="internal", text=f"unexpected {error!r} while looking for rows"))
            return None, _START_AGAIN_SECONDS

    def _start_another_if_useful(self) -> None:
        with self._lock:
            if self._idle or self._live >= self._uploads or self._is_stopping:
                return
        if self._delivery.has_full_batch() and threading.main_thread().is_alive():
            self._start_one()

    # Those who flush and close.

    def run(self, deadline: float) -> None:
        """Deliver on this thread what may go now, until the deadline."""
        with guard.delivering():
            while (left := deadline - self._clock.monotonic()) > 0:
                work, seconds = self._next_batch()
                if work is None:
                    if self._delivery.is_done() or seconds >= left:
                        return
                    self._clock.wait(self.tokens, min(seconds, left))
                else:
                    self._delivery.deliver(*work, seconds=left)

    def stop(self) -> None:
        """Ask all listeners to end after what they are at."""
        self._is_stopping = True
        with self._lock:
            for _ in range(self._live + 1):
                self.tokens.put(None)

    def join(self, seconds: float) -> None:
        """Wait for them, not longer than so."""
        deadline = time.monotonic() + seconds
        for thread in list(self._threads):
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
