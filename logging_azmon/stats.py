"""What a pipeline has counted, as one consistent snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Show where every row of a pipeline is.

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
    # The cost of delivery.
    requests: int = 0
    retries: int = 0
    sent_bytes: int = 0
