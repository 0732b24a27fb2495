"""Let SIGTERM, which stops containers, run Python's exit handlers; by default it ends Python at once.

Rules:
- The handler runs on the main thread, between two instructions of the application. It flushes before it raises
  SystemExit, because threads may delay the exit handlers. SystemExit releases the application's locks and runs its
  `finally` blocks, which a call of the exit handlers from within the signal handler would not.
- If the process is ending already, nothing is raised: that would interrupt its exit handlers.
- SystemExit may be swallowed, and a thread that is not a daemon may run on. So a watchdog thread ends the process
  `EXIT_SECONDS` after the flush.
- A second SIGTERM ends the process at once. If it follows within `_TWICE_SECONDS`, the sender signals the process and
  its group, as timeout(1) does: then the flush has `_HURRY_SECONDS`.
- At the very end the process raises the signal again, so that its wait status says what ended it.
"""

from __future__ import annotations

import _thread
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from queue import SimpleQueue
from typing import Any

from ._delivery.reporter import print_line
from ._process import at_exit
from ._process.clock import SystemClock

_print_once = cache(print_line)
# How long the application's own code may take to end after the flush.
EXIT_SECONDS = 10.0
_TWICE_SECONDS = 0.1
_HURRY_SECONDS = 0.5


def exit_on_sigterm() -> bool:
    """Make SIGTERM run Python's exit handlers, which deliver the waiting rows, unless something handles it already.

    Call it once, on the main thread; forked children inherit it, and other children call it themselves. SIGTERM then
    delivers the waiting rows, within `close_seconds`, and raises SystemExit on the main thread. The process ends by the
    signal, at the latest 10 seconds after that; a second SIGTERM ends it at once.

    Return whether SIGTERM is handled now. If it is not, a line on stderr says what to do instead.
    """
    current = signal.getsignal(signal.SIGTERM)
    if current == signal.SIG_DFL:
        try:
            signal.signal(signal.SIGTERM, _on_sigterm)
        except ValueError:  # not the main thread of the main interpreter
            name = threading.current_thread().name
            print_line(
                f"exit_on_sigterm() has no effect on the thread {name!r}: Python handles signals on the main thread;"
                " call it there"
            )
            return False
        at_exit.register_check(_hold_in_server)
        return True
    return _hold_in_server()


def _hold_in_server() -> bool:
    """Handle SIGTERM once a uvicorn server has stopped: it restores the default, and then raises the signal again.

    With gunicorn's --preload, the server starts in a forked child, long after `exit_on_sigterm` was called.
    """
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    if not any(kind.__module__ == "uvicorn.server" for kind in type(server).__mro__):
        return True
    captured = getattr(server, "_captured_signals", None)
    if not isinstance(captured, list):
        _print_once(
            "exit_on_sigterm() has no effect inside this version of uvicorn, which ends Python at once when it has"
            " stopped; call it before uvicorn.run(), or flush at the end of the lifespan"
        )
        return False
    if not isinstance(captured, _CapturedSignals):
        # uvicorn has no public hook at that moment.
        server._captured_signals = _CapturedSignals(captured)  # type: ignore[union-attr]  # noqa: SLF001 - as above
    return True


class _CapturedSignals(list[int]):
    """Handle SIGTERM again when uvicorn, having restored the default, looks which signals to raise again."""

    def __reversed__(self) -> Any:
        exit_on_sigterm()
        return super().__reversed__()


def _on_sigterm(signum: int, frame: object) -> None:  # noqa: ARG001 - the signature of a signal handler
    begun = time.monotonic()
    signal.signal(signum, partial(_on_second, begun))
    at_exit.call_last(partial(signal.raise_signal, signum))
    is_ending = at_exit.has_begun()
    if not is_ending:
        at_exit.flush_early()
    _sleep(begun + _TWICE_SECONDS - time.monotonic())
    signal.signal(signum, signal.SIG_DFL)
    _start(_end_late, signum)
    if not is_ending:
        raise SystemExit(128 + signum)


def _on_second(begun: float, signum: int, frame: object) -> None:  # noqa: ARG001 - as above
    if time.monotonic() < begun + _TWICE_SECONDS:
        _start(_end_soon, signum)
        return
    signal.signal(signum, signal.SIG_DFL)  # pragma: no cover - ends the process before coverage writes its data
    signal.raise_signal(signum)  # pragma: no cover - as above


def _start(watchdog: Callable[[int], None], signum: int) -> None:
    # The interpreter refuses a thread at its very end, and the system if there are too many.
    with suppress(RuntimeError):
        _thread.start_new_thread(watchdog, (signum,))


# Coverage does not trace bare threads.
def _end_late(signum: int) -> None:  # pragma: no cover - as above
    _sleep(EXIT_SECONDS)
    # What was logged since the first flush.
    at_exit.flush_early()
    os.kill(os.getpid(), signum)


def _end_soon(signum: int) -> None:  # pragma: no cover - as above
    _sleep(_HURRY_SECONDS)
    os.kill(os.getpid(), signum)


def _sleep(seconds: float) -> None:
    SystemClock.wait(SimpleQueue(), seconds)
