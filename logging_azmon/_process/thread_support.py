"""Decide whether this process may start threads, which uWSGI makes difficult.

uWSGI forks in C, and by default lets the interpreter know nothing of it. A thread that holds the interpreter's lock at
that moment holds it for ever in the child, which then hangs. So nothing is started in a process that uWSGI will fork.
Nor is it with ``--py-call-uwsgi-fork-hooks``: rows that its master still had at the stop would be lost, because the
master runs no exit handlers. Without ``--enable-threads``, which older versions need, threads only run while a request
does: they would slow it down, and still deliver little.

uWSGI's signal handlers end the process on whichever thread gets the signal. A listener's exit would wait for itself. So
a thread is started with its signals blocked.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

# An error of the thread itself: blocked, it would end the process without a word from `faulthandler`.
_OWN_SIGNALS = {"SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT"}


class Threads(Enum):
    """Say whether threads may be started."""

    NOW = "they run"
    LATER = "uWSGI has not forked yet"
    NEVER = "they would run only while a request does"


def uwsgi_module() -> Any:
    """Return the module that uWSGI makes in its processes; None elsewhere, where stubs may have its name."""
    uwsgi = sys.modules.get("uwsgi")
    return uwsgi if hasattr(uwsgi, "has_threads") else None


def threads() -> Threads:
    """Return whether this process may start threads."""
    uwsgi = uwsgi_module()
    if uwsgi is None:
        return Threads.NOW
    if not uwsgi.has_threads:
        return Threads.NEVER
    return Threads.NOW if _is_forked(uwsgi) else Threads.LATER


@contextmanager
def signals_left_to_others() -> Iterator[None]:
    """Block the signals that uWSGI handles in threads that are started in this block."""
    if uwsgi_module() is None:
        yield
        return
    signals = {number for number in signal.Signals if number.name not in _OWN_SIGNALS}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def is_silent_master() -> bool:
    """Return whether this is uWSGI's master, which runs no Python code once it has forked, not even at its exit."""
    uwsgi = uwsgi_module()
    return uwsgi is not None and uwsgi.masterpid() != 0 and not _is_forked(uwsgi)


def _is_forked(uwsgi: Any) -> bool:
    """Return whether this is a worker, a mule or a spooler, and not the process from which they are forked."""
    return bool(uwsgi.worker_id() or uwsgi.mule_id() or uwsgi.i_am_the_spooler())
