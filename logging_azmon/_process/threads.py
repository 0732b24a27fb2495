"""Tell what the current thread must not do, and what this interpreter does between two lines.

A thread must not wait while it holds a lock that others need, or while it runs an event loop.

In CPython, straight-line code is atomic: threads are switched only at calls, returns and backward jumps. It is not
where threads run in parallel, nor where Python code runs at each line, as a debugger's does.
"""

from __future__ import annotations

import logging
import sys
import threading
from types import FunctionType, MethodType
from typing import Any

from . import at_fork

# The types of a tracer written in Python. One in C, such as coverage's, switches no threads.
_IN_PYTHON = (FunctionType, MethodType)
# The numbers that `sys.monitoring` has for tools.
_TOOLS = range(6)


def holds(lock: Any) -> bool:
    """Tell whether this thread holds a re-entrant lock, and so is in the middle of what the lock guards."""
    return bool(lock._is_owned())  # noqa: SLF001 - there is no other way to ask; threading.Condition does the same


def holds_logging_lock() -> bool:
    """Tell whether this thread is inside dictConfig or the like, which a delivering thread may have to wait for."""
    lock = logging_lock()
    return lock is not None and holds(lock)


def is_logging_lock_free() -> bool:
    """Tell whether no thread, or only this one, is inside dictConfig or the like."""
    lock = logging_lock() or threading.Lock()
    is_free = bool(lock.acquire(blocking=False))
    if is_free:
        lock.release()
    return is_free


def logging_lock() -> Any:
    """Return the lock that `logging` has for its configuration: it has no public name."""
    return getattr(logging, "_lock", None)


def runs_event_loop() -> bool:
    """Tell whether an asyncio event loop runs on this thread."""
    # If the module was never imported, none does; and it may be half imported by another thread.
    running_loop = getattr(sys.modules.get("asyncio"), "get_running_loop", None)
    if running_loop is None:
        return False
    try:
        running_loop()
    except RuntimeError:
        return False
    return True


def is_straight_line_atomic() -> bool:
    """Tell whether code without a call or a loop is finished before another thread runs.

    A debugger watches all threads, or the one that asks.
    """
    return not (_runs_in_parallel() or _is_watched())


def _runs_in_parallel() -> bool:
    has_global_lock = getattr(sys, "_is_gil_enabled", None)  # from 3.13 on
    return has_global_lock is not None and not has_global_lock()


def _is_watched() -> bool:
    monitoring = getattr(sys, "monitoring", None)  # from 3.12 on
    has_tool = monitoring is not None and any(monitoring.get_tool(tool) for tool in _TOOLS)
    return has_tool or isinstance(sys.gettrace(), _IN_PYTHON)


at_fork.register(at_fork.Turn.LOGGING, locks=lambda: [lock for lock in [logging_lock()] if lock is not None])
