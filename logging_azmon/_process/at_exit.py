"""Run the modules' exit callbacks when the process ends, within one time limit for all pipelines.

The interpreter joins non-daemon threads, then calls atexit callbacks, last registered first. Ours runs before
`logging.shutdown`, which flushes and closes handlers. Callbacks that run after ours may still log. The time that flush
and close spend waiting is taken from one budget. The application's own callbacks do not use it up.

Forked children of multiprocessing and billiard end by `os._exit`, without atexit. Before that they call finalizers or,
in Celery's pool, send a signal; with ``--skip-atexit-teardown``, a worker of uWSGI calls `uwsgi.atexit`. The same exit
callbacks run there, with `is_last` set, because nothing runs later.

`flush_early` delivers what waits before all that, and spends the same budget.
"""

from __future__ import annotations

import atexit
import logging  # registers its callback first, so that ours runs before it
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from typing import Any, Protocol

from . import at_fork, thread_support


class Turn(IntEnum):
    """Order the modules' exit callbacks."""

    FRONT_DOORS = 1
    PIPELINES = 2


# multiprocessing calls finalizers from the highest priority to the lowest. Ours is last, because others may log.
_LAST_PRIORITY = -100
# Below all finalizers that anybody has.
_AFTER_ALL_PRIORITY = -(10**9)


class ExitCallback(Protocol):
    """Do what a module does when the process ends."""

    def __call__(self, *, is_last: bool) -> None:
        """Do it; `is_last` says that nothing runs later, not even `logging.shutdown`."""
        ...


_registered: list[tuple[Turn, ExitCallback]] = []
_flushes: list[Callable[[], None]] = []
_checks: list[Callable[[], object]] = []
_finalizers: dict[str, Any] = {}
_is_forked = False
# How long flush and close may still wait; None until the exit begins.
_seconds_left: float | None = None


def register(turn: Turn, callback: ExitCallback) -> None:
    """Call this when the process ends."""
    _registered.append((turn, callback))
    _registered.sort(key=lambda known: known[0])


def register_flush(flush: Callable[[], None]) -> None:
    """Call `flush` if the process is about to end and its rows cannot wait for the exit callbacks."""
    _flushes.append(flush)


def flush_early() -> None:
    """Flush all pipelines before the exit callbacks; these have only the rest of the time."""
    at_fork.ensure_restarted()
    for flush in _flushes:
        flush()


def has_begun() -> bool:
    """Return whether the process is ending already: the main thread has ended, or finalizers of a child run."""
    util = sys.modules.get("multiprocessing.util")
    return not threading.main_thread().is_alive() or (util is not None and bool(util.is_exiting()))


def limit_waits(seconds: float | None) -> None:
    """Limit the time that flush and close may wait from now on, all together; None removes the limit."""
    global _seconds_left  # noqa: PLW0603 - a process ends once
    _seconds_left = seconds


def seconds_left() -> float | None:
    """Return how long flush and close may still wait, or None before the exit."""
    return _seconds_left


@contextmanager
def spending() -> Iterator[None]:
    """Subtract the time that this block takes from the time that flush and close have left."""
    begun = time.monotonic()
    try:
        yield
    finally:
        if _seconds_left is not None:
            limit_waits(max(0.0, _seconds_left - (time.monotonic() - begun)))


def _end(*, is_last: bool = False) -> None:
    at_fork.ensure_restarted()
    for _, callback in _registered:
        callback(is_last=is_last)


class _Search:  # noqa: PLW1641 - it is compared, never stored
    """Find our callback among those of atexit, which has no function for that: it compares each with this object."""

    def __init__(self) -> None:
        self.has_found = False

    def __eq__(self, callback: object) -> bool:
        self.has_found |= callback is _end
        return False


def ensure_hook() -> None:
    """Make sure, in a forked child, that our callback will run.

    A child of multiprocessing or billiard ends without atexit and gets a finalizer. Others, such as Airflow's, have
    cleared the inherited callbacks, but run the new ones.
    """
    has_finalizer = False
    for name in ("multiprocessing", "billiard"):
        util = sys.modules.get(f"{name}.util")
        if util is None or not _ends_without_atexit(name):
            continue
        has_finalizer = True
        known = _finalizers.get(name)
        if known is not None and known.still_active():
            continue
        _finalizers[name] = util.Finalize(None, _end_child, args=(name,), exitpriority=_LAST_PRIORITY)
        signals = sys.modules.get("celery.signals")
        if name == "billiard" and signals is not None:
            signals.worker_process_shutdown.connect(_end_worker, weak=False, dispatch_uid="logging_azmon")
    uwsgi = thread_support.uwsgi_module()
    if uwsgi is not None and "skip-atexit-teardown" in uwsgi.opt and not hasattr(uwsgi, "atexit"):
        uwsgi.atexit = _end_worker
    if _is_forked:
        if not has_finalizer:
            _ensure_callback()
        for check in _checks:
            check()


def register_check(check: Callable[[], object]) -> None:
    """Call `check` in forked children, on any thread, whenever a log call looks whether our callbacks will run."""
    if check not in _checks:
        _checks.append(check)


def _ensure_callback() -> None:
    search: Any = _Search()
    atexit.unregister(search)
    if not search.has_found:
        atexit.register(logging.shutdown)
        atexit.register(_end)


def _ends_without_atexit(name: str) -> bool:
    """Return whether this is a forked child; a spawned child runs atexit callbacks."""
    # Another thread may still be importing the module, so the function may be missing; in a child it is complete.
    current_process = getattr(sys.modules.get(f"{name}.process"), "current_process", None)
    current = None if current_process is None else current_process()
    if getattr(current, "_parent_pid", None) is None:
        return False
    method = getattr(current, "_start_method", None) or sys.modules[name].get_start_method(allow_none=True)
    return bool(method != "spawn")


class _Last:
    """Call a function when it is destroyed."""

    def __init__(self, function: Callable[[], object]) -> None:
        self.function: Callable[[], object] | None = function

    def __del__(self) -> None:  # pragma: no cover - runs after coverage has written its data
        if self.function is not None:
            self.function()


_last: _Last | None = None


def call_last(function: Callable[[], object]) -> None:
    """Call a function after all exit callbacks, whoever has registered them; it must not need a module's globals.

    The interpreter has no hook for that, but it destroys its modules last. A child that ends without that calls the
    function as its last finalizer.
    """
    global _last  # noqa: PLW0603 - a process ends once
    if _last is None or _last.function is None:
        _last = _Last(function)
    if _ends_without_atexit("multiprocessing"):
        ensure_hook()
        util = sys.modules["multiprocessing.util"]
        util.Finalize(None, _flush_and_call, args=(function,), exitpriority=_AFTER_ALL_PRIORITY)


def _flush_and_call(function: Callable[[], object]) -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()
    function()


def _end_child(name: str) -> None:
    if name == "multiprocessing":
        # Until 3.12, a child calls this function itself after its finalizers, to join its threads. They may log until
        # then, so join them first.
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - the interpreter itself calls it
    _end(is_last=True)


def _end_worker(**_: object) -> None:
    _end(is_last=True)


def restart() -> None:
    """Reset the state in a forked child."""
    global _is_forked  # noqa: PLW0603 - as above
    _is_forked = True
    limit_waits(None)
    if _last is not None:
        _last.function = None


atexit.register(_end)
at_fork.register(at_fork.Turn.PROCESS, restart=restart)
