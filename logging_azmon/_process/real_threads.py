"""The system's own threads, locks and queues, whatever gevent or eventlet has patched.

Both replace the functions of `threading` and its kin by ones that switch between greenlets, either before this package
is imported or later. Delivering threads are real ones in any case: greenlets would share the application's only thread,
and one that waits on a lock or queue from before the patch would stop them all.

Rules: what is imported from here works on real threads only, and blocks the thread that calls it. So a thread on which
greenlets run takes these locks only for moments, and waits through `clock.SystemClock`, which lets the others run.
"""

from __future__ import annotations

import importlib
import sys
import time
from _queue import Empty, SimpleQueue  # the module that neither of them patches
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

__all__ = ["Empty", "Lock", "RLock", "SimpleQueue", "get_ident", "is_patched", "original", "start_new_thread"]


def original(module: str, name: str) -> Any:
    """Return what a module had under this name before it was patched."""
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None:
        return gevent.get_original(module, name)
    eventlet = sys.modules.get("eventlet.patcher")
    home = importlib.import_module(module) if eventlet is None else eventlet.original(module)
    return getattr(home, name)


if TYPE_CHECKING:
    from _thread import get_ident
    from threading import Lock, RLock
else:
    get_ident = original("_thread", "get_ident")
    Lock = original("_thread", "allocate_lock")
    RLock = original("_thread", "RLock")
_sleep = original("time", "sleep")


def start_new_thread(function: Callable[..., object], *args: Any) -> None:
    """Start a thread that the interpreter does not wait for, and that has no `Thread` object."""
    original("_thread", "start_new_thread")(function, args)


def is_patched() -> bool:
    """Return whether `threading` makes greenlets now."""
    return time.sleep is not _sleep  # noqa: TID251 - only looked at
