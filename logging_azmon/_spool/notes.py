"""Trouble that a log call or a lock must not report: noted here, and told by a delivering thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from .._process.clock import Clock
from ..trouble import REPORT_SECONDS, Trouble


class Notes:
    """Hold what is to be told, at most once a minute for each reason."""

    def __init__(self, clock: Clock, report: Callable[[Trouble], Any]) -> None:
        self._clock = clock
        self._report = report
        self._untold: deque[Trouble] = deque(maxlen=16)
        self._told_at: dict[str, float] = {}

    def add(self, reason: str, text: str, *, is_loss: bool = False) -> None:
        """Have this told, unless this reason was told less than a minute ago."""
        now = self._clock.monotonic()
        if now >= self._told_at.get(reason, float("-inf")) + REPORT_SECONDS:
            self._told_at[reason] = now
            self._untold.append(Trouble(kind="lost" if is_loss else "spool", text=text, reason=reason))

    def tell(self) -> None:
        """Report what was noted."""
        while self._untold:
            self._report(self._untold.popleft())
