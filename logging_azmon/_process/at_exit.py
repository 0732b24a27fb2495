"""Run the modules' exit callbacks when the process ends, within one time limit for all pipelines.

The interpreter joins non-daemon threads, then calls atexit callbacks, last registered first. Ours runs before
`logging.shutdown`, which flushes and closes handlers. Callbacks that run after ours may still log. The time that flush
and close spend waiting is taken from one budget. The application's own callbacks do not use it up.

Forked children of multiprocessing and billiard end by `os._exit`, without atexit. Before that they call finalizers or,
in Celery's pool, send a signal. The same exit callbacks run there, with `is_last` set, because nothing runs later.
"""

from __future__ import annotations

import atexit
import logging  # noqa: F401 - registers its callback first, so that ours runs before it
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, Protocol

from . import at_fork


class Turn(IntEnum):
    """Order the modules' exit callbacks."""

    FRONT_DOORS = 1
    PIPELINES = 2


# multiprocessing calls finalizers from the highest priority to the lowest. Ours is last, because others may log.
_LAST_PRIORITY = -100


class ExitCallback(Protocol):
    """Do what a module does when the process ends."""

    def __call__(self, *, is_last: bool) -> None:
        """Do it; `is_last` says that nothing runs later, not even `logging.shutdown`."""
        ...


_registered: list[tuple[Turn, ExitCallback]] = []
_finalizers: dict[str, Any] = {}
# How long flush and close may still wait; None until the exit begins.
_seconds_left: float | None = None


def register(turn: Turn, callback: ExitCallback) -> None:
    """Call this when the process ends."""
    _registered.append((turn, callback))
    _registered.sort(key=lambda known: known[0])


def limit_waits(seconds: float | None) -> None:
    """Limit the time that flush and close may wait from now on, all together; None removes the limit."""
    global _seconds_left  # noqa: PLW0603 - a process ends once
    _seconds_left = seconds


def seconds_left() -> float | None:
    """Return how long flush and close may still wait, or None before the exit."""
    return _seconds_left


@contextmanager
def spending() -> Iterator[None]:
    """Subtract the time that this block takes from the time that flush and close have left."""
    begun = time.monotonic()
    try:
        yield
    finally:
        if _seconds_left is not None:
            limit_waits(max(0.0, _seconds_left - (time.monotonic() - begun)))


def _end(*, is_last: bool = False) -> None:
    for _, callback in _registered:
        callback(is_last=is_last)


def ensure_hook() -> None:
    """Register a finalizer if this is a child process that will end without atexit."""
    for name in ("multiprocessing", "billiard"):
        util = sys.modules.get(f"{name}.util")
        if util is None or not _ends_without_atexit(name):
            continue
        known = _finalizers.get(name)
        if known is not None and known.still_active():
            continue
        _finalizers[name] = util.Finalize(None, _end_child, args=(name,), exitpriority=_LAST_PRIORITY)
        signals = sys.modules.get("celery.signals")
        if name == "billiard" and signals is not None:
            signals.worker_process_shutdown.connect(_end_worker, weak=False, dispatch_uid="logging_azmon")


def _ends_without_atexit(name: str) -> bool:
    """Return whether this is a forked child; a spawned child runs atexit callbacks."""
    # Another thread may still be importing the module, so the function may be missing; in a child it is complete.
    current_process = getattr(sys.modules.get(f"{name}.process"), "current_process", None)
    current = None if current_process is None else current_process()
    if getattr(current, "_parent_pid", None) is None:
        return False
    method = getattr(current, "_start_method", None) or sys.modules[name].get_start_method(allow_none=True)
    return bool(method != "spawn")


def _end_child(name: str) -> None:
    if name == "multiprocessing":
        # Until 3.12, a child calls this function itself after its finalizers, to join its threads. They may log until
        # then, so join them first.
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - the interpreter itself calls it
    _end(is_last=True)


def _end_worker(**_: object) -> None:
    _end(is_last=True)


def restart() -> None:
    """Reset the state in a forked child."""
    limit_waits(None)


atexit.register(_end)
at_fork.register(at_fork.Turn.PROCESS, restart=restart)
