"""Rows on their way: a batch, what has been tried with it, and how it is divided. Pure.

A division is lossless: the parts hold the rows of the batch, each once, and those of a part in the order they had.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import orjson

from .._config.service_limits import MAX_TIME_RANGE_SECONDS

if TYPE_CHECKING:
    from .._spool.segment import Segment

# One second less than the service accepts, for its own arithmetic.
_TIME_RANGE_SECONDS = MAX_TIME_RANGE_SECONDS - 1
# What isolating rows at fault may cost in requests.
SPLITS_PER_BATCH = 256


@dataclass(eq=False, slots=True)
class Batch:
    """Hold rows on their way, and what has been tried with them."""

    # Lines of JSON, each with its end.
    data: bytes | bytearray
    rows: int
    # How many rows had been accepted when it was begun: a flush waits until no batch is left that begins before its
    # mark. Those of dead processes have numbers below 0.
    number: int
    # While it is open: how many bytes it takes without asking, when it was begun, how many more bytes it would take,
    # and how many of its rows have been counted.
    room: int = 0
    since: float = 0.0
    space: int = 0
    counted: int = 0
    # Whether somebody was woken for it, and whether it may have room.
    is_known: bool = False
    gives_room: bool = False
    # Rows of the library's own that tell of losses: losing them breeds no further ones.
    is_notice: bool = False
    tries: int = 0
    first_try: float | None = None
    not_before: float = 0.0
    # One list for all parts of a batch.
    split_budget: list[int] = field(default_factory=lambda: [SPLITS_PER_BATCH])
    is_shrunk: bool = False
    # Where its rows are on disk: from there so many bytes, which are in `data` only while it is taken. The rows of a
    # dead process are counted then.
    segment: Segment | None = None
    start: int = 0
    size: int = 0
    # How many of its lines are no rows, and are counted as lost.
    torn: int = 0
    # Whether it was divided, so that its rows are no longer those between `start` and `size`.
    is_part: bool = False

    @property
    def has_rows(self) -> bool:
        """Tell whether there may be rows in it; those in a dead process's segment are counted when it is read."""
        return bool(self.rows) or self.segment is not None


def halves(batch: Batch) -> list[Batch]:
    """Divide a batch of several rows in two."""
    lines = _lines(batch)
    middle = len(lines) // 2
    return [_part(batch, lines[:middle], batch.number), _part(batch, lines[middle:], batch.number + middle)]


def by_time(batch: Batch) -> list[Batch]:
    """Group rows that are less than 30 minutes apart; empty if that does not divide them."""
    lines = _lines(batch)
    moments = [_moment(line) for line in lines]
    groups: list[list[int]] = []
    start = float("-inf")
    for index in sorted(range(len(lines)), key=moments.__getitem__):
        if moments[index] - start > _TIME_RANGE_SECONDS:
            start = moments[index]
            groups.append([])
        groups[-1].append(index)
    if len(groups) < 2:
        return []
    return [_part(batch, [lines[index] for index in sorted(group)], batch.number) for group in groups]


def _lines(batch: Batch) -> list[bytes]:
    return bytes(batch.data).splitlines(keepends=True)


def _moment(line: bytes) -> float:
    try:
        return dt.datetime.fromisoformat(orjson.loads(line)["TimeGenerated"]).timestamp()
    # Something else in that column, or what a user's own JSON fragment has made of the row: that is no help.
    except (TypeError, KeyError, ValueError, OverflowError):
        return 0.0


def _part(batch: Batch, lines: list[bytes], number: int) -> Batch:
    return replace(batch, data=b"".join(lines), rows=len(lines), number=number, tries=0)
