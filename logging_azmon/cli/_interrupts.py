"""Hears Ctrl-C and SIGTERM for commands that read or wait on their main thread."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self


class Interrupts:
    """Hear Ctrl-C and SIGTERM: as an exception inside a ``with``, where the main thread reads; else as an event.

    So a wait for input ends at once, and a row is never left half-way.
    """

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self._is_reading = False

    @contextmanager
    def installed(self) -> Iterator[Self]:
        """Hear them for the time of the block."""
        before = {each: signal.signal(each, self._hear) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def _hear(self, *_: Any) -> None:
        self.stopped.set()
        if self._is_reading:
            raise KeyboardInterrupt

    def __enter__(self) -> None:
        self._is_reading = True
        if self.stopped.is_set():
            raise KeyboardInterrupt

    def __exit__(self, *_: object) -> None:
        self._is_reading = False
