"""A batch of rows, the attempts to deliver it, and its division into parts. Pure.

Division is lossless: each row of the batch is in exactly one part, and a part keeps its rows in order. A batch that was
joined of several is divided between these, so that each row stays with the file that holds it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from .._config.service_limits import MAX_TIME_RANGE_SECONDS
from .ledger import Place

# One second less than the service accepts, as a margin for the service's own rounding.
_TIME_RANGE_SECONDS = MAX_TIME_RANGE_SECONDS - 1
# How many requests may be spent on isolating the poison rows of one batch.
SPLITS_PER_BATCH = 256


@dataclass(slots=True)
class Attempts:
    """Record the attempts to deliver a batch, and when the next is allowed."""

    tries: int = 0
    first_try: float | None = None
    not_before: float = 0.0
    # The requests left for isolating poison rows. One list, shared by all parts of a batch.
    split_budget: list[int] = field(default_factory=lambda: [SPLITS_PER_BATCH])
    is_shrunk: bool = False


@dataclass(eq=False, slots=True, repr=False)
class Batch:
    """Hold rows that are sent in one request."""

    # Lines of JSON, each with its newline. A batch on disk has them only while it is taken.
    data: bytes | bytearray
    rows: int
    # Sequence number of its first row. `flush` waits for all batches whose first row precedes its watermark. Adopted
    # rows have negative numbers, which order them before all others.
    first_row: int
    # The ledger's counter that holds its rows while it waits.
    place: Place = "queued"
    # When its first row came, on the monotonic clock; of adopted rows, when their file was begun.
    since: float = 0.0
    # Whether it may hold rows beyond `rows`, which its store counts when it loads the batch.
    is_uncounted: bool = False
    # Whether a dead process left its rows.
    is_adopted: bool = False
    # Whether it still takes rows.
    is_open: bool = False
    # Whether a listener was woken for it.
    is_announced: bool = False
    # Notices are the library's own rows that report losses; the loss of a notice causes no other notice.
    is_notice: bool = False
    # Whether its store has released it.
    is_released: bool = False
    attempts: Attempts = field(default_factory=Attempts)
    # The place of its rows on disk, a `Stored` of the spool; None in memory. No other module looks into it.
    stored: Any = None
    # The loaded batches that are sent together as this one; empty unless it was joined.
    members: tuple[Batch, ...] = ()

    @property
    def has_rows(self) -> bool:
        """Return whether it holds rows, or may hold rows that were not counted yet."""
        return bool(self.rows) or self.is_uncounted

    def __repr__(self) -> str:
        state = " open" if self.is_open else ""
        counts = f"rows={self.rows} bytes={len(self.data)} tries={self.attempts.tries}"
        return f"<Batch {self.place}{state} first_row={self.first_row} {counts}>"


def joined(members: Sequence[Batch], attempts: Attempts | None = None) -> Batch:
    """Return one batch of loaded ones, oldest first; its attempts are those of the first unless others are given."""
    first = members[0]
    if attempts is None:
        attempts = replace(first.attempts)
    if len(members) == 1:
        first.attempts = attempts
        return first
    data = b"".join(member.data for member in members)
    rows = sum(member.rows for member in members)
    return replace(first, data=data, rows=rows, attempts=attempts, stored=None, members=tuple(members))


def separated(batch: Batch) -> tuple[Batch, ...]:
    """Return the batches of which one was joined, each with its attempts; or the batch itself."""
    for member in batch.members:
        member.attempts = replace(batch.attempts)
    return batch.members or (batch,)


def unjoined(batch: Batch) -> list[Batch]:
    """Return the batches of which one was joined, each as if it had not been sent; no batch if it was not joined."""
    for member in batch.members:
        member.attempts = Attempts(first_try=batch.attempts.first_try)
    return list(batch.members)


def halves(batch: Batch) -> list[Batch]:
    """Divide a batch of several rows in two."""
    if members := batch.members:
        middle = len(members) // 2
        return [joined(part, replace(batch.attempts, tries=0)) for part in (members[:middle], members[middle:])]
    lines = _lines(batch)
    middle = len(lines) // 2
    return [_part(batch, lines[:middle], batch.first_row), _part(batch, lines[middle:], batch.first_row + middle)]


def by_time(batch: Batch) -> list[Batch]:
    """Divide a batch into groups of rows less than 30 minutes apart; return no group if all rows are."""
    if batch.members:
        return halves(batch)
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
    return [_part(batch, [lines[index] for index in sorted(group)], batch.first_row) for group in groups]


def shrunk(batch: Batch, line: bytes) -> Batch:
    """Return a batch of one row with the row replaced by this shorter line."""
    part = _part(batch, [line], batch.first_row)
    part.attempts.is_shrunk = True
    return part


def _lines(batch: Batch) -> list[bytes]:
    return bytes(batch.data).splitlines(keepends=True)


def _moment(line: bytes) -> float:
    try:
        return dt.datetime.fromisoformat(orjson.loads(line)["TimeGenerated"]).timestamp()
    # The column holds no timestamp, or a user's own JSON fragment has spoiled the row: its time is unknown.
    except (TypeError, KeyError, ValueError, OverflowError):
        return 0.0


def _part(batch: Batch, lines: list[bytes], first_row: int) -> Batch:
    attempts = replace(batch.attempts, tries=0)
    return replace(batch, data=b"".join(lines), rows=len(lines), first_row=first_row, attempts=attempts)
