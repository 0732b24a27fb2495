"""Tell the page about new rows as they are stored, as Server-Sent Events.

Each open tail is a generator that runs in its connection's thread: it waits for the store to change, reads what is new
by DuckDB's row ids (tables only grow, so ids only grow), and waits a moment, so that rows come in bundles. It ends
with the connection or the store; at most `MAX_OPEN` are open.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import orjson

from ..http.message import Response, failure
from ..kql.quoting import quoted
from ..query.queries import page_row
from ..storage.store import Store

FIRST_ROWS = 1_000
# What a browser can take in at once; of a flood it is shown the newest.
MAX_ROWS = 10_000
BUNDLE_SECONDS = 0.1
KEEP_ALIVE_SECONDS = 15.0
# A program learns from that, too, whether anybody still wants what it reads.
PROGRAM_KEEP_ALIVE_SECONDS = 1.0
MAX_OPEN = 16


class Tail:
    """Open tails of a store's tables."""

    def __init__(self, store: Store, *, keep_alive_seconds: float = KEEP_ALIVE_SECONDS) -> None:
        self._store = store
        self._keep_alive_seconds = keep_alive_seconds
        self._open = threading.BoundedSemaphore(MAX_OPEN)
        self._never = threading.Event()

    def open(self, table: str, *, every: bool = False) -> Response:
        """Answer with a table's newest rows and, as long as the client listens, with those that come.

        Of a flood these are the newest, unless the client wants `every` row, as the command ``tail`` does.
        """
        columns = self._store.schema().get(table)
        if columns is None:
            return failure(404, "NotFound", f"There is no table {table[:100]!r}.")
        if not self._open.acquire(blocking=False):
            return failure(503, "ServiceUnavailable", f"At most {MAX_OPEN} tails are open at once.")
        return Response(
            200, content_type="text/event-stream; charset=utf-8", stream=self._events(table, dict(columns), every=every)
        )

    def _events(self, table: str, columns: dict[str, str], *, every: bool) -> Iterator[bytes]:
        try:
            version, last = -1, -1
            keep_alive = min(self._keep_alive_seconds, PROGRAM_KEEP_ALIVE_SECONDS if every else KEEP_ALIVE_SECONDS)
            limit = FIRST_ROWS
            is_oldest_first = False
            spoke = time.monotonic()
            yield b": listening\n\n"
            while not self._store.ending:
                version = self._store.wait_for_change(version, keep_alive)
                rows, last = self._after(table, columns, last, limit, is_oldest_first=is_oldest_first)
                if is_oldest_first and len(rows) == limit:
                    version = -1  # there may be more: look again at once
                limit, is_oldest_first = MAX_ROWS, every
                if rows:
                    yield b"data: " + orjson.dumps(rows) + b"\n\n"
                    spoke = time.monotonic()
                    self._never.wait(BUNDLE_SECONDS)
                elif time.monotonic() - spoke >= keep_alive:
                    yield b": still listening\n\n"
                    spoke = time.monotonic()
        finally:
            self._open.release()

    def _after(
        self, table: str, columns: dict[str, str], last: int, limit: int, *, is_oldest_first: bool
    ) -> tuple[list[dict[str, object]], int]:
        names = ", ".join(quoted(name) for name in columns)
        order = "ASC" if is_oldest_first else "DESC"
        newer = f"SELECT rowid, {names} FROM main.{quoted(table)} WHERE rowid > ?"
        with self._store.cursor() as cursor:
            found = cursor.execute(f"{newer} ORDER BY rowid {order} LIMIT {limit}", [last]).fetchall()
        found.sort(key=lambda row: row[0])
        return [page_row(columns, row[1:]) for row in found], found[-1][0] if found else last
