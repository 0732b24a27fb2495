"""Reads what is new in a table by queries, each row once: which page to ask for next, and which of its rows are new.

Pure. The service says of each row when it was ingested, but rows can be seen only later, and not in that order. So each
pass reads again what was ingested shortly before the newest row, page by page. Of equal rows as many are new as there
are more of them than before: neither is one shown twice, nor one of two equal ones swallowed.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from typing import Any

import orjson

from .._shared.cells import iso_time

INGESTED = "_Ingested"
PAGE_ROWS = 10_000
# Rows are to be seen within this time of their ingestion.
OVERLAP = dt.timedelta(minutes=5)
_MOST_ROWS = 400_000

Row = dict[str, Any]


class Window:
    """Follow a table from a moment of the service's clock."""

    def __init__(
        self,
        table: str,
        condition: str,
        start: dt.datetime,
        *,
        page_rows: int = PAGE_ROWS,
        overlap: dt.timedelta = OVERLAP,
    ) -> None:
        self._source = f"['{table}'] | extend {INGESTED} = ingestion_time()"
        self._condition = condition
        self._overlap = overlap
        self._usual_rows = self._page_rows = page_rows
        # Where the pass at hand began, how far it is, and the newest row of all.
        self._since = start - overlap
        self._at = self._since
        self._newest = start
        # How many rows of each kind were there, in all and in this pass.
        self._known: Counter[tuple[dt.datetime, bytes]] = Counter()
        self._counted: Counter[tuple[dt.datetime, bytes]] = Counter()

    def kql(self) -> str:
        """Return the query for the next page."""
        since = f"where {INGESTED} >= datetime({iso_time(self._at)})"
        return f"{self._source} | {since}{self._condition} | top {self._page_rows} by {INGESTED} asc"

    def kql_before(self, rows: int) -> str:
        """Return the query for the last rows before the first pass."""
        until = f"where {INGESTED} < datetime({iso_time(self._since)}) and {INGESTED} > ago(1d)"
        return f"{self._source} | {until}{self._condition} | top {rows} by {INGESTED} desc"

    def take(self, rows: Sequence[tuple[dt.datetime, Row]]) -> tuple[list[Row], bool]:
        """Return which rows of a page are new, and whether the pass is over."""
        new = []
        for ingested, row in rows:
            key = (ingested, orjson.dumps(row))
            self._counted[key] += 1
            if self._counted[key] > self._known[key]:
                self._known[key] = self._counted[key]
                new.append(row)
        if len(rows) < self._page_rows:
            self._end_pass(rows[-1][0] if rows else None)
            return new, True
        last = rows[-1][0]
        if last == self._at:
            # More rows of one moment than a page holds: they are asked for together, since nothing else tells them.
            self._page_rows = min(2 * self._page_rows, _MOST_ROWS)
        # The next page begins with all rows of the last moment, also those that were counted.
        self._counted = Counter({key: count for key, count in self._counted.items() if key[0] < last})
        self._at = last
        return new, False

    def _end_pass(self, newest: dt.datetime | None) -> None:
        if newest is not None:
            self._newest = max(self._newest, newest)
        self._since = max(self._since, self._newest - self._overlap)
        self._known = Counter({key: count for key, count in self._known.items() if key[0] >= self._since})
        self._counted = Counter()
        self._page_rows = self._usual_rows
        self._at = self._since
