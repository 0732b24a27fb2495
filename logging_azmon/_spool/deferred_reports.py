"""Trouble that is noted where it must not be reported, in log calls and under locks; delivering threads report it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from .._process.clock import Clock
from ..trouble import REPORT_SECONDS, Trouble


class DeferredReports:
    """Hold trouble to be reported, at most once a minute for each reason."""

    def __init__(self, clock: Clock, report: Callable[[Trouble], Any]) -> None:
        self._clock = clock
        self._reporter = report
        self._unreported: deque[Trouble] = deque(maxlen=16)
        self._noted_at: dict[str, float] = {}

    def add(self, reason: str, text: str, *, is_loss: bool = False) -> None:
        """Note trouble, unless some was noted for the same reason less than a minute ago."""
        now = self._clock.monotonic()
        if now >= self._noted_at.get(reason, float("-inf")) + REPORT_SECONDS:
            self._noted_at[reason] = now
            self._unreported.append(Trouble(kind="lost" if is_loss else "spool", text=text, reason=reason))

    def report(self) -> None:
        """Report the noted trouble."""
        while self._unreported:
            self._reporter(self._unreported.popleft())
