"""A clock that is passed as an argument, so that tests can control the time that a pipeline sees."""

from __future__ import annotations

import time
from queue import Empty, SimpleQueue
from typing import Protocol


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
        """Return when a wake-up arrives, or after this many seconds."""
        try:
            wakeups.get(timeout=max(0.0, seconds))
        except Empty:
            return
