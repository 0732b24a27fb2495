"""The end of a process: the tail of every pipeline is delivered, within one limit for all.

The interpreter joins its threads, then calls atexit callbacks, last registered first. Ours comes before
`logging.shutdown`, flushes all pipelines at once, and closes those that no handler will. Callbacks that come later may
still log: `logging.shutdown` flushes and closes handlers. All of that may take `close_seconds` together, the longest of
them; what the application's own callbacks take is not counted.

Children of multiprocessing and billiard that were forked end by `os._exit`. They call finalizers before, or, if they
are Celery's pool, send a signal: there the same is done, and everything is closed.
"""

from __future__ import annotations

import atexit
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .._pipeline import registry

# Finalizers run from the highest number to the lowest: after everybody else's, which may log.
_LAST = -100

_finalizers: dict[str, Any] = {}
# How long flush and close may still wait, once the process has begun to end.
_seconds_left: float | None = None


def seconds_left() -> float | None:
    """Tell how long flush and close may still wait, once the process has begun to end."""
    return _seconds_left


@contextmanager
def counting() -> Iterator[None]:
    """Count the time that passes here as spent on waiting for rows to be delivered."""
    global _seconds_left  # noqa: PLW0603 - a process ends once
    begun = time.monotonic()
    try:
        yield
    finally:
        if _seconds_left is not None:
            _seconds_left = max(0.0, _seconds_left - (time.monotonic() - begun))


def _at_exit(*, is_last: bool = False) -> None:
    """Deliver the tail of all pipelines; close those that nobody will, or all if nothing comes later."""
    global _seconds_left  # noqa: PLW0603 - a process ends once
    pipelines = [pipeline for pipeline in registry.alive() if not pipeline._has_ended]
    _seconds_left = max((pipeline.settings.close_seconds for pipeline in pipelines), default=0.0)
    for pipeline in pipelines:
        pipeline._urge()
    # One that hangs must leave time for others, which may have nobody but this thread to deliver for them.
    for number, pipeline in enumerate(pipelines):
        pipeline.flush(_seconds_left / (len(pipelines) - number))
    for pipeline in pipelines:
        pipeline._finish_at_exit(is_last=is_last)


def ensure_hook() -> None:
    """In a child that will end without atexit, register what is called instead."""
    for name in ("multiprocessing", "billiard"):
        util = sys.modules.get(f"{name}.util")
        if util is None or not _ends_without_atexit(name):
            continue
        known = _finalizers.get(name)
        if known is not None and known.still_active():
            continue
        _finalizers[name] = util.Finalize(None, _at_end_of_child, args=(name,), exitpriority=_LAST)
        signals = sys.modules.get("celery.signals")
        if name == "billiard" and signals is not None:
            signals.worker_process_shutdown.connect(_at_end_of_worker, weak=False, dispatch_uid="logging_azmon")


def _ends_without_atexit(name: str) -> bool:
    """Tell whether this is a forked child: a spawned one ends as any program does."""
    # Not there yet while another thread imports it, which a child has behind it.
    current_process = getattr(sys.modules.get(f"{name}.process"), "current_process", None)
    current = None if current_process is None else current_process()
    if getattr(current, "_parent_pid", None) is None:
        return False
    method = getattr(current, "_start_method", None) or sys.modules[name].get_start_method(allow_none=True)
    return bool(method != "spawn")


def _at_end_of_child(name: str) -> None:
    if name == "multiprocessing":
        # Until 3.12 the child joins its threads after its finalizers, by this very function; they may log until then.
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - what the interpreter itself calls
    _at_exit(is_last=True)


def _at_end_of_worker(**_: object) -> None:
    _at_exit(is_last=True)


def renew() -> None:
    """Know of no end, in a forked child: if there was one, it was the parent's."""
    global _seconds_left  # noqa: PLW0603 - see above
    _seconds_left = None


def enable() -> None:
    """Set the hook, once in a process."""
    atexit.register(_at_exit)
