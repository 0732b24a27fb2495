"""The health of a pipeline, as a probe asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Health", "Place"]

# mypy checks the code against these values, and a test checks docs/operations.md.
Status = Literal["off", "closed", "losing", "waiting", "ok"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Describe one place that rows are sent to: a stream of a rule at an endpoint."""

    endpoint: str
    rule_id: str
    stream: str
    status: Literal["ok", "failing"]
    """"failing" if the last request failed, or that of another pipeline to the same endpoint and rule."""
    reason: str = ""
    """What failed, and what to do about it; empty unless `status` is "failing"."""
    retry_seconds: float | None = None
    """Seconds until the next try; None if none is planned, or one is being made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Say whether a pipeline delivers.

    `status` is the first of these that holds:

    - "off": the pipeline is switched off.
    - "closed": it takes no more rows.
    - "losing": rows were dropped or rejected in the last five minutes.
    - "waiting": rows wait longer than they should, because requests fail or take too long. Nothing is lost.
    - "ok": rows are delivered in time, or there are none.
    """

    status: Status
    reason: str
    """One sentence for a person."""
    oldest_row_seconds: float | None = None
    """Age of the oldest row that is not settled; None if there is none."""
    last_delivery_seconds: float | None = None
    """Seconds since the service last took rows from this process; None if it has taken none."""
    places: tuple[Place, ...] = ()
    """The places that rows are sent to."""
