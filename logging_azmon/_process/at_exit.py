"""Let modules say what they do when the process ends, within one limit for all of them.

The interpreter joins its threads, then calls atexit callbacks, last registered first. Ours comes before
`logging.shutdown`, which may still flush and close handlers. Callbacks that come later may still log. The time that
flush and close spend on waiting is taken from one budget; the time of the application's own callbacks is not.

Children of multiprocessing and billiard that were forked end by `os._exit`, without atexit. Before that they call
finalizers or, in Celery's pool, send a signal: there the same callbacks run, and are told that nothing comes later.
"""

from __future__ import annotations

import atexit
import logging  # noqa: F401 - registers its own callback, which ours comes before
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, Protocol

from . import at_fork


class Turn(IntEnum):
    """The order in which modules are called."""

    FRONT_DOORS = 1
    PIPELINES = 2


# multiprocessing calls finalizers from the highest priority to the lowest: ours after all others, which may log.
_LAST_PRIORITY = -100

_registered: list[tuple[Turn, Callable[[bool], None]]] = []
_finalizers: dict[str, Any] = {}
# How long flush and close may still wait; None until the process begins to end.
_seconds_left: float | None = None


def register(turn: Turn, end: Callable[[bool], None]) -> None:
    """Call `end` when the process ends; its argument tells whether nothing comes later, not even logging's shutdown."""
    _registered.append((turn, end))
    _registered.sort(key=lambda known: known[0])


class Ending(Protocol):
    """A pipeline, as the exit sees it."""

    @property
    def close_seconds(self) -> float:
        """Return how long it may take to finish."""
        ...

    def urge(self) -> object:
        """Have everything that waits sent now."""
        ...

    def flush(self, timeout: float) -> object:
        """Wait for what was urged."""
        ...

    def finish_at_exit(self, *, is_last: bool) -> None:
        """Deliver or count what is left, and close unless a handler will be closed later."""
        ...


def deliver_tails(pipelines: Sequence[Ending], is_last: bool) -> None:  # noqa: FBT001 - passed on
    """Flush all pipelines at once, then finish each; the longest `close_seconds` is the limit for all together."""
    _set_seconds_left(max((pipeline.close_seconds for pipeline in pipelines), default=0.0))
    for pipeline in pipelines:
        pipeline.urge()
    # A pipeline that hangs must leave time for the others, for which perhaps only this thread delivers.
    for number, pipeline in enumerate(pipelines):
        pipeline.flush((_seconds_left or 0.0) / (len(pipelines) - number))
    for pipeline in pipelines:
        pipeline.finish_at_exit(is_last=is_last)


def _set_seconds_left(seconds: float | None) -> None:
    global _seconds_left  # noqa: PLW0603 - a process ends once
    _seconds_left = seconds


def seconds_left() -> float | None:
    """Return how long flush and close may still wait, or None as long as the process does not end."""
    return _seconds_left


@contextmanager
def spending() -> Iterator[None]:
    """Take the time that passes in this block from what flush and close have left."""
    begun = time.monotonic()
    try:
        yield
    finally:
        if _seconds_left is not None:
            _set_seconds_left(max(0.0, _seconds_left - (time.monotonic() - begun)))


def _end(*, is_last: bool = False) -> None:
    for _, end in _registered:
        end(is_last)


def ensure_hook() -> None:
    """Set a hook for the end of a child process that will end without atexit."""
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
    """Tell whether this is a forked child: a spawned child ends as any program does."""
    # A thread may still be importing the module; a child has that behind it.
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
    """Begin again in a forked child."""
    _set_seconds_left(None)


atexit.register(_end)
at_fork.register(at_fork.Turn.PROCESS, restart=restart)
