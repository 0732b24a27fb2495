"""Write moments as rows hold them: ISO 8601 in UTC, with six decimals and a Z.

A naive time is taken as local. But structlog's `TimeStamper(fmt="%Y-%m-%d %H:%M:%S")` writes UTC without a zone, and a
row that is hours off would go unnoticed. An event is stamped when it is logged, so a naive time that matches the
current time in UTC but not in local time is taken as UTC.

Rules: a `SecondCache` is filled by many threads without a lock, key by key, and cleared when full. The text of a second
never changes, so losing an entry costs time only.
"""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

# No time zone is closer to UTC than this.
_NEAR_SECONDS = 60.0
_CACHED_SECONDS = 16
_LAST_SECOND = 253_402_300_799
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_TEXT_LENGTH = len("2026-01-31T23:59:59.123456Z")


def utc_text(moment: dt.datetime) -> str:
    """Write a datetime; raise ValueError for one that is not a moment, such as pandas.NaT."""
    written = moment.astimezone(dt.UTC).isoformat(timespec="microseconds")
    if not written.endswith("+00:00"):
        raise ValueError(written)
    return written[:-6] + "Z"


def moment_text(moment: Any) -> str | None:
    """Write a datetime, a date, ISO text or a number of seconds since the epoch; return None if it is none of these."""
    kind = type(moment)
    try:
        if issubclass(kind, dt.datetime):
            return utc_text(moment)
        if issubclass(kind, dt.date):
            return utc_text(dt.datetime(moment.year, moment.month, moment.day, tzinfo=dt.UTC))
        if issubclass(kind, str):
            return utc_text(dt.datetime.fromisoformat(moment))
        # Not fromtimestamp, which refuses times before 1970 on Windows.
        return utc_text(_EPOCH + dt.timedelta(seconds=moment))
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def is_utc_text(moment: Any) -> bool:
    """Return whether this is text in the form that rows use; raise ValueError if it has the form but is not a time."""
    return (
        type(moment) is str
        and len(moment) == _TEXT_LENGTH
        and f"{moment[4]}{moment[7]}{moment[10]}{moment[13]}{moment[19]}{moment[26]}" == "--T:.Z"
        and dt.datetime.fromisoformat(moment).tzinfo is not None
    )


def with_zone(moment: Any, logged: float) -> Any:
    """Return a naive time as UTC if only that reading is close to the time of the log call.

    Return any other value unchanged.
    """
    kind = type(moment)
    if not issubclass(kind, (str, dt.datetime)) or (kind is str and moment.endswith("Z")):
        return moment
    try:
        read = dt.datetime.fromisoformat(moment) if issubclass(kind, str) else moment
        if read.tzinfo is None and abs(read.timestamp() - logged) > _NEAR_SECONDS:
            in_utc = read.replace(tzinfo=dt.UTC)
            if abs(in_utc.timestamp() - logged) <= _NEAR_SECONDS:
                return in_utc
    except (TypeError, ValueError, OverflowError, OSError):  # not a moment, or at either end of the calendar
        pass
    return moment


class SecondCache(dict[float, str]):
    """Cache the texts of the last few seconds, each up to the decimal point."""

    def write(self, moment: float) -> str:
        """Write a moment; raise ValueError if it is out of range or rounds up to the next second."""
        second = moment // 1
        micros = int((moment - second) * 1_000_000 + 0.5)
        if micros == 1_000_000:
            raise ValueError(moment)
        return f"{self[second]}{micros:06}Z"

    def __missing__(self, second: float) -> str:
        # On Windows, gmtime refuses times before 1970.
        if not 0 < second < _LAST_SECOND:
            raise ValueError(second)
        if len(self) >= _CACHED_SECONDS:
            self.clear()
        text = self[second] = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))
        return text
