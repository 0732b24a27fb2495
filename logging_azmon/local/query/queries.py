"""Answer queries in the shape of the Log Analytics query API.

Any thread may call in. A query runs on a cursor of its own, for `MAX_SECONDS` at most, and at most `MAX_RUNNING` run at
once: a page left open must not starve the writer.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from ..http.message import Request, Response, answer, failure
from ..kql.errors import QueryError
from ..kql.names import outside
from ..kql.quoting import sql_name
from ..kql.rewriter import translate
from ..kql.translation import Columns, Schema, Translation, kusto_type
from ..storage.database import explain, run
from ..storage.store import Store
from .timespan import Timespan, parse_timespan
from .values import json_writer, python_reader

MAX_SECONDS = 30.0
MAX_ROWS = 500_000
MAX_BYTES = 100 * 1024 * 1024
MAX_RUNNING = 4
MAX_BATCH = 100
_ROWS_AT_ONCE = 10_000
# What a number, a time or a null counts for.
_OTHER_BYTES = 16


class Queries:
    """Answer queries over a store's tables."""

    def __init__(
        self,
        store: Store,
        workspace_id: str,
        *,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
        max_seconds: float = MAX_SECONDS,
        max_rows: int = MAX_ROWS,
        max_running: int = MAX_RUNNING,
    ) -> None:
        self._store = store
        self._workspace_id = workspace_id
        self._now = now
        self._max_seconds = max_seconds
        self._max_rows = max_rows
        self._running = threading.Semaphore(max_running)
        self._limits = {
            "InterruptException": ("Timeout", f"The query was stopped after {max_seconds:g} s, the limit here."),
            "OutOfMemoryException": ("LimitExceeded", "The query needs more memory than the limit here."),
        }

    def post(self, request: Request, workspace: str) -> Response:
        """Answer ``POST …/query``."""
        try:
            value = orjson.loads(request.body)
        except orjson.JSONDecodeError as error:
            return _bad(f"The request body is malformed JSON: {error}.")
        return self.query(value, workspace)

    def batch(self, request: Request) -> Response:
        """Answer ``POST …/$batch``: one answer for each request, under its id."""
        try:
            value = orjson.loads(request.body)
            listed = value["requests"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return _bad('The request body must be {"requests": […]}.')
        if not isinstance(listed, list) or len(listed) > MAX_BATCH:
            return _bad(f"A batch holds at most {MAX_BATCH} requests.")
        responses = []
        size = 0
        for each in listed:
            inner = each if isinstance(each, Mapping) else {}
            if size > MAX_BYTES:
                message = f"The answers of the batch exceed {MAX_BYTES // 1024 // 1024} MB: ask for fewer rows."
                response = failure(413, "ResponsePayloadTooLarge", message)
            else:
                response = self.query(inner.get("body"), str(inner.get("workspace")))
            size += len(response.body)
            responses.append(
                {
                    "id": inner.get("id"),
                    "status": response.status,
                    "headers": {"Content-Type": response.content_type},
                    "body": orjson.Fragment(response.body),
                }
            )
        return answer({"responses": responses})

    def query(self, value: object, workspace: str) -> Response:
        """Answer one query."""
        if workspace != self._workspace_id:
            return failure(
                404,
                "PathNotFoundError",
                f"There is no workspace '{workspace[:100]}' here, only '{self._workspace_id}'.",
            )
        query = value.get("query") if isinstance(value, Mapping) else None
        if not isinstance(value, Mapping) or not isinstance(query, str):
            return _bad("The request body must be a JSON object whose `query` is a string.")
        others = value.get("workspaces")
        if others and others != [self._workspace_id]:
            return _bad(f"Only the workspace '{self._workspace_id}' can be queried here: leave out `workspaces`.")
        try:
            timespan = parse_timespan(value.get("timespan"), self._now())
        except ValueError as error:
            return _bad(str(error))
        if not self._running.acquire(timeout=self._max_seconds):
            return failure(429, "TooManyRequests", "Too many queries are running.", {"Retry-After": "1"})
        try:
            return self._answer(query, timespan)
        except QueryError as error:
            return _wrong(error)
        finally:
            self._running.release()

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Return a query's rows as dicts of Python values; dynamic values are decoded."""
        columns, rows, truncated = self._run(query, Timespan(None, None))
        if truncated:
            raise QueryError(f"The result has more than {self._max_rows:,} rows: ask for fewer.", code="LimitExceeded")
        readers = [python_reader(kind) for _, kind in columns]
        try:
            return [
                {name: reader(cell) for (name, _), reader, cell in zip(columns, readers, row, strict=True)}
                for row in rows
            ]
        except orjson.JSONDecodeError as error:
            message = f"A dynamic value cannot be decoded ({error}): it is nested too deeply. Select a part of it."
            raise QueryError(message, code="LimitExceeded") from error

    def _answer(self, query: str, timespan: Timespan) -> Response:
        columns, rows, truncated = self._run(query, timespan)
        writers = [json_writer(kind) for _, kind in columns]
        table = {
            "name": "PrimaryResult",
            "columns": [{"name": name, "type": kind} for name, kind in columns],
            "rows": [[writer(cell) for writer, cell in zip(writers, row, strict=True)] for row in rows],
        }
        content: dict[str, Any] = {"tables": [table]}
        if truncated:
            content["error"] = {
                "code": "PartialError",
                "message": "There were some errors when processing your query.",
                "details": [
                    {
                        "code": "EngineError",
                        "message": f"The result was truncated: at most {self._max_rows:,} rows and"
                        f" {MAX_BYTES // 1024 // 1024} MB are returned.",
                    }
                ],
            }
        return answer(content)

    def _run(self, query: str, timespan: Timespan) -> tuple[list[tuple[str, str]], list[tuple[Any, ...]], bool]:
        import duckdb

        schema = self._store.schema()
        limited = _limited_tables(schema, timespan)
        prefix = f"WITH {', '.join(limited)} " if limited else ""
        given = timespan.parameters() if limited else {}

        def answer(translation: Translation) -> tuple[list[tuple[str, str]], list[tuple[Any, ...]], bool]:
            sql = f"{prefix}SELECT * FROM ({translation.sql}) LIMIT {self._max_rows + 1}"
            try:
                with self._store.cursor(max(deadline - time.monotonic(), 0.1)) as cursor:
                    run(cursor, sql, {**translation.parameters, **given})
                    columns = [(outside(name), kusto_type(kind)) for name, kind, *_ in cursor.description]
                    return columns, *self._fetch(cursor)
            except (duckdb.Error, OverflowError, ValueError) as error:
                code, message = self._limits.get(type(error).__name__, ("SemanticError", outside(explain(error))))
                raise QueryError(message, code=code) from error

        deadline = time.monotonic() + self._max_seconds
        return answer(
            translate(
                query,
                schema,
                self._store.describe,
                now=self._now(),
                fetch=lambda part: answer(part)[1],
                seconds=self._max_seconds,
            )
        )

    def _fetch(self, cursor: Any) -> tuple[list[tuple[Any, ...]], bool]:
        rows: list[tuple[Any, ...]] = []
        size = 0
        while chunk := cursor.fetchmany(_ROWS_AT_ONCE):
            rows.extend(chunk)
            size += sum(len(cell) if isinstance(cell, str) else _OTHER_BYTES for row in chunk for cell in row)
            if len(rows) > self._max_rows or size > MAX_BYTES:
                return rows[: self._max_rows], True
        return rows, False


def _limited_tables(schema: Schema, timespan: Timespan) -> list[str]:
    """Return a common table expression for each table with a time column: its rows in the timespan, under its name."""
    if timespan.start is None and timespan.end is None:
        return []
    return [
        f"{sql_name(table)} AS (SELECT * FROM main.{sql_name(table)} WHERE {timespan.condition()})"
        for table, columns in schema.items()
        if _has_time(columns)
    ]


def _has_time(columns: Columns) -> bool:
    return columns.get("TimeGenerated") == "datetime"


def _bad(message: str) -> Response:
    return failure(400, "BadArgumentError", message)


def _wrong(error: QueryError) -> Response:
    inner: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.line is not None:
        inner |= {"line": error.line, "pos": error.pos}
    outer = {"code": "BadArgumentError", "message": f"The query could not be answered: {error}", "innererror": inner}
    return Response(400, orjson.dumps({"error": outer}), {"x-ms-error-code": "BadArgumentError"})
