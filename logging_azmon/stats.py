"""The counters of a pipeline, as one consistent snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Account for every row of a pipeline.

    ``accepted + adopted == delivered + queued + in_flight + spooled + rejected + sum(dropped.values()) + handed_over``
    holds in every snapshot.
    """

    accepted: int
    delivered: int
    queued: int
    in_flight: int
    rejected: int
    dropped: Mapping[str, int]
    adopted: int = 0
    spooled: int = 0
    handed_over: int = 0
    # Values that did not fit their column.
    misfits: int = 0
    # Requests, how many of them were retries, and the bytes of rows in them.
    requests: int = 0
    retries: int = 0
    sent_bytes: int = 0
