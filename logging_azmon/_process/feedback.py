"""Marks threads that deliver, so that what they log never enters a pipeline.

The SDK, its HTTP library and a user's own `report` log on the thread that uploads; a row made of that would breed the
next upload. Judged by thread, never by logger name: the application's own azure and urllib3 records do arrive.

Rules: entries are added and removed only by the thread they name, so no lock is needed; a thread may enter again.
A forked child begins with no entry: a process that a delivering thread has started is the application's.
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

depths: dict[int, int] = {}
# Since when, in wall time: the number of a thread that has ended may be given to another.
since: dict[int, float] = {}


def is_delivering() -> bool:
    """Tell whether this thread is delivering now."""
    return get_ident() in depths


def is_own(record: Any) -> bool:
    """Tell whether a thread has made this while delivering; a record may have come round by a queue."""
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
        # If the module was never imported, nothing is instrumented; and it may be half imported.
        utils = sys.modules.get("opentelemetry.instrumentation.utils")
        with getattr(utils, "suppress_instrumentation", nullcontext)():
            yield
    finally:
        depth = depths.pop(thread, 1)  # none in a child that was forked in between
        if depth > 1:
            depths[thread] = depth - 1
        else:
            since.pop(thread, None)


def restart() -> None:
    """Begin again in a forked child."""
    depths.clear()
    since.clear()


at_fork.register(at_fork.Turn.PROCESS, restart=restart)
