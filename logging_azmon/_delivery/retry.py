"""Decide what an answer means for the rows that were sent, and how long to wait before a retry.

204                                             done
connection failed or timed out, 408, 429, 5xx   retry; every pipeline that sends to the same place pauses
401                                             retry at once with a new token; a second 401 counts as a 403
403, 404, 400 InvalidStream                     retry slowly; the configuration must be corrected
413, or known to be too large                   split by size; a single row is shrunk, then rejected
400 RecordsTimeRangeIsMoreThan30Minutes         split by time
any other 400                                   split; a single row is rejected
no token, TLS, 407, 415, 3xx, 200, the rest     retry slowly; nothing was delivered, and a person must look into it

Pure: no I/O, no clock and no state of its own.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from .answer import Answer, Failure

# Our own bound: the service may ask for any wait.
MOST_RETRY_AFTER_SECONDS = 300.0
# A shorter Retry-After ("0", or a date in the past) is ignored: a service that always sends one would be called
# without a pause.
LEAST_RETRY_AFTER_SECONDS = 1.0
TIME_RANGE = "RecordsTimeRangeIsMoreThan30Minutes"

# The upper bound of the first wait; it doubles with each retry.
_FIRST_RETRY_SECONDS = 0.5
# Larger exponents would overflow a float.
_MAX_EXPONENT = 16

# Why a request is retried: the service is away, its quota is used up, or the configuration must be corrected.
RetryReason = Literal["outage", "throttled", "configuration"]


class Action(Enum):
    """Say what happens to the rows of a request."""

    DONE = "done"
    RETRY = "retry"
    RENEW = "renew"
    SPLIT = "split"
    SPLIT_BY_TIME = "split_by_time"
    SPLIT_BY_SIZE = "split_by_size"
    SHRINK = "shrink"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Decision:
    """Say what to do with the rows of a request."""

    action: Action
    # Set if the action is RETRY.
    reason: RetryReason | None = None


@dataclass(frozen=True, slots=True)
class Delay:
    """Say how long to wait before the next try."""

    seconds: float
    # Whether the service asked for this wait, so that a flush must not cut it short.
    from_server: bool = False


_CONFIGURATION = Decision(Action.RETRY, "configuration")


def judge(answer: Answer, *, rows: int, has_renewed: bool = False, is_shrunk: bool = False) -> Decision:
    """Decide what an answer to a request with this many rows means; see the table above.

    `has_renewed` says that the token is new, `is_shrunk` that the row has been shrunk already.
    """
    status = answer.status or 0
    if answer.failure is Failure.TOO_LARGE or status == 413:
        return _judge_size(rows, is_shrunk=is_shrunk)
    if answer.failure is Failure.CONNECTION or status == 408 or status >= 500:
        return Decision(Action.RETRY, "outage")
    if status == 429:
        return Decision(Action.RETRY, "throttled")
    if status == 204:
        return Decision(Action.DONE)
    if status == 401 and not has_renewed:
        return Decision(Action.RENEW)
    if status == 400 and answer.code != "InvalidStream":
        if answer.code == TIME_RANGE and rows > 1:
            return Decision(Action.SPLIT_BY_TIME)
        return Decision(Action.SPLIT if rows > 1 else Action.REJECT)
    return _CONFIGURATION


def _judge_size(rows: int, *, is_shrunk: bool) -> Decision:
    if rows > 1:
        return Decision(Action.SPLIT_BY_SIZE)
    return Decision(Action.REJECT if is_shrunk else Action.SHRINK)


def retry_delay(
    reason: RetryReason, answer: Answer, *, failures: int, longest: float, now: float, random: Callable[[], float]
) -> Delay:
    """Return how long to wait: as long as the service asks for, or else exponentially longer with full jitter.

    `failures` counts this one. `now` is wall time, which a Retry-After date is compared with.
    """
    asked = retry_after_seconds(answer.retry_after, now) or 0.0
    if asked >= LEAST_RETRY_AFTER_SECONDS:
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
    return min(max(seconds, 0.0), MOST_RETRY_AFTER_SECONDS)
