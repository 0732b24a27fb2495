"""Mark the threads that deliver, so that their own log records never enter a pipeline.

The SDK, its HTTP library and a user's `report` log on the thread that uploads; a row made of such a record would cause
the next upload. A record is recognized by its thread, never by its logger's name, so that records of azure and urllib3
from the application's own requests arrive.

The garbage collector runs on whichever thread happens to allocate, so it calls the application's finalizers on a
delivering thread, too. What they log is not the library's own.

A record for which no handler is found is printed by `logging.lastResort`. It would print a page for each attempt to get
a token, although the report says the same in a line. So it leaves out what delivering threads log. No other handler,
and no logger, is touched.

Rules: only the thread itself adds and removes its entry, so no lock is needed; a thread may enter repeatedly. A forked
child begins without entries, because its threads belong to the application even if a delivering thread forked it.
Under gevent, `threading.get_ident` identifies a greenlet, and a flush delivers on one greenlet of many. A listener has
a real thread to itself. If gevent patches `threading` later, its identifier changes, and each upload enters anew.
"""

from __future__ import annotations

import gc
import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from os import getpid
from typing import Any

from . import at_fork, real_threads

# How many times each delivering thread has entered `delivering`, by the thread's identifier.
depths: dict[int, int] = {}
# When each entered first, in wall time: identifiers are reused, so an earlier record is another thread's.
since: dict[int, float] = {}
# The real threads of listeners, by the system's identifier.
_listeners: set[int] = set()
# The delivering threads on which the garbage collector is running.
collecting: set[int] = set()


def is_delivering() -> bool:
    """Return whether this thread is delivering now."""
    at_fork.ensure_restarted()
    return threading.get_ident() in depths or is_listener()


def is_listener() -> bool:
    """Return whether this is the thread of a listener."""
    return real_threads.get_ident() in _listeners


def is_own(record: Any) -> bool:
    """Return whether a delivering thread made this record, even if it came here through a queue."""
    current = threading.get_ident()
    if current in depths:
        # A child forked without hooks inherits the entries, and its threads may have the identifiers of the parent's.
        at_fork.ensure_restarted()
        return current in depths and current not in collecting
    try:
        # A thread of another process, or one that has ended, may have the same identifier.
        thread = record.thread
        return thread in depths and record.process == getpid() and record.created >= since.get(thread, 0.0)
    except Exception:  # noqa: BLE001 - not a record, or one with missing or odd attributes: not the library's own
        return False


@contextmanager
def delivering() -> Iterator[None]:
    """Mark this thread as delivering. OpenTelemetry is told as well, so that an upload makes no span."""
    if _note_collection not in gc.callbacks:
        gc.callbacks.append(_note_collection)
        if logging.lastResort is not None:
            logging.lastResort.addFilter(_is_not_own)
    thread = threading.get_ident()
    since.setdefault(thread, time.time())
    depths[thread] = depths.get(thread, 0) + 1
    try:
        # If the module was never imported, nothing is instrumented. Another thread may be importing it right now.
        utils = sys.modules.get("opentelemetry.instrumentation.utils")
        with getattr(utils, "suppress_instrumentation", nullcontext)():
            yield
    finally:
        depth = depths.pop(thread, 1)  # missing in a child that was forked inside this block
        if depth > 1:
            depths[thread] = depth - 1
        else:
            since.pop(thread, None)


@contextmanager
def listening() -> Iterator[None]:
    """Mark this real thread as a listener's, which delivers."""
    _listeners.add(real_threads.get_ident())
    try:
        with delivering():
            yield
    finally:
        _listeners.discard(real_threads.get_ident())


def _is_not_own(record: logging.LogRecord) -> bool:
    return not is_own(record)


def _note_collection(phase: str, info: object) -> None:  # noqa: ARG001 - the collector's signature
    thread = threading.get_ident()
    if thread not in depths:
        return
    if phase == "start":
        collecting.add(thread)
    else:
        collecting.discard(thread)


def restart() -> None:
    """Reset the state in a forked child."""
    _listeners.clear()
    depths.clear()
    since.clear()
    collecting.clear()


at_fork.register(at_fork.Turn.PROCESS, restart=restart)
