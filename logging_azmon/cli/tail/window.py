"""Decide which page of a table to query next, and which of its rows are new, so that each row is shown once.

Rules:
- The service records when each row was ingested, but rows become visible later, and not in that order. Each pass
  therefore reads again, page by page, the rows that were ingested shortly before the newest one.
- Rows have no identity, so equal rows are counted. If there are more of them than in the last pass, the surplus is new:
  no row is shown twice, and two equal rows are both shown.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from typing import Any

import orjson

from ...local.kql.quoting import kql_name
from .._shared.cells import iso_time

INGESTED = "_Ingested"
PAGE_ROWS = 10_000
# A row that becomes visible later than this after its ingestion is missed.
OVERLAP = dt.timedelta(minutes=5)
_MAX_ROWS = 400_000

Row = dict[str, Any]


class Window:
    """Follow a table from a moment of the service's clock. Pure: it returns queries and takes their rows."""

    def __init__(
        self,
        table: str,
        condition: str,
        start: dt.datetime,
        *,
        page_rows: int = PAGE_ROWS,
        overlap: dt.timedelta = OVERLAP,
    ) -> None:
        self._source = f"{kql_name(table)} | extend {INGESTED} = ingestion_time()"
        self._condition = condition
        self._overlap = overlap
        self._usual_rows = self._page_rows = page_rows
        # Ingestion time from which the current pass reads.
        self._since = start - overlap
        # Ingestion time from which the next page reads.
        self._at = self._since
        # Ingestion time of the newest row so far.
        self._newest = start
        # How many equal rows were seen, by ingestion time and content: in earlier passes, and in this one.
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
            # One moment has more rows than a page holds. They cannot be told apart, so one page must hold them all.
            self._page_rows = min(2 * self._page_rows, _MAX_ROWS)
        # The next page repeats all rows of the last moment, including those already counted.
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
