"""The counters of a pipeline, as one consistent snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Account for every row of a pipeline.

    ``accepted + adopted == delivered + queued + in_flight + spooled + rejected + sum(dropped.values()) + handed_over``
    holds in every snapshot. A forked child counts from zero.
    """

    accepted: int
    """Rows that log calls have offered."""
    delivered: int
    """Rows that the service has acknowledged."""
    queued: int
    """Rows that wait in memory."""
    in_flight: int
    """Rows that are being sent."""
    rejected: int
    """Rows that the service has refused for good."""
    dropped: Mapping[str, int]
    """Rows that were lost, by reason."""
    adopted: int = 0
    """Rows taken over from a spool that a dead process has left."""
    spooled: int = 0
    """Rows that wait on disk."""
    handed_over: int = 0
    """Adopted rows that were left in the spool for the next process."""
    misfits: int = 0
    """Values that did not fit their column."""
    redacted: int = 0
    """Secrets and the like that were replaced in values."""
    requests: int = 0
    """Requests that were sent."""
    retries: int = 0
    """Requests that sent rows again."""
    sent_bytes: int = 0
    """Bytes of JSON that were sent, before compression."""
