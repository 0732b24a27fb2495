"""Marks threads that deliver, so that what they log never enters a pipeline.

The SDK, its HTTP library and a user's own `report` log on the thread that uploads; a row made of that would breed the
next upload. Judged by thread, never by logger name: the application's own azure and urllib3 records do arrive.

Rules: entries are added and removed only by the thread they name, so no lock is needed; a thread may enter again.
A forked child begins with no entry: a process that a delivering thread has started is the application's.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from threading import get_ident

depths: dict[int, int] = {}


def is_delivering() -> bool:
    """Tell whether this thread is delivering now."""
    return get_ident() in depths


@contextmanager
def delivering() -> Iterator[None]:
    """Mark this thread as delivering, for OpenTelemetry's instrumentations too: an upload makes no span."""
    thread = get_ident()
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


def renew() -> None:
    """Drop all marks, in a forked child."""
    depths.clear()
