"""Parse the query API's `timespan`: a duration, or two of start, end and duration separated by a slash."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

_DURATION = re.compile(
    r"P(?:(?P<weeks>[\d.]+)W)?(?:(?P<days>[\d.]+)D)?"
    r"(?:T(?:(?P<hours>[\d.]+)H)?(?:(?P<minutes>[\d.]+)M)?(?:(?P<seconds>[\d.]+)S)?)?"
)


@dataclass(frozen=True, slots=True)
class Timespan:
    """Hold an inclusive start and an exclusive end; None leaves that side open."""

    start: dt.datetime | None
    end: dt.datetime | None

    def condition(self) -> str:
        """Return the SQL condition that is true for rows inside the timespan."""
        parts = ['"TimeGenerated" >= $span_start'] * (self.start is not None)
        return " AND ".join(parts + ['"TimeGenerated" < $span_end'] * (self.end is not None))

    def parameters(self) -> dict[str, dt.datetime]:
        """Return the parameters of the condition."""
        bounds = {"span_start": self.start, "span_end": self.end}
        return {name: bound.astimezone(dt.UTC).replace(tzinfo=None) for name, bound in bounds.items() if bound}


def parse_timespan(text: object, now: dt.datetime) -> Timespan:
    """Parse a timespan, or raise a ValueError that says what is accepted.

    >>> now = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    >>> parse_timespan("PT3600.0S", now).start.isoformat()
    '2026-01-01T23:00:00+00:00'
    """
    if text is None or text == "":
        return Timespan(None, None)
    first, slash, second = str(text).partition("/")
    try:
        if not slash:
            # No end: rows stamped by a clock that is slightly ahead are included.
            return Timespan(now - _duration(first), None)
        if first.startswith("P"):
            end = _moment(second)
            return Timespan(end - _duration(first), end)
        start = _moment(first)
        return Timespan(start, start + _duration(second) if second.startswith("P") else _moment(second))
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"timespan {str(text)[:100]!r} cannot be read: use an ISO 8601 duration such as 'PT1H', or 'start/end'."
        ) from error


def _duration(text: str) -> dt.timedelta:
    found = _DURATION.fullmatch(text)
    if found is None or not any(found.groupdict().values()):
        raise ValueError(text)
    return dt.timedelta(**{unit: float(value) for unit, value in found.groupdict().items() if value})


def _moment(text: str) -> dt.datetime:
    # The service writes seven fractional digits; Python parses six.
    moment = dt.datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text.strip()))
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
