"""The process's side: fork and exit. Every pipeline registers here; the hooks are set once, when this is imported.

Fork. Before it, every lock that a row or an upload may hold is taken, so that the child finds them free and what they
guard whole; the wait is bounded. The child starts afresh: the rows that wait are the parent's, the threads are gone.

Exit. The interpreter joins its threads, then calls atexit callbacks, last registered first. Ours comes before
`logging.shutdown`, flushes all pipelines at once, and closes those that no handler will. Callbacks that come later may
still log: `logging.shutdown` flushes and closes handlers. All of that may take `close_seconds` together, the longest of
them; what the application's own callbacks take is not counted.

Children of multiprocessing and billiard that were forked end by `os._exit`. They call finalizers before, or, if they
are Celery's pool, send a signal: there the same is done, and everything is closed.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import TYPE_CHECKING, Any

from . import guard, upload
from .pacing import Lanes

if TYPE_CHECKING:
    from .pipeline import Pipeline

_FORK_WAIT_SECONDS = 10.0
# Finalizers run from the highest number to the lowest: after everybody else's, which may log.
_LAST = -100

# Dicts, because copying one is a single step: other threads may add to them, finalisers may remove.
_pipelines: dict[weakref.ref[Pipeline], None] = {}
# Those that have rows but perhaps no owner any more.
_kept: dict[Pipeline, None] = {}
_finalizers: dict[str, Any] = {}
# What a forking thread holds, by its number: several may fork at once.
_held: dict[int, list[Any]] = {}
lanes = Lanes()
# How long flush and close may still wait, once the process has begun to end.
_seconds_left: float | None = None


def register(pipeline: Pipeline) -> None:
    """Include a pipeline in what happens at fork and exit."""
    _pipelines[weakref.ref(pipeline, _forget)] = None


def _forget(reference: weakref.ref[Pipeline]) -> None:
    _pipelines.pop(reference, None)


def alive() -> list[Pipeline]:
    """Return all pipelines of the process."""
    return [pipeline for reference in list(_pipelines) if (pipeline := reference()) is not None]


def keep(pipeline: Pipeline) -> None:
    """Hold on to a pipeline that nobody else may, until it is released."""
    _kept[pipeline] = None


def release(pipeline: Pipeline) -> None:
    """Let go of it."""
    _kept.pop(pipeline, None)


def owns_logging_lock() -> bool:
    """Tell whether this thread is inside dictConfig or the like, which a delivering thread may have to wait for."""
    lock = getattr(logging, "_lock", None)
    return lock is not None and bool(lock._is_owned())  # noqa: SLF001 - Condition relies on the same method


def may_have_logging_lock() -> bool:
    """Tell whether nobody is inside dictConfig or the like."""
    lock = getattr(logging, "_lock", None) or threading.Lock()
    is_free = bool(lock.acquire(blocking=False))
    if is_free:
        lock.release()
    return is_free


# Exit.


def seconds_left() -> float | None:
    """Tell how long flush and close may still wait, once the process has begun to end."""
    return _seconds_left


@contextmanager
def waiting() -> Iterator[None]:
    """Count what is spent here as waiting for rows to be delivered."""
    global _seconds_left  # noqa: PLW0603 - a process ends once
    begun = time.monotonic()
    try:
        yield
    finally:
        if _seconds_left is not None:
            _seconds_left = max(0.0, _seconds_left - (time.monotonic() - begun))


def at_exit(*, is_last: bool = False) -> None:
    """Deliver the tail of all pipelines; close those that nobody will, or all if nothing comes later."""
    global _seconds_left  # noqa: PLW0603 - a process ends once
    pipelines = [pipeline for pipeline in alive() if not pipeline.has_ended]
    _seconds_left = max((pipeline.settings.close_seconds for pipeline in pipelines), default=0.0)
    for pipeline in pipelines:
        pipeline.urge()
    # One that hangs must leave time for others, which may have nobody but this thread to deliver for them.
    for number, pipeline in enumerate(pipelines):
        pipeline.flush(_seconds_left / (len(pipelines) - number))
    for pipeline in pipelines:
        pipeline.finish_at_exit(is_last=is_last)


def ensure_exit_hook() -> None:
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
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001
    at_exit(is_last=True)


def _at_end_of_worker(**_: object) -> None:
    at_exit(is_last=True)


atexit.register(at_exit)


# Fork.


def _before_fork() -> None:
    deadline = time.monotonic() + _FORK_WAIT_SECONDS
    # Logging's own hook takes its lock after ours, and dictConfig holds that while it wants a pipeline's. `building`
    # comes first, because importing the SDK makes loggers.
    locks: list[Any] = [upload.building, getattr(logging, "_lock", None), *(pipeline.lock for pipeline in alive())]
    _held[get_ident()] = [
        lock for lock in locks if lock is not None and lock.acquire(timeout=max(0.0, deadline - time.monotonic()))
    ]


def _after_fork_in_parent() -> None:
    for lock in reversed(_held.pop(get_ident(), [])):
        lock.release()


def _after_fork_in_child() -> None:
    global lanes, _seconds_left  # noqa: PLW0603 - the parent's are of no use to the child
    _held.clear()
    _kept.clear()
    upload.renew_lock()
    guard.renew()
    lanes = Lanes()
    _seconds_left = None
    for pipeline in alive():
        pipeline.start_afresh()


if hasattr(os, "register_at_fork"):  # pragma: no branch - everywhere but on Windows
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
