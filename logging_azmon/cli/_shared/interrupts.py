"""Handle Ctrl-C and SIGTERM, so that long-running commands end cleanly."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

# On Windows, Ctrl-C does not interrupt a wait without a time limit.
_SLICE_SECONDS = 1.0


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C and SIGTERM set; inside the block they do nothing else."""
    stopped = threading.Event()
    with _signals_handled_by(lambda *_: stopped.set()):
        yield stopped


def wait_until_stopped(stopped: threading.Event) -> None:
    """Wait until the command is stopped."""
    while not stopped.is_set():
        stopped.wait(_SLICE_SECONDS)


@contextmanager
def _signals_handled_by(handler: Callable[..., Any]) -> Iterator[None]:
    replaced = {each: signal.signal(each, handler) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, former in replaced.items():
            signal.signal(each, former)


class Interrupts:
    """Turn Ctrl-C and SIGTERM into an event, and inside ``with interrupts:`` also into a KeyboardInterrupt.

    The main thread enters the ``with`` only to wait for input: the wait ends at once, while everything outside it, such
    as the handling of a row, runs to its end.
    """

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self._is_reading = False

    @contextmanager
    def installed(self) -> Iterator[Self]:
        """Handle the signals for the duration of the block."""
        with _signals_handled_by(self._handle):
            yield self

    def _handle(self, *_: Any) -> None:
        self.stopped.set()
        if self._is_reading:
            raise KeyboardInterrupt

    def __enter__(self) -> None:
        self._is_reading = True
        if self.stopped.is_set():
            raise KeyboardInterrupt

    def __exit__(self, *_: object) -> None:
        self._is_reading = False
