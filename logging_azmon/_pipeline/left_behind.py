"""Report the rows that a closed pipeline leaves behind."""

from __future__ import annotations

from collections.abc import Iterator

from ..stats import Stats
from ..trouble import Trouble, count


def left_behind(stats: Stats, lost: int, *, close_seconds: float, spool: str | None) -> Iterator[Trouble]:
    """Report the rows that a closed pipeline leaves behind: on disk, lost, and in flight."""
    kept = stats.spooled + stats.handed_over
    if kept:
        text = f"{count(kept)} not delivered within close_seconds={close_seconds:g} stay in the spool"
        yield Trouble(kind="spool", text=f"{text} {spool} for the next process", reason="closed", rows=kept)
    if lost:
        text = f"{count(lost)} lost: not delivered within close_seconds={close_seconds:g}"
        yield Trouble(kind="lost", text=text, reason="closed", rows=lost)
    if stats.in_flight:
        outcome = "they may be sent again by the next process" if spool else "whether they arrived is not known"
        text = f"{count(stats.in_flight)} still on the way when the pipeline was closed: {outcome}"
        yield Trouble(kind="lost", text=text, reason="in_flight", rows=stats.in_flight)
