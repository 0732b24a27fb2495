"""Pass time as an argument: a pipeline asks a clock, not the `time` module, so that tests can drive it."""

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

    def wait(self, tokens: SimpleQueue[None], seconds: float) -> None:
        """Return when a token arrives, or after so many seconds."""
        ...


class SystemClock:
    """Tell the machine's time."""

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)

    @staticmethod
    def wait(tokens: SimpleQueue[None], seconds: float) -> None:
        """Return when a token arrives, or after so many seconds."""
        try:
            tokens.get(timeout=max(0.0, seconds))
        except Empty:
            return
