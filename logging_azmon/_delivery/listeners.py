"""The background threads: QueueListeners that take batches and deliver them. The only module that starts threads.

Rules:
- A listener is started by a row, from inside a log call, which may be a signal handler or a finaliser that interrupted
  `Thread.start` itself. So the log call asks the interpreter for a bare thread, which takes no lock of Python's, and
  that thread starts the listener.
- There is one more when a batch waits and no listener is free, up to `uploads`. A listener is free unless it delivers.
- Listeners are daemons: the interpreter joins others before atexit, where the tail is delivered. They end when the
  pipeline is closed and nothing is left; the last one calls `on_end`.
- No thread is started once the main thread has ended. Whoever flushes then delivers on his own thread (`deliver_one`).
- Tokens wake listeners; a lost or superfluous token costs a look, never a row. Nobody is joined without a limit.
"""

from __future__ import annotations

import _thread
import itertools
import threading
import time
from collections.abc import Callable
from logging.handlers import QueueListener
from queue import Empty, SimpleQueue
from typing import Any

from .._process import feedback
from .._process.clock import Clock, SystemClock
from .delivery import Delivery, Work
from .reporter import Reporter, Trouble, described

# Between two tries of an errand.
_ERRAND_SECONDS = 0.1
# After a thread was refused, and after an error of our own.
_TRY_AGAIN_SECONDS = 1.0


class Listener(QueueListener):
    """Deliver batches on a thread of its own until the pool says stop.

    A QueueListener, because its loop, `dequeue` and `handle` are what is needed. Not its `start`, whose thread would
    not be marked, and not its `stop`: with several listeners on one queue one would take the other's sentinel, and it
    joins without a limit. So the loop is run here, by the private name that it has had since Python 3.2.
    """

    def __init__(self, pool: Listeners) -> None:
        super().__init__(pool.tokens)
        self._pool = pool
        # Whether who asked for it does not count on it.
        self.is_cancelled = False

    def start(self) -> None:  # pragma: no cover - coverage sees no bare thread
        """Start the thread."""
        # Not without `daemon`: Thread would ask for the current thread, and for a bare one make a dummy that stays.
        threading.Thread(target=self._listen, name="logging_azmon", daemon=True).start()

    def _listen(self) -> None:
        # Marked for life: a record that comes round by a queue is known by the thread that made it.
        with feedback.delivering():
            self._pool.begun()
            try:
                self._monitor()  # type: ignore[attr-defined]
            finally:
                self._pool.ended()

    def dequeue(self, block: bool) -> Any:  # noqa: ARG002, FBT001 - the base class's signature; listeners always block
        """Return the next batch to send; ends the thread by `queue.Empty` when the pool has stopped."""
        work = self._pool.next_work()
        if work is None:
            raise Empty
        return work

    def handle(self, work: Any) -> None:
        """Deliver a batch."""
        self._pool.deliver(work)


