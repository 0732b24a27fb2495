"""Answer the requests of the page, except queries: the tables, the problems, and the rows as they are stored."""

from __future__ import annotations

from ..http.message import Request, Response, answer
from ..storage.store import Store
from .event_stream import EventStreams


class PageApi:
    """Answer from a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._streams = EventStreams(store)

    def tables(self, _: Request) -> Response:
        """Answer ``GET /api/tables``."""
        return answer(
            [
                {
                    "name": name,
                    "rows": self._store.count(name),
                    "columns": [{"name": column, "type": kind} for column, kind in columns.items()],
                }
                for name, columns in self._store.schema().items()
            ]
        )

    def problems(self, _: Request) -> Response:
        """Answer ``GET /api/problems``, the newest first."""
        return answer(
            [
                {
                    "time": problem.time.isoformat().replace("+00:00", "Z"),
                    "stream": problem.stream,
                    "column": problem.column,
                    "kind": problem.kind,
                    "count": problem.count,
                    "message": problem.message,
                    "advice": problem.advice,
                }
                for problem in self._store.problems.newest()
            ]
        )

    def tail(self, request: Request) -> Response:
        """Answer ``GET /api/tail?table=…``."""
        return self._streams.open(request.query.get("table", ""), every=request.query.get("every") == "1")
