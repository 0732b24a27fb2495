"""How long the current thread may wait for a token or for a response.

The SDK passes no such limit on to credentials and transports, so each thread has its own here, set for each upload.
"""

from __future__ import annotations

import threading

# Without a shorter limit: a token that takes longer will not come.
MAX_WAIT_SECONDS = 60.0

_limits = threading.local()


def set_wait_limit(seconds: float | None) -> None:
    """Limit each wait of this thread from now on; None stands for the longest."""
    _limits.seconds = MAX_WAIT_SECONDS if seconds is None else min(seconds, MAX_WAIT_SECONDS)


def wait_limit() -> float:
    """Return for how many seconds this thread may wait."""
    return getattr(_limits, "seconds", MAX_WAIT_SECONDS)
