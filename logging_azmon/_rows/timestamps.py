"""Tells which zone a timestamp is in that does not say so.

Times without a zone are local. But structlog's `TimeStamper(fmt="%Y-%m-%d %H:%M:%S")` writes UTC without saying so, and
a row that is hours off would go unnoticed. An event is stamped when it is logged: so a time that is now in UTC, and
not here, is UTC.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

# No zone is that near to UTC.
_NEAR_SECONDS = 60.0


def zoned(moment: Any, logged: float) -> Any:
    """Return a moment with its zone where it is clear which; otherwise as it is. `logged` is when that was."""
    kind = type(moment)
    if not issubclass(kind, (str, dt.datetime)) or (kind is str and moment.endswith("Z")):
        return moment
    try:
        read = dt.datetime.fromisoformat(moment) if issubclass(kind, str) else moment
        if read.tzinfo is None and abs(read.timestamp() - logged) > _NEAR_SECONDS:
            in_utc = read.replace(tzinfo=dt.UTC)
            if abs(in_utc.timestamp() - logged) <= _NEAR_SECONDS:
                return in_utc
    except (TypeError, ValueError, OverflowError, OSError):  # no moments, or at the ends of the calendar
        pass
    return moment
