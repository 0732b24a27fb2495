"""Collect the stages of a query: each is a SELECT over tables and earlier stages, with columns of known types.

A stage becomes a common table expression. Its columns are asked of the database over empty tables of the same types, so
that the question costs the same however long the query is.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from .errors import QueryError
from .quoting import sql_name
from .translation import LIST, MAX_SQL, TIMES, Columns, Describe, Schema, Translation, check_select

_NAME = re.compile(r"\b_stage\d+\b")
SQL_TYPES = {
    "string": "VARCHAR",
    "int": "INTEGER",
    "long": "BIGINT",
    "real": "DOUBLE",
    "bool": "BOOLEAN",
    "datetime": "TIMESTAMP",
    "timespan": "INTERVAL",
    "dynamic": "JSON",
    "guid": "UUID",
    "decimal": "DECIMAL(38, 17)",
}

Fetch = Callable[[Translation], list[tuple[Any, ...]]]
"""Return the rows of a SELECT."""
_AS_JSON = {
    LIST: "to_json({0})",
    TIMES: "to_json(list_transform({0}, lambda _time: strftime(_time, '%Y-%m-%dT%H:%M:%S.%f') || '0Z'))",
}


class Stages:
    """Hold the stages of one query."""

    def __init__(
        self, schema: Schema, describe: Describe, fetch: Fetch | None = None, seconds: float | None = None
    ) -> None:
        self.schema: dict[str, Columns] = dict(schema)
        self._describe = describe
        self._fetch = fetch
        self._sql: dict[str, str] = {}
        self._size = 0
        self._parameters: dict[str, Any] = {}
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._seconds = seconds

    def add(self, sql: str, columns: Columns | None = None, parameters: Mapping[str, Any] | None = None) -> str:
        """Add a stage and return its name; without `columns`, ask the database for them."""
        self.check(len(sql))
        self._parameters.update(parameters or {})
        name = f"_stage{len(self._sql)}"
        if columns is None:
            sql, columns = self._typed(sql)
        self._sql[name] = sql
        self.schema[name] = columns
        return name

    def _typed(self, sql: str) -> tuple[str, Columns]:
        """Return a SELECT whose dynamic columns are JSON, not lists, and its columns."""
        columns = self.describe(sql)
        lists = {name: _AS_JSON[kind].format(sql_name(name)) for name, kind in columns.items() if kind in _AS_JSON}
        if not lists:
            return sql, columns
        replaced = ", ".join(f"{value} AS {sql_name(name)}" for name, value in lists.items())
        found = {name: "dynamic" if name in lists else kind for name, kind in columns.items()}
        return f"SELECT * REPLACE ({replaced}) FROM ({sql})", found

    def check(self, size: int = 0) -> None:
        """Refuse a query that has used up its time or its size."""
        self._size += size
        if self._size > MAX_SQL:
            message = f"The query becomes more than {MAX_SQL:,} characters of SQL: make it shorter, or nest it less."
            raise QueryError(message, code="LimitExceeded")
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise QueryError(f"The query was stopped after {self._seconds:g} s, the limit here.", code="Timeout")

    def describe(self, sql: str) -> Columns:
        """Return the columns of a SELECT over tables and stages."""
        empty = []
        for name in sorted(set(_NAME.findall(sql)) & set(self._sql)):
            columns = ", ".join(
                f"CAST(NULL AS {SQL_TYPES.get(kind, 'VARCHAR')}) AS {sql_name(column)}"
                for column, kind in self.schema[name].items()
            )
            empty.append(f"{name} AS (SELECT {columns})")
        sql = f"WITH {', '.join(empty)} SELECT * FROM ({sql})" if empty else sql
        check_select(sql)
        return self._describe(Translation(sql, self._used(sql)))

    def fetch(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a SELECT over tables and stages."""
        if self._fetch is None:
            raise QueryError("This operator depends on the data, which is not at hand here.", code="Unsupported")
        return self._fetch(self._whole(sql))

    def finish(self, last: str) -> Translation:
        """Return the SELECT of a stage, preceded by the stages that it needs."""
        return self._whole(f"SELECT * FROM {last if last in self._sql else sql_name(last)}")

    def _whole(self, final: str) -> Translation:
        uses: Counter[str] = Counter(_NAME.findall(final))
        needed = []
        for name, sql in reversed(self._sql.items()):
            if uses[name]:
                uses.update(_NAME.findall(sql))
                # A stage with one reader is merged into it, so that its filters reach the table.
                needed.append(f"{name} AS {'NOT ' if uses[name] == 1 else ''}MATERIALIZED ({sql})")
        whole = f"WITH {', '.join(reversed(needed))} {final}" if needed else final
        check_select(whole)
        return Translation(whole, self._used(whole))

    def _used(self, sql: str) -> dict[str, Any]:
        return {name: value for name, value in self._parameters.items() if f"${name}" in sql}
