"""A fork: the child's pipelines begin with nothing, and the parent notices nothing.

Before it, every lock that a row or an upload may hold is taken, so that the child finds them free and what they guard
whole; the wait is bounded. The child starts afresh: the rows that wait are the parent's, the threads are gone.
"""

from __future__ import annotations

import os
import time
from threading import get_ident
from typing import Any

from .._azure import uploader
from .._pipeline import registry
from . import at_exit, feedback
from .threads import logging_lock

_WAIT_SECONDS = 10.0

# What a forking thread holds, by its number: several may fork at once.
_held: dict[int, list[Any]] = {}


def _before_fork() -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    # Logging's own hook takes its lock after ours, and dictConfig holds that while it wants a pipeline's. `building`
    # comes first, because importing the SDK makes loggers.
    locks: list[Any] = [uploader.building, logging_lock(), *(pipeline._fork_lock for pipeline in registry.alive())]
    _held[get_ident()] = [
        lock for lock in locks if lock is not None and lock.acquire(timeout=max(0.0, deadline - time.monotonic()))
    ]


def _after_fork_in_parent() -> None:
    for lock in reversed(_held.pop(get_ident(), [])):
        lock.release()


def _after_fork_in_child() -> None:
    _held.clear()
    uploader.renew()
    feedback.renew()
    registry.renew()
    at_exit.renew()
    for pipeline in registry.alive():
        pipeline._start_afresh()


def enable() -> None:
    """Set the hooks, once in a process."""
    if hasattr(os, "register_at_fork"):  # pragma: no branch - everywhere but on Windows
        os.register_at_fork(
            before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
        )
