"""A clock that is passed as an argument, so that tests can control the time that a pipeline sees."""

from __future__ import annotations

import time
from typing import Protocol

from . import feedback
from .real_threads import Empty, SimpleQueue, is_patched

# Where greenlets run, a wait looks for a wake-up at first after 1 ms, doubling to 50 ms.
_FIRST_POLL_SECONDS = 0.001
_POLL_SECONDS = 0.05


class Clock(Protocol):
    """Tell the time, and wait with a limit."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ...

    def time(self) -> float:
        """Return seconds since the epoch."""
        ...

    def wait(self, wakeups: SimpleQueue[None], seconds: float) -> None:
        """Return when a wake-up arrives, or after this many seconds."""
        ...


class SystemClock:
    """Tell the time of the machine."""

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)

    @staticmethod
    def wait(wakeups: SimpleQueue[None], seconds: float) -> None:
        """Return when a wake-up arrives, or after this many seconds; other greenlets of the thread run meanwhile."""
        try:
            if is_patched() and not feedback.is_listener():
                _wait_with_greenlets(wakeups, seconds)
            else:
                wakeups.get(timeout=max(0.0, seconds))
        except Empty:
            return


def _wait_with_greenlets(wakeups: SimpleQueue[None], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    pause = _FIRST_POLL_SECONDS
    while wakeups.empty() and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(pause, left))  # noqa: TID251 - gevent's or eventlet's, which lets the other greenlets run
        pause = min(2 * pause, _POLL_SECONDS)
    wakeups.get_nowait()