class Listeners:
    """Keep up to `uploads` listeners on one buffer: the pool that they know."""

    def __init__(
        self,
        delivery: Delivery,
        clock: Clock,
        reporter: Reporter,
        *,
        uploads: int,
        background: bool,
        on_end: Callable[[], None],
        on_refusal: Callable[[], None],
    ) -> None:
        self.tokens: SimpleQueue[None] = SimpleQueue()
        self._delivery = delivery
        self._clock = clock
        self._report = reporter
        self._uploads = uploads
        self._background = background
        self._on_end = on_end
        self._on_refusal = on_refusal
        # Re-entrant, because a log call may come in anywhere; held for arithmetic only.
        self._lock = threading.RLock()
        # Listeners that were asked for and have not ended, and how many of them deliver nothing now.
        self._live = 0
        self._free = 0
        self._is_stopping = False
        # What a listener is asked to do until it is done.
        self._errand: Callable[[], bool] | None = None
        self._refusal = ""
        self._refused_at = float("-inf")
        # The threads by their numbers, also those that have just ended; and a token for each end.
        self._threads: dict[int, threading.Thread] = {}
        self._ends: SimpleQueue[None] = SimpleQueue()
        delivery.subscribe(self._wake_all)

    # The application's side.

    def wake(self) -> bool:
        """Have the buffer looked at; False if there is nobody to do it."""
        if self._live:  # or else nobody would take it; who begins looks anyway
            self.tokens.put(None)
        return self.attend()

    def _wake_all(self) -> None:
        """Wake all who are free, for a pause has changed; lanes keep this method weakly, as long as the pool lives."""
        for _ in range(max(1, self._free)):
            self.tokens.put(None)

    def attend(self) -> bool:
        """See to it that a listener takes what may go; False where none can, so that the caller must."""
        if self._free or (self._live and not self._delivery.has_full_batch()):
            return True
        listener = Listener(self)
        with self._lock:
            if self._free:
                return True
            if not self._may_start():
                return False
            if self._live >= self._uploads:
                return True
            try:
                self._live += 1
                self._free += 1
                _thread.start_new_thread(self._start_listener, (listener,))
            except Exception as error:  # noqa: BLE001 - no more threads, say
                listener.is_cancelled = True
                self._not_started(_why(error))
                return False
            except BaseException:
                # A Ctrl-C comes before there is a thread, or after: it is not to be counted on, nor to run uncounted.
                listener.is_cancelled = True
                self._live -= 1
                self._free -= 1
                raise
            return True

    def _may_start(self) -> bool:
        return (
            self._background
            and not self._is_stopping
            and threading.main_thread().is_alive()
            and self._clock.monotonic() >= self._refused_at + _TRY_AGAIN_SECONDS
        )

    def _start_listener(self, listener: Listener) -> None:  # pragma: no cover - coverage sees no bare thread
        # Whoever asked for it has the lock until he knows.
        with self._lock:
            if listener.is_cancelled:
                return
        try:
            if threading.main_thread().is_alive():
                listener.start()
            else:
                self._not_started("")
        except Exception as error:  # noqa: BLE001 - no more threads, say
            self._not_started(_why(error))

    def _not_started(self, refusal: str) -> None:
        with self._lock:
            self._live -= 1
            self._free -= 1
            self._refusal = refusal
            self._refused_at = self._clock.monotonic()
        self._ends.put(None)
        self._on_refusal()

    def run_errand(self, errand: Callable[[], bool]) -> bool:
        """Have a listener try something until it returns True; False if there is nobody to do it."""
        self._errand = errand
        return self.wake()

    def tell_refusal(self) -> None:
        """Report that there was no thread to be had. Not done by the log call that was refused one."""
        refusal, self._refusal = self._refusal, ""
        if refusal:
            text = f"no thread can be started ({refusal}); rows wait for a flush, or for a thread"
            self._report(Trouble(kind="internal", text=text, reason="thread"))

    # The listeners' side.

    def next_work(self) -> Work | None:
        """Wait for a batch; None when it is time to end."""
        while not self._is_stopping:
            errand = self._errand
            if errand is not None and errand():
                self._errand = None
            work, seconds = self._take()
            if work is not None:
                with self._lock:
                    self._free -= 1
                if self._delivery.has_full_batch():
                    self.wake()
                return work
            if self._delivery.is_closing and not self._delivery.has_rows():
                self.stop()
            else:
                self._clock.wait(self.tokens, seconds if self._errand is None else min(seconds, _ERRAND_SECONDS))
        return None

    def deliver(self, work: Work) -> None:
        """See one batch through."""
        try:
            self._delivery.deliver(*work)
        except BaseException as error:  # noqa: BLE001 - not even SystemExit ends a listener: on with the next batch
            text = f"unexpected {described(error)} while delivering; the rows are tried again"
            self._report(Trouble(kind="internal", text=text))
        finally:
            with self._lock:
                self._free += 1

    def begun(self) -> None:
        """Note the beginning of a listener's thread, and number it."""
        thread = threading.current_thread()
        with self._lock:
            self._threads = {number: known for number, known in self._threads.items() if known.is_alive()}
            number = next(number for number in itertools.count(1) if number not in self._threads)
            self._threads[number] = thread
        thread.name = f"logging_azmon-{number}"

    def ended(self) -> None:
        """Note the end of a listener's thread."""
        with self._lock:
            self._live -= 1
            self._free -= 1
            is_last = self._live == 0
        if is_last:
            self._on_end()
        self._ends.put(None)

    def _take(self) -> tuple[Work | None, float]:
        try:
            return self._delivery.next_batch()
        except Exception as error:  # noqa: BLE001 - a listener must survive its own errors; this one is told
            self._report(Trouble(kind="internal", text=f"unexpected {described(error)} while looking for rows"))
            return None, _TRY_AGAIN_SECONDS

    # Those who flush and close.

    def deliver_one(self, seconds: float) -> float:
        """Deliver one batch on this thread if one may go now; return how long there will be none, 0 after one."""
        with feedback.delivering():
            work, pause = self._take()
            if work is not None:
                self._delivery.deliver(*work, seconds=seconds)
                return 0.0
        return pause

    def finish(self) -> bool:
        """Have all listeners see that the pipeline is closed; return whether there are any."""
        self._wake_all()
        return self._live > 0

    def stop(self) -> None:
        """Ask all listeners to end after what they are at."""
        self._is_stopping = True
        for _ in range(self._live):
            self.tokens.put(None)

    def join(self, seconds: float) -> None:
        """Wait for them, not longer than so."""
        deadline = time.monotonic() + seconds
        # Some may be about to start, so that there is no thread to join yet.
        while self._live and (left := deadline - time.monotonic()) > 0:
            SystemClock.wait(self._ends, left)
        for thread in list(self._threads.values()):
            thread.join(max(0.0, deadline - time.monotonic()))


def _why(error: Exception) -> str:
    """Say why there is no thread: an error without words has a name."""
    return str(error) or type(error).__name__
