"""Stream the rows of a table to the page, and to the command ``tail``, as Server-Sent Events.

Each stream is a generator that runs in the thread of its connection. It waits for the store to change, reads the new
rows by DuckDB's row ids (tables only grow, so ids only grow), and pauses briefly, so that rows arrive in bundles. It
ends with the connection or the store. At most `MAX_OPEN` are open at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import orjson

from ..http.message import Response, failure
from ..kql.quoting import sql_name
from ..query.values import page_row
from ..storage.store import Store

FIRST_ROWS = 1_000
# The most rows that a browser can process at once; of a larger burst it gets the newest.
MAX_ROWS = 10_000
BUNDLE_SECONDS = 0.1
KEEP_ALIVE_SECONDS = 15.0
# On each keep-alive, a program also checks whether its own reader is gone.
PROGRAM_KEEP_ALIVE_SECONDS = 1.0
LOOK_SECONDS = 1.0
MAX_OPEN = 16


class EventStreams:
    """Open event streams of the tables of a store."""

    def __init__(self, store: Store, *, keep_alive_seconds: float = KEEP_ALIVE_SECONDS) -> None:
        self._store = store
        self._keep_alive_seconds = keep_alive_seconds
        self._open = threading.BoundedSemaphore(MAX_OPEN)
        # Never set, so that waiting for it is a pause.
        self._never = threading.Event()

    def open(self, table: str, *, every: bool = False) -> Response:
        """Answer with a table's newest rows and then, as long as the client listens, with each new row.

        Of a large burst only the newest are sent, unless the client asks for `every` row, as the command ``tail`` does.
        """
        columns = self._store.schema().get(table)
        if columns is None:
            return failure(404, "NotFound", f"There is no table {table[:100]!r}.")
        # A page that was reloaded leaves a stream whose client is gone: it ends at the next look.
        if not self._open.acquire(timeout=2 * LOOK_SECONDS):
            return failure(503, "ServiceUnavailable", f"{MAX_OPEN} tails are open, the most at once: close one first.")
        return Response(
            200, content_type="text/event-stream; charset=utf-8", stream=self._events(table, dict(columns), every=every)
        )

    def _events(self, table: str, columns: dict[str, str], *, every: bool) -> Iterator[bytes]:
        try:
            version, last = -1, -1
            keep_alive = min(self._keep_alive_seconds, PROGRAM_KEEP_ALIVE_SECONDS if every else KEEP_ALIVE_SECONDS)
            limit = FIRST_ROWS
            oldest_first = False
            last_sent = time.monotonic()
            yield b": listening\n\n"
            while not self._store.ending:
                seen, version = version, self._store.wait_for_change(version, min(keep_alive, LOOK_SECONDS))
                if version == seen:
                    silent = time.monotonic() - last_sent < keep_alive
                    yield b"" if silent else b": still listening\n\n"
                    last_sent = last_sent if silent else time.monotonic()
                    continue
                rows, last = self._after(table, columns, last, limit, oldest_first=oldest_first)
                if oldest_first and len(rows) == limit:
                    version = -1  # there may be more rows: do not wait for a change
                limit, oldest_first = MAX_ROWS, every
                if rows:
                    yield b"data: " + orjson.dumps(rows) + b"\n\n"
                    last_sent = time.monotonic()
                    self._never.wait(BUNDLE_SECONDS)
        finally:
            self._open.release()

    def _after(
        self, table: str, columns: dict[str, str], last: int, limit: int, *, oldest_first: bool
    ) -> tuple[list[dict[str, object]], int]:
        names = ", ".join(sql_name(name) for name in columns)
        order = "ASC" if oldest_first else "DESC"
        # A column of this name hides the row ids; counting the rows takes longer.
        place = "row_number() OVER () - 1" if "rowid" in map(str.casefold, columns) else "rowid"
        newer = f'SELECT * FROM (SELECT {place} AS "$at", {names} FROM main.{sql_name(table)}) WHERE "$at" > ?'
        with self._store.cursor() as cursor:
            found = cursor.execute(f'{newer} ORDER BY "$at" {order} LIMIT {limit}', [last]).fetchall()
        found.sort(key=lambda row: row[0])
        return [page_row(columns, row[1:]) for row in found], found[-1][0] if found else last
