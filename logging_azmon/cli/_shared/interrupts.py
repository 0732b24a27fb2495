"""Hears Ctrl-C and SIGTERM, so that commands which run for a while end cleanly."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

# On Windows a wait without a limit does not hear Ctrl-C.
_SLICE_SECONDS = 1.0


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C and SIGTERM set; they do nothing else for the time of the block."""
    stopped = threading.Event()
    with _heard_by(lambda *_: stopped.set()):
        yield stopped


def wait_until_stopped(stopped: threading.Event) -> None:
    """Wait until somebody stops the command."""
    while not stopped.is_set():
        stopped.wait(_SLICE_SECONDS)


@contextmanager
def _heard_by(hear: Callable[..., Any]) -> Iterator[None]:
    before = {each: signal.signal(each, hear) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


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
        with _heard_by(self._hear):
            yield self

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
