"""Decide what an answer means for the rows that were sent.

204                                             done
connection failed or timed out, 408, 429, 5xx   retry; every pipeline that sends to the same place pauses
401                                             retry immediately with a new token; a second 401 counts as a 403
403, 404, 400 InvalidStream                     retry slowly; the configuration must be corrected
413, or known to be too large                   split by size; a single row is shrunk, then rejected
400 RecordsTimeRangeIsMoreThan30Minutes         split by time
400 with any other code of the service          split; a single row is rejected
no token, TLS, 400 without a code (a proxy's),
407, 415, 3xx, 200, all others                  retry slowly; nothing was delivered, and an operator must act

Pure: no I/O, no clock and no state of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from .answer import Answer, Failure

TIME_RANGE = "RecordsTimeRangeIsMoreThan30Minutes"

# Why a request is retried: the service is unavailable, its quota is exceeded, or the configuration is wrong.
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


_CONFIGURATION = Decision(Action.RETRY, "configuration")


def judge(answer: Answer, *, rows: int, has_renewed: bool = False, is_shrunk: bool = False) -> Decision:
    """Decide what an answer to a request with this many rows means; see the table above.

    `has_renewed` says that the token was renewed after a 401, `is_shrunk` that the row has been shrunk already.
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
    # The service's own errors have a code. Without one, it may be a proxy's page, which says nothing about the rows.
    if status == 400 and answer.code not in {"", "InvalidStream"}:
        if answer.code == TIME_RANGE and rows > 1:
            return Decision(Action.SPLIT_BY_TIME)
        return Decision(Action.SPLIT if rows > 1 else Action.REJECT)
    return _CONFIGURATION


def _judge_size(rows: int, *, is_shrunk: bool) -> Decision:
    if rows > 1:
        return Decision(Action.SPLIT_BY_SIZE)
    return Decision(Action.REJECT if is_shrunk else Action.SHRINK)
