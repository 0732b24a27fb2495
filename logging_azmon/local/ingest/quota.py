"""Limit the requests and rows of each rule per minute. Azure's soft limits are 12,000 requests and 2 GB.

Any thread may call in; `_lock` guards the counts. No limit is set by default: a test suite should not begin to fail on
a faster machine.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

SECONDS = 60.0


@dataclass
class _Minute:
    since: float
    requests: int = 0
    rows: int = 0


class Quota:
    """Count the requests and rows of each rule, minute by minute."""

    def __init__(
        self,
        *,
        requests_per_minute: int | None = None,
        rows_per_minute: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._requests = requests_per_minute
        self._rows = rows_per_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._minutes: dict[str, _Minute] = {}

    def take(self, rule: str, rows: int) -> float | None:
        """Count a request and return None, or refuse it without counting it and return the seconds to wait."""
        if self._requests is None and self._rows is None:
            return None
        with self._lock:
            now = self._clock()
            minute = self._minutes.get(rule)
            if minute is None or now - minute.since >= SECONDS:
                minute = self._minutes[rule] = _Minute(now)
            full = self._requests is not None and minute.requests >= self._requests
            # A body above the limit passes if it is the first of its minute: otherwise it could never pass.
            if self._rows is not None and minute.rows and minute.rows + rows > self._rows:
                full = True
            if full:
                return minute.since + SECONDS - now
            minute.requests += 1
            minute.rows += rows
            return None
