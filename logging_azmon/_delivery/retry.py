"""Decide how long to wait before a retry: as long as the service asks, or else exponential backoff with jitter.

Pure: no I/O, no clock and no state of its own.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import math
from collections.abc import Callable
from dataclasses import dataclass

from .answer import Answer
from .decision import RetryReason

# The bound for Retry-After: the service may ask for any wait.
MAX_RETRY_AFTER_SECONDS = 300.0
# A shorter Retry-After ("0", or a date in the past) is ignored, or a service that always sends one would be called
# without a pause.
MIN_RETRY_AFTER_SECONDS = 1.0

# The upper bound of the first wait; it doubles with each retry.
_FIRST_RETRY_SECONDS = 0.5
# Larger exponents would overflow a float.
_MAX_EXPONENT = 16


@dataclass(frozen=True, slots=True)
class Delay:
    """Hold the time to wait before the next try."""

    seconds: float
    # Whether the service asked for this wait. A flush must not cut such a wait short.
    from_server: bool = False


def retry_delay(
    reason: RetryReason, answer: Answer, *, failures: int, longest: float, now: float, random: Callable[[], float]
) -> Delay:
    """Return how long to wait: as long as the service asks, or else exponential backoff with full jitter.

    `failures` includes the latest. `now` is wall time, with which a Retry-After date is compared.
    """
    asked = retry_after_seconds(answer.retry_after, now) or 0.0
    if asked >= MIN_RETRY_AFTER_SECONDS:
        return Delay(asked, from_server=reason != "configuration")
    if reason == "configuration":
        return Delay(longest * (0.5 + random() / 2))
    return Delay(backoff(failures, longest) * random())


def backoff(tries: int, longest: float) -> float:
    """Return the upper bound of the wait after this many tries: it doubles with each, up to `longest`."""
    return min(longest, _FIRST_RETRY_SECONDS * 2.0 ** min(tries - 1, _MAX_EXPONENT))


def retry_after_seconds(header: str | None, now: float) -> float | None:
    """Parse a Retry-After header, in seconds or as a date; None if it is missing or malformed."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            date = email.utils.parsedate_to_datetime(header)
            # HTTP dates are in UTC, even without a zone.
            seconds = (date if date.tzinfo is not None else date.replace(tzinfo=dt.UTC)).timestamp() - now
        except (TypeError, ValueError, LookupError, OverflowError):
            return None
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)
