"""Return whether this thread may wait: not while it holds a lock that others need, nor while it runs an event loop."""

from __future__ import annotations

import logging
import sys
import threading
from typing import Any

from . import at_fork


def holds(lock: Any) -> bool:
    """Return whether this thread holds a re-entrant lock, because it interrupted itself inside the critical section."""
    return bool(lock._is_owned())  # noqa: SLF001 - the only way to ask; threading.Condition does the same


def holds_logging_lock() -> bool:
    """Return whether this thread is inside dictConfig or the like, which a delivering thread may have to wait for."""
    lock = logging_lock()
    return lock is not None and holds(lock)


def is_logging_lock_free() -> bool:
    """Return whether no thread, or only this one, is inside dictConfig or the like."""
    lock = logging_lock() or threading.Lock()
    is_free = bool(lock.acquire(blocking=False))
    if is_free:
        lock.release()
    return is_free


def logging_lock() -> Any:
    """Return the lock that `logging` has for its configuration: it has no public name."""
    return getattr(logging, "_lock", None)


def runs_event_loop() -> bool:
    """Return whether an asyncio event loop runs on this thread."""
    # If the module was never imported, none runs. Another thread may have imported it only partly.
    running_loop = getattr(sys.modules.get("asyncio"), "get_running_loop", None)
    if running_loop is None:
        return False
    try:
        running_loop()
    except RuntimeError:
        return False
    return True


at_fork.register(at_fork.Turn.LOGGING, locks=lambda: [lock for lock in [logging_lock()] if lock is not None])
