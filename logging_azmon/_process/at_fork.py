"""Hold the modules' locks during a fork, and restart the modules in the child.

Rules:
- Before a fork, the forking thread takes every registered lock, so that the child finds the guarded state consistent.
  Locks are taken in the order of `Turn`, which every other thread keeps, too. The thread waits at most `WAIT_SECONDS`
  for all of them together, and goes on without the locks that are not free by then.
- The parent releases the locks in reverse order, also if a signal handler raises in the middle of that.
- The child inherits locks that are held by the forking thread, or by threads that do not exist in the child. It never
  takes or releases these: each module's `restart` replaces its own. The modules restart in the order of `Turn`.
- Several threads may fork concurrently.
- uWSGI forks in C and calls no hook. There the first log call, flush, close or exit callback of the child restarts the
  modules (`ensure_restarted`), which is why `restart` takes no lock that the parent's threads may have held.
- A log call that interrupts the restart on the same thread, in a signal handler or finalizer, is postponed until the
  end of the restart. Other threads of the child wait for that end, at most `WAIT_SECONDS`.

`Lifecycle.restart` says what happens to a pipeline's rows in the child.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from enum import IntEnum
from typing import Any, NamedTuple

from . import fork_mark
from .real_threads import RLock

WAIT_SECONDS = 10.0


class Turn(IntEnum):
    """Order the taking of locks before a fork, and the restarts in the child."""

    # Importing the SDK creates loggers, so its lock comes before logging's.
    SDK_IMPORT = 1
    # dictConfig holds logging's lock while it closes pipelines, which take the locks of all later turns.
    LOGGING = 2
    # Modules whose state has no lock.
    PROCESS = 3
    PIPELINES = 4
    # Held for a moment only, perhaps by a log call that has interrupted another one, which holds its pipeline's lock.
    FILE_LOCKS = 5


class _Registered(NamedTuple):
    turn: Turn
    locks: Callable[[], Iterable[Any]]
    restart: Callable[[], None]


_registered: list[_Registered] = []
# The locks that each forking thread holds, by the thread's identifier.
_held: dict[int, list[Any]] = {}


class _Restart:
    """Hold the lock of one process's restart, and the log calls that are postponed until its end."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.postponed: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()


# By process: a child must not wait for a lock that its parent holds.
_restarts: dict[int, _Restart] = {}


def register(
    turn: Turn, *, locks: Callable[[], Iterable[Any]] = tuple, restart: Callable[[], None] = lambda: None
) -> None:
    """Make each fork hold the locks that `locks` returns, and each child call `restart`."""
    _registered.append(_Registered(turn, locks, restart))
    _registered.sort(key=lambda known: known.turn)


def _before() -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    held = _held[threading.get_ident()] = []
    for known in _registered:
        for lock in known.locks():
            if _is_owned(lock):
                continue  # the fork happens inside a log call, which releases it
            # Noted before it is taken, and dropped after it is released: a signal handler may raise in between.
            held.append(lock)
            if not lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
                held.remove(lock)


def _after_in_parent() -> None:
    held = _held.get(threading.get_ident(), [])
    while held:
        lock = held[-1]
        # Not taken, or released already, if a signal handler has raised meanwhile.
        with suppress(RuntimeError):
            lock.release()
        held.remove(lock)
    _held.pop(threading.get_ident(), None)


def _is_owned(lock: Any) -> bool:
    """Return whether this thread holds a re-entrant lock already."""
    return bool(getattr(lock, "_is_owned", bool)())


def ensure_restarted(again: Callable[..., object] = bool, *args: Any) -> bool:
    """Restart the modules if this is a forked child in which they have not restarted yet.

    Return False if this call interrupts the restart; then `again` is called at the end of the restart.
    """
    if fork_mark.is_set():
        return True
    restart = _restarts.setdefault(os.getpid(), _Restart())
    if _is_owned(restart.lock) or not restart.lock.acquire(timeout=WAIT_SECONDS):
        restart.postponed.append((again, args))
        return False
    try:
        if not fork_mark.is_set():
            _held.clear()
            for known in _registered:
                known.restart()
            fork_mark.set_mark()
    finally:
        restart.lock.release()
    while restart.postponed:
        again, args = restart.postponed.popleft()
        again(*args)
    return True


if hasattr(os, "register_at_fork"):  # pragma: no branch - everywhere but on Windows
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=ensure_restarted)
    # If a signal handler raises inside a hook, the interpreter ignores the error and skips the rest of the hook. It is
    # registered again, so that a later run releases what is left.
    for _ in range(2):
        os.register_at_fork(after_in_parent=_after_in_parent)
