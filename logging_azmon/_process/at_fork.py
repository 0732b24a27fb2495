"""Let modules say what a fork must wait for, and how they begin again in the child.

Rules:
- Before a fork, the forking thread takes every registered lock, so that the child finds what they guard whole. Locks
  are taken in the order of `Turn`, in which every other thread takes them, too. All of them together are waited for at
  most `WAIT_SECONDS`; a lock that is not free by then is left out.
- The parent releases them in the opposite order and notices nothing else.
- The child inherits locks that are held, by this thread or by threads that it does not have. It never takes or
  releases them: each module's `restart` replaces its own. These run in the order of `Turn`, too.
- Several threads may fork at once.

What becomes of a pipeline's rows in the child is said by `Lifecycle.restart`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from enum import IntEnum
from threading import get_ident
from typing import Any, NamedTuple

WAIT_SECONDS = 10.0


class Turn(IntEnum):
    """The order in which locks are taken before a fork, and in which modules restart in the child."""

    # Importing the SDK creates loggers, so its lock comes before logging's.
    SDK_IMPORT = 1
    # dictConfig holds logging's lock while it closes pipelines, which take all locks below.
    LOGGING = 2
    # State of the whole process that has no lock.
    PROCESS = 3
    SPOOL_OWNERSHIP = 4
    PIPELINES = 5


class _Registered(NamedTuple):
    turn: Turn
    locks: Callable[[], Iterable[Any]]
    restart: Callable[[], None]


_registered: list[_Registered] = []
# The locks that a forking thread holds, by the thread's number.
_held: dict[int, list[Any]] = {}


def register(
    turn: Turn, *, locks: Callable[[], Iterable[Any]] = tuple, restart: Callable[[], None] = lambda: None
) -> None:
    """Have a fork hold the locks that `locks` returns, and the child call `restart`."""
    _registered.append(_Registered(turn, locks, restart))
    _registered.sort(key=lambda known: known.turn)


def _before() -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    held = _held[get_ident()] = []
    for known in _registered:
        held += [lock for lock in known.locks() if lock.acquire(timeout=max(0.0, deadline - time.monotonic()))]


def _after_in_parent() -> None:
    for lock in reversed(_held.pop(get_ident(), [])):
        lock.release()


def _after_in_child() -> None:
    _held.clear()
    for known in _registered:
        known.restart()


if hasattr(os, "register_at_fork"):  # pragma: no branch - everywhere but on Windows
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
