"""Parse time spans as people write them, and format them as words."""

from __future__ import annotations

import argparse
import datetime as dt
import re

from .workspace import Timespan

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_ISO = re.compile(
    r"P(?:(?P<weeks>[\d.]+)W)?(?:(?P<days>[\d.]+)D)?"
    r"(?:T(?:(?P<hours>[\d.]+)H)?(?:(?P<minutes>[\d.]+)M)?(?:(?P<seconds>[\d.]+)S)?)?",
    re.IGNORECASE,
)


def read_timespan(text: str) -> Timespan:
    """Parse ``30m``, ``1d12h``, ``PT1H``, ``START/END`` or ``all``, as an argparse type.

    >>> read_timespan("1h30m")
    datetime.timedelta(seconds=5400)
    """
    try:
        if text == "all":
            return None
        first, slash, second = text.partition("/")
        if not slash:
            return read_duration(first)
        return _between(first, second)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time span; give 30m, 12h, 7d, PT1H, 2026-11-20/2026-11-21, 2026-11-20T08:00/2h or all"
        ) from None


def _between(first: str, second: str) -> tuple[dt.datetime, dt.datetime]:
    start = _moment(first)
    end = start + read_duration(second) if re.match(r"[Pp]|\d+(\.\d+)?[smhdw]", second) else _moment(second)
    if end <= start:
        raise ValueError(second)
    return start, end


def read_duration(text: str) -> dt.timedelta:
    """Parse a duration, such as ``1h30m`` or ISO 8601; raise a ValueError if it is not one or is zero."""
    match = _ISO.fullmatch(text)
    if match is not None:
        parts = {unit: float(value) for unit, value in match.groupdict().items() if value}
    elif _PART.sub("", text) == "":
        parts = {}
        for value, unit in _PART.findall(text):
            parts[_UNITS[unit]] = parts.get(_UNITS[unit], 0.0) + float(value)
    else:
        raise ValueError(text)
    duration = dt.timedelta(**parts)
    if not duration:
        raise ValueError(text)
    return duration


def timespan_phrase(timespan: Timespan) -> str:
    """Format a time span as words, to follow "12 rows"."""
    if timespan is None:
        return "of all time"
    if isinstance(timespan, tuple):
        start, end = (moment.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S") for moment in timespan)
        return f"from {start} to {end} UTC"
    return f"of the last {duration_text(timespan).removeprefix('1 ')}"


def duration_text(duration: dt.timedelta) -> str:
    """Format a duration as words.

    >>> duration_text(dt.timedelta(minutes=90))
    '1 hour 30 minutes'
    """
    parts = []
    left = duration.total_seconds()
    for seconds, word in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        number, left = (left // seconds, left % seconds) if seconds > 1 else (round(left, 3), 0)
        if number:
            parts.append(f"{number:g} {word}{'' if number == 1 else 's'}")
    return " ".join(parts) or "0 seconds"


def _moment(text: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(text.strip())
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
