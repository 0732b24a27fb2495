"""The process's side: fork and exit. Every pipeline registers here; the hooks are set once, when this is imported.

Fork. Before it, every lock that a row or an upload may hold is taken, so that the child finds them free and what they
guard whole; the wait is bounded. The child starts afresh: the rows that wait are the parent's, the threads are gone.

Exit. The interpreter joins its threads, then calls atexit callbacks, last registered first. Ours comes before
`logging.shutdown`, flushes all pipelines at once under one deadline, and closes those that no handler will. Callbacks
that come later may still log: `logging.shutdown` flushes and closes handlers within what is left of that deadline.
A child of multiprocessing or billiard ends without atexit; it has finalizers, where the same is done.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from . import guard, upload
from .pacing import Lanes

if TYPE_CHECKING:
    from .pipeline import Pipeline

_FORK_WAIT_SECONDS = 10.0
_LAST = -100

_pipelines: weakref.WeakSet[Pipeline] = weakref.WeakSet()
lanes = Lanes()
_exit_deadline: float | None = None
_finalizing_pid = 0
_held: list[tuple[Pipeline | None, bool]] = []


def register(pipeline: Pipeline) -> None:
    """Include a pipeline in what happens at fork and exit."""
    _pipelines.add(pipeline)


def for_each(act: Callable[[Pipeline], object]) -> None:
    """Do something with every pipeline of the process."""
    for pipeline in list(_pipelines):
        act(pipeline)


def exit_deadline() -> float | None:
    """Tell until when everything must be over, once the process has begun to end; in monotonic time."""
    return _exit_deadline


def owns_logging_lock() -> bool:
    """Tell whether this thread is inside dictConfig or the like, which a delivering thread may have to wait for."""
    lock = getattr(logging, "_lock", None)
    return lock is not None and bool(lock._is_owned())  # noqa: SLF001 - Condition relies on the same method


def ensure_exit_hook() -> None:
    """In a child that will end without atexit, register what is called instead."""
    global _finalizing_pid  # noqa: PLW0603 - one flag a process
    if _finalizing_pid == os.getpid():
        return
    _finalizing_pid = os.getpid()
    for name in ("multiprocessing", "billiard"):
        process, util = sys.modules.get(f"{name}.process"), sys.modules.get(f"{name}.util")
        if process is not None and util is not None and _is_child(process):
            util.Finalize(None, at_exit, exitpriority=_LAST)


def _is_child(process: object) -> bool:
    current = process.current_process()  # type: ignore[attr-defined]
    return getattr(current, "_parent_pid", None) is not None


def at_exit() -> None:
    """Deliver the tail of all pipelines within one deadline."""
    global _exit_deadline  # noqa: PLW0603 - a process ends once
    pipelines = list(_pipelines)
    longest = max((pipeline.settings.close_seconds for pipeline in pipelines), default=0.0)
    if _exit_deadline is None:
        _exit_deadline = time.monotonic() + longest
    for pipeline in pipelines:
        pipeline.urge()
    for pipeline in pipelines:
        pipeline.finish_at_exit()


def _before_fork() -> None:
    is_held = upload.building.acquire(timeout=_FORK_WAIT_SECONDS)
    _held[:] = [(None, is_held)]
    _held.extend((pipeline, pipeline.lock.acquire(timeout=_FORK_WAIT_SECONDS)) for pipeline in list(_pipelines))


def _after_fork_in_parent() -> None:
    for pipeline, is_held in reversed(_held):
        if is_held:
            (upload.building if pipeline is None else pipeline.lock).release()
    _held.clear()


def _after_fork_in_child() -> None:
    global lanes, _exit_deadline  # noqa: PLW0603 - the parent's are of no use to the child
    _held.clear()
    upload.renew_lock()
    guard.forget_other_threads()
    lanes = Lanes()
    _exit_deadline = None
    for pipeline in list(_pipelines):
        pipeline.start_afresh()


atexit.register(at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
