"""The limit for how long the current thread may wait for a token or a response.

The SDK passes no such limit on to credentials and transports, so it is kept here, per thread, and set for each upload.
"""

from __future__ import annotations

import threading

# The default, and the longest limit: a token that takes longer will not come.
MAX_WAIT_SECONDS = 60.0

_limits = threading.local()


def set_wait_limit(seconds: float | None) -> None:
    """Limit each wait of this thread from now on; None means the longest limit."""
    _limits.seconds = MAX_WAIT_SECONDS if seconds is None else min(seconds, MAX_WAIT_SECONDS)


def wait_limit() -> float:
    """Return how many seconds this thread may wait."""
    return getattr(_limits, "seconds", MAX_WAIT_SECONDS)
