"""Let commands that run for a while end cleanly on Ctrl-C and SIGTERM."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

# On Windows a wait without a limit does not hear Ctrl-C.
_SLICE_SECONDS = 1.0


@contextlib.contextmanager
def stopping() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C and SIGTERM set; they do nothing else for the time of the block."""
    stopped = threading.Event()

    def stop(*_: Any) -> None:
        stopped.set()

    before = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def wait(stopped: threading.Event) -> None:
    """Wait until somebody stops the command."""
    while not stopped.is_set():
        stopped.wait(_SLICE_SECONDS)
