"""Marks threads that deliver, so that what they log never enters a pipeline.

The SDK, its HTTP library and a user's own `report` log on the thread that uploads; a row made of that would breed the
next upload. Judged by thread, never by logger name: the application's own azure and urllib3 records do arrive.

Rules: entries are added and removed only by the thread they name, so no lock is needed; a thread may enter again.
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
        # If the module was never imported, nothing is instrumented.
        utils = sys.modules.get("opentelemetry.instrumentation.utils")
        with utils.suppress_instrumentation() if utils is not None else nullcontext():
            yield
    finally:
        if depths[thread] == 1:
            del depths[thread]
        else:
            depths[thread] -= 1


def forget_other_threads() -> None:
    """Drop the marks of threads that did not survive a fork."""
    thread = get_ident()
    for other in [ident for ident in depths if ident != thread]:
        del depths[other]
