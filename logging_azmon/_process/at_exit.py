"""Run the modules' exit callbacks when the process ends, within one time limit for all pipelines.

The interpreter joins non-daemon threads, then calls atexit callbacks, last registered first. The one registered here
runs before `logging.shutdown`, which still flushes and closes handlers; later callbacks may still log. The time that
flush and close spend waiting is taken from one budget. The application's own callbacks do not use it up.

Forked children of multiprocessing and billiard end by `os._exit`, without atexit. Before that they call finalizers or,
in Celery's pool, send a signal; with ``--skip-atexit-teardown``, a worker of uWSGI calls `uwsgi.atexit`. The same exit
callbacks run there, with `is_last` set, because nothing runs later.
"""

from __future__ import annotations

import atexit
import logging  # noqa: F401 - registers its callback first, so that ours runs before it
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, Protocol

from . import at_fork, thread_support


class Turn(IntEnum):
    """Order the modules' exit callbacks."""

    FRONT_DOORS = 1
    PIPELINES = 2


# multiprocessing calls finalizers from the highest priority to the lowest. Ours is last, because others may log.
_LAST_PRIORITY = -100

_registered: list[tuple[Turn, Callable[[bool], None]]] = []
_finalizers: dict[str, Any] = {}
# How long flush and close may still wait; None until the exit begins.
_seconds_left: float | None = None


def register(turn: Turn, end: Callable[[bool], None]) -> None:
    """Call `end` when the process ends; its argument is True if nothing runs later, not even `logging.shutdown`."""
    _registered.append((turn, end))
    _registered.sort(key=lambda known: known[0])


class Ending(Protocol):
    """The methods of a pipeline that the exit calls."""

    @property
    def close_seconds(self) -> float:
        """Return how long it may take to finish."""
        ...

    def make_all_due(self) -> object:
        """Make all waiting rows due now."""
        ...

    def flush(self, timeout: float) -> object:
        """Wait until the rows made due are settled."""
        ...

    def finish_at_exit(self, *, is_last: bool) -> None:
        """Deliver or count the remaining rows, and close, unless `logging.shutdown` will."""
        ...


def finish_pipelines(pipelines: Sequence[Ending], is_last: bool) -> None:  # noqa: FBT001 - passed on
    """Flush all pipelines at once, then finish each; the longest `close_seconds` is the limit for all together."""
    _set_seconds_left(max((pipeline.close_seconds for pipeline in pipelines), default=0.0))
    for pipeline in pipelines:
        pipeline.make_all_due()
    # A pipeline that hangs must leave time for the others: this thread may be the only one that delivers their rows.
    for number, pipeline in enumerate(pipelines):
        pipeline.flush((_seconds_left or 0.0) / (len(pipelines) - number))
    for pipeline in pipelines:
        pipeline.finish_at_exit(is_last=is_last)


def _set_seconds_left(seconds: float | None) -> None:
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
            _set_seconds_left(max(0.0, _seconds_left - (time.monotonic() - begun)))


def _end(*, is_last: bool = False) -> None:
    at_fork.ensure_restarted()
    for _, end in _registered:
        end(is_last)


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
    uwsgi = thread_support.uwsgi_module()
    if uwsgi is not None and "skip-atexit-teardown" in uwsgi.opt and not hasattr(uwsgi, "atexit"):
        uwsgi.atexit = _end_worker


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
        # Until 3.12 the child joins its threads after its finalizers, by this very function; they may log until then.
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - the interpreter itself calls it
    _end(is_last=True)


def _end_worker(**_: object) -> None:
    _end(is_last=True)


def restart() -> None:
    """Reset the state in a forked child."""
    _set_seconds_left(None)


atexit.register(_end)
at_fork.register(at_fork.Turn.PROCESS, restart=restart)
