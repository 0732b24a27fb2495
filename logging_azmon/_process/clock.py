"""Time, as an argument: what a pipeline asks instead of the `time` module, so that tests can drive it."""

from __future__ import annotations

import time
from queue import Empty, SimpleQueue
from typing import Protocol


class Clock(Protocol):
    """Tell the time, and wait for a token that long at most."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ...

    def time(self) -> float:
        """Return seconds since the epoch."""
        ...

    def wait(self, tokens: SimpleQueue[None], seconds: float) -> None:
        """Return when a token arrives or the time is over."""
        ...


class SystemClock:
    """Tell the machine's time."""

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)

    @staticmethod
    def wait(tokens: SimpleQueue[None], seconds: float) -> None:
        """Return when a token arrives or the time is over."""
        try:
            tokens.get(timeout=max(0.0, seconds))
        except Empty:
            return
