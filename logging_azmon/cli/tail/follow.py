"""Follow a table: in Azure by polling, in a local workspace by reading its stream of new rows."""

from __future__ import annotations

import datetime as dt
import http.client
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import orjson

from .._shared.cells import for_json
from .._shared.interrupts import Interrupts
from .._shared.workspace import Result, WorkspaceAddress, WorkspaceClient, WorkspaceQueryError
from .window import INGESTED, Row, Window

# The local workspace sends at least a comment line every second, so a longer silence means that it is gone.
_SILENT_SECONDS = 30.0
_LONGEST_PAUSE = 60.0


class PolledTable:
    """Query a table repeatedly, beginning with its last existing rows."""

    def __init__(
        self,
        workspace: WorkspaceClient,
        table: str,
        condition: str,
        *,
        last: int,
        seconds: float,
        warn: Callable[[str], None],
    ) -> None:
        self._workspace = workspace
        self._table = table
        self._condition = condition
        self._last = last
        self._seconds = seconds
        self._warn = warn

    def rows(self, stopped: threading.Event) -> Iterator[list[Row]]:
        """Yield new rows until the event is set; report a transient error as a warning, and retry."""
        start = self._workspace.query("print Now = now()").rows[0][0]
        window = Window(self._table, self._condition, start)
        first = [row for rows in self._pass(window) for row in rows]
        missing = self._last - len(first)
        if missing > 0:
            earlier = [row for _, row in _read(self._workspace.query(window.kql_before(missing)))]
            first = earlier[::-1] + first
        yield first[-self._last :] if self._last else []
        pause = self._seconds
        while not stopped.wait(pause):
            try:
                yield from self._pass(window)
                pause = self._seconds
            except WorkspaceQueryError as error:
                if not error.is_transient:
                    raise
                pause = min(2 * pause, _LONGEST_PAUSE)
                self._warn(f"{error}; next try in {pause:.0f} s")

    def _pass(self, window: Window) -> Iterator[list[Row]]:
        is_over = False
        while not is_over:
            new, is_over = window.take(_read(self._workspace.query(window.kql())))
            yield new


def _read(result: Result) -> list[tuple[dt.datetime, Row]]:
    if result.partial:
        raise WorkspaceQueryError(f"the answer is incomplete: {result.partial}", is_transient=True)
    at = list(result.names).index(INGESTED)
    return [
        (
            row[at],
            {
                name: for_json(value, kind)
                for index, (name, kind, value) in enumerate(zip(result.names, result.kinds, row, strict=True))
                if index != at
            },
        )
        for row in result.rows
    ]


class StreamedTable:
    """Read a local workspace's event stream: first its newest rows, then each new one."""

    def __init__(self, address: WorkspaceAddress, table: str) -> None:
        self._address = address
        self._path = f"/api/tail?table={quote(table)}&every=1"

    def rows(self, interrupts: Interrupts) -> Iterator[list[Row]]:
        """Yield rows until the command is interrupted."""
        parts = urlsplit(self._address.service)
        connection: Any
        if parts.scheme == "https":
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(
                parts.hostname or "", parts.port, timeout=_SILENT_SECONDS, context=context
            )
        else:
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_SILENT_SECONDS)
        try:
            with interrupts:
                connection.request("GET", self._path)
                response = connection.getresponse()
            if response.status != 200:
                raise WorkspaceQueryError(_error_message(response.read(), response.status))
            while True:
                with interrupts:
                    line = response.readline()
                if not line:
                    raise WorkspaceQueryError(f"{self._address.service} has ended the stream")
                if line.strip():
                    # A line without data only keeps the connection alive.
                    yield orjson.loads(line[6:]) if line.startswith(b"data: ") else []
        except (OSError, http.client.HTTPException) as error:
            raise WorkspaceQueryError(
                f"{self._address.service} cannot be reached ({error}): is `logging-azmon serve` running there?"
            ) from error
        finally:
            connection.close()


def _error_message(body: bytes, status: int) -> str:
    try:
        return str(orjson.loads(body)["error"]["message"])
    except (ValueError, LookupError, TypeError):
        return f"the local workspace answered with {status}"
