"""Mark the threads that deliver, so that their own log records never enter a pipeline.

The SDK, its HTTP library and a user's `report` log on the thread that uploads; a row made of such a record would cause
the next upload. A record is judged by its thread, never by its logger's name: the application's own records of azure
and urllib3 do arrive.

Rules: an entry is added and removed only by the thread that it names, so no lock is needed; a thread may enter again.
A forked child begins without entries: a process that a delivering thread has started is the application's.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from os import getpid
from threading import get_ident
from typing import Any

from . import at_fork

# How often each delivering thread has entered, by the thread's number.
depths: dict[int, int] = {}
# When it entered first, in wall time: the number of a thread that has ended may be given to another.
since: dict[int, float] = {}


def is_delivering() -> bool:
    """Tell whether this thread is delivering now."""
    return get_ident() in depths


def is_own(record: Any) -> bool:
    """Tell whether a delivering thread has made this record, which may have come through a queue since."""
    if get_ident() in depths:
        return True
    try:
        # Another process, and a thread that has ended, may have the same number.
        thread = record.thread
        return thread in depths and record.process == getpid() and record.created >= since.get(thread, 0.0)
    except Exception:  # noqa: BLE001 - no record, or its attributes were set or deleted by hand: then it is none of ours
        return False


@contextmanager
def delivering() -> Iterator[None]:
    """Mark this thread as delivering, for OpenTelemetry's instrumentations too: an upload makes no span."""
    thread = get_ident()
    since.setdefault(thread, time.time())
    depths[thread] = depths.get(thread, 0) + 1
    try:
        # Nothing is instrumented if the module was never imported, and another thread may still be importing it.
        utils = sys.modules.get("opentelemetry.instrumentation.utils")
        with getattr(utils, "suppress_instrumentation", nullcontext)():
            yield
    finally:
        depth = depths.pop(thread, 1)  # there is none in a child that was forked meanwhile
        if depth > 1:
            depths[thread] = depth - 1
        else:
            since.pop(thread, None)


def restart() -> None:
    """Begin again in a forked child."""
    depths.clear()
    since.clear()


at_fork.register(at_fork.Turn.PROCESS, restart=restart)
