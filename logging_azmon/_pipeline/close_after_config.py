"""Close a pipeline whose handler dictConfig replaces, once no other thread can still log to the old handler.

dictConfig holds logging's lock while it closes the old handlers and makes the new ones. Until it is done, other threads
log to the old handler, and only its pipeline takes their rows. A listener therefore closes the pipeline once the lock
has been free for a moment.

Rules: `begin` is called by the thread that holds logging's lock, and waits for nothing. `close_if_free` is called by
listeners, one at a time.
"""

from __future__ import annotations

from collections.abc import Callable

from .._delivery.listener_threads import Listeners
from .._process.clock import Clock
from .._process.may_wait import is_logging_lock_free

_NEVER = float("inf")
# A thread that has just found the old handler still has this long to log to it.
_LATE_SECONDS = 0.05


class CloseAfterConfig:
    """Make a listener call `close` once dictConfig is done."""

    def __init__(self, clock: Clock, close: Callable[[], None]) -> None:
        self._clock = clock
        self._close = close
        # When logging's lock was first seen free; infinity while it is held.
        self._free_since = _NEVER

    def begin(self, listeners: Listeners) -> bool:
        """Make a listener call `close_if_free` until it returns True; return False if there is no listener."""
        self._free_since = _NEVER
        return listeners.retry_until_done(self.close_if_free)

    def close_if_free(self) -> bool:
        """Close if logging's lock has been free long enough; return whether it was."""
        now = self._clock.monotonic()
        self._free_since = min(self._free_since, now) if is_logging_lock_free() else _NEVER
        if now - self._free_since < _LATE_SECONDS:
            return False
        self._close()
        return True
