"""What an answer means, and what to do. Pure: no I/O, no clock of its own, no state.

204                                            done
connection, time-out, 408, 429, 5xx            retry; the service is away or busy, everybody waits
401                                            once with a new token, then as 403
403, 404, 400 InvalidStream                    retry slowly; somebody must configure something
413, or too large to be sent at all            split by size; a single row is shrunk, then rejected
400 RecordsTimeRangeIsMoreThan30Minutes        split by time
other 400                                      split; a single row is rejected
no token, TLS, 407, 415, 3xx, 200, the rest    retry slowly; nothing was delivered, somebody must look
"""

from __future__ import annotations

import datetime as dt
import email.utils
import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Literal

# Our own bound: the service may ask for any wait.
MOST_RETRY_AFTER_SECONDS = 300.0
# What asks for less ("Retry-After: 0", a date in the past) asks for nothing: a service that always says so would be
# called without a pause.
LEAST_RETRY_AFTER_SECONDS = 1.0
# The first wait is at most this long, the next twice as long, and so on.
_FIRST_RETRY_SECONDS = 0.5
TIME_RANGE = "RecordsTimeRangeIsMoreThan30Minutes"

_EXPONENT_LIMIT = 16


class Failure(Enum):
    """Why there was no answer that could be read."""

    CONNECTION = "connection"
    CREDENTIAL = "credential"
    TLS = "tls"
    # Not sent: it is known that the service would refuse it.
    TOO_LARGE = "too_large"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Hold what came back for one request."""

    status: int | None = None
    code: str = ""
    message: str = ""
    retry_after: str | None = None
    failure: Failure | None = None


# Why a request is tried again: the service is away, or busy, or somebody must configure something.
Retry = Literal["outage", "throttled", "configuration"]


class Action(Enum):
    """What happens to the rows of a request."""

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
    """Say what to do, and for a retry of what kind the trouble is."""

    action: Action
    trouble: Retry | None = None


@dataclass(frozen=True, slots=True)
class Delay:
    """Say how long to wait, and whether the service said so, or else it may be cut short."""

    seconds: float
    is_ordered: bool = False


_CONFIGURATION = Decision(Action.RETRY, "configuration")


def judge(answer: Answer, *, rows: int, has_renewed: bool = False, is_shrunk: bool = False) -> Decision:
    """Decide what an answer means for so many rows."""
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
    trouble: Retry, answer: Answer, *, failures: int, longest: float, now: float, random: Callable[[], float]
) -> Delay:
    """Say how long to wait: what the service asks for, or else exponentially longer with full jitter.

    `failures` counts this one; `now` is wall time, which a Retry-After date is held against.
    """
    asked = retry_after_seconds(answer.retry_after, now) or 0.0
    if asked >= LEAST_RETRY_AFTER_SECONDS:
        return Delay(asked, is_ordered=trouble != "configuration")
    if trouble == "configuration":
        return Delay(longest * (0.5 + random() / 2))
    return Delay(backoff(failures, longest) * random())


def backoff(tries: int, longest: float) -> float:
    """Double the longest wait with each try."""
    return min(longest, _FIRST_RETRY_SECONDS * 2.0 ** min(tries - 1, _EXPONENT_LIMIT))


def retry_after_seconds(header: str | None, now: float) -> float | None:
    """Read Retry-After, in seconds or as a date; None if there is none that can be read."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            date = email.utils.parsedate_to_datetime(header)
            # HTTP dates are in UTC, also those that do not say so.
            seconds = (date if date.tzinfo is not None else date.replace(tzinfo=dt.UTC)).timestamp() - now
        except (TypeError, ValueError, LookupError, OverflowError):
            return None
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), MOST_RETRY_AFTER_SECONDS)


def explain(answer: Answer, *, endpoint: str, rule_id: str, stream: str) -> str:
    """Say what an answer means and what to do about it, in one line."""
    said = f"{answer.code}: {answer.message}".strip(": ")
    said = f" ({said})" if said else ""
    if answer.failure is Failure.CREDENTIAL:
        return f"no token could be had for {endpoint}{said}: check credential= and the identity it stands for"
    if answer.failure is Failure.TLS:
        return f"TLS to {endpoint} failed{said}: check the certificate, the proxy and the clock of this machine"
    if answer.failure is Failure.CONNECTION:
        return f"{endpoint} cannot be reached{said}"
    if answer.failure is Failure.TOO_LARGE:
        return f"too large to be sent to {endpoint}{said}"
    if answer.failure is Failure.UNREADABLE or answer.status is None:
        return (
            f"the answer of {endpoint} cannot be read{said}: check endpoint= and what is in between (proxy, firewall)"
        )
    hint = _HINTS.get(answer.code) or _HINTS.get(answer.status, "")
    if 200 <= answer.status < 400:
        hint = _HINTS[200] if answer.status < 300 else _HINTS[300]
    hint = hint.format(rule=rule_id, stream=stream)
    return f"{answer.status} from {endpoint} for {stream} of {rule_id}{said}{': ' if hint else ''}{hint}"


_HINTS: dict[int | str, str] = {
    200: "this is not the ingestion service (a captive portal, a proxy?); check endpoint=",
    300: "redirects are not followed, because they would carry rows and token elsewhere; check endpoint=",
    401: "the token is not accepted; check credential= and cloud=",
    403: "the identity lacks the role Monitoring Metrics Publisher on {rule}; once assigned, it can take 30 minutes",
    404: "rule_id={rule} is not known there; give the immutable id, and the endpoint of the same rule or its DCE",
    407: "a proxy asks for a login; put it into HTTPS_PROXY, or let the endpoint bypass it with NO_PROXY",
    415: "something on the way does not accept gzipped JSON",
    429: "the rule's quota is used up; rows wait and requests become fewer and larger",
    "InvalidStream": "{stream} is not declared in {rule}; after an edit of the rule it can take 5 minutes",
}
