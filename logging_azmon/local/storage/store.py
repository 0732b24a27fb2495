"""Keep the tables: the plans of the rules, the database, its writer and its readers.

Any thread may call any method. Each reader has a cursor of its own, which is interrupted at its deadline. The SQL of a
query comes from `kql`, so it is a SELECT; after start only the threads of `writer` change tables.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..._config.dcr import Rule
from ...errors import ConfigurationError
from ..kql.errors import QueryError
from ..kql.quoting import sql_name
from ..kql.translation import Columns, Schema, Translation, kusto_type, stage_type
from .database import connect, explain, run
from .plans import SQL_TYPES, StreamPlan, merged_tables, plan_rule
from .problems import COLUMNS, TABLE, Problems, no_column
from .writer import CLOSE_SECONDS, Writer


class Store:
    """Hold a workspace's tables, in memory or in a directory."""

    def __init__(
        self,
        rules: Iterable[Rule],
        *,
        data: Path | None = None,
        discard: bool = False,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._discard = discard
        self.problems = Problems(now)
        self._connection = connect(data)
        # DuckDB refuses concurrent calls on one connection, and making a cursor is such a call.
        self._connecting = threading.Lock()
        try:
            self.plans = {
                (plan.rule_id, plan.stream): plan for rule in rules for plan in plan_rule(rule, self.describe)
            }
            self.rule_ids = frozenset(rule_id for rule_id, _ in self.plans)
            self._create_tables()
        except BaseException:
            self._connection.close()
            raise
        self._writer = Writer(self._cursor, self.problems, now)
        self._closed = False

    def submit(self, plan: StreamPlan, rows: str, count: int) -> None:
        """Queue the rows of a body, JSON objects separated by commas; a query finds them soon."""
        if count and not self._discard:
            self._writer.submit(plan, rows, count)

    def sync(self, timeout: float = CLOSE_SECONDS) -> None:
        """Wait until a query finds all rows acknowledged before the call."""
        self._writer.sync(timeout)

    def wait_for_change(self, seen: int, timeout: float) -> int:
        """Wait, at most `timeout` seconds, until the version of the tables differs from `seen`; return it."""
        return self._writer.wait_for_change(seen, timeout)

    def end_waits(self) -> None:
        """End all waits for changes."""
        self._writer.end_waits()

    @property
    def ending(self) -> bool:
        """Return whether waits for changes have been ended."""
        return self._writer.ending

    def close(self) -> None:
        """Store the rows that wait, and close the database."""
        self._writer.close()
        with self._connecting:
            if not self._closed:
                self._closed = True
                self._connection.close()

    def _cursor(self) -> Any:
        with self._connecting:
            return self._connection.cursor()

    def schema(self) -> Schema:
        """Return every table's columns, in Kusto's types."""
        found: dict[str, dict[str, str]] = {}
        with self.cursor() as cursor:
            rows = cursor.execute(
                "SELECT table_name, column_name, data_type FROM duckdb_columns()"
                " WHERE schema_name = 'main' AND NOT internal AND database_name = current_database()"
                " ORDER BY table_name, column_index"
            ).fetchall()
        for table, column, kind in rows:
            found.setdefault(table, {})[column] = kusto_type(kind)
        return found

    def describe(self, translation: Translation) -> Columns:
        """Return the columns that a SELECT yields."""
        import duckdb

        try:
            with self.cursor() as cursor:
                run(cursor, "DESCRIBE " + translation.sql, translation.parameters)
                return {name: stage_type(kind) for name, kind, *_ in cursor.fetchall()}
        except duckdb.Error as error:
            raise QueryError(explain(error)) from error

    def count(self, table: str) -> int:
        """Count a table's rows."""
        with self.cursor() as cursor:
            row = cursor.execute(f"SELECT count(*) FROM main.{sql_name(table)}").fetchone()
        return int(row[0]) if row else 0

    @contextmanager
    def cursor(self, seconds: float | None = None) -> Iterator[Any]:
        """Lend a cursor; with `seconds`, interrupt its statement after that time."""
        cursor = self._cursor()
        timer = threading.Timer(seconds, cursor.interrupt) if seconds is not None else None
        if timer is not None:
            timer.daemon = True
            timer.start()
        try:
            yield cursor
        finally:
            if timer is not None:
                timer.cancel()
                timer.join()  # it may be interrupting right now, and must not use a closed cursor
            cursor.close()

    def _create_tables(self) -> None:
        tables = merged_tables(flow for plan in self.plans.values() for flow in plan.flows)
        tables[TABLE] = dict(COLUMNS)
        existing = self.schema()
        mistakes: list[str] = []
        for table, columns in tables.items():
            before = existing.get(table, {})
            mistakes += [
                f"table {table!r} in the data directory holds {name!r} as {before[name]}, but the rule says {kind}:"
                " use another directory, or change the rule back"
                for name, kind in columns.items()
                if before.get(name, kind) != kind
            ]
            if not before:
                listed = ", ".join(f"{sql_name(name)} {SQL_TYPES[kind]}" for name, kind in columns.items())
                self._connection.execute(f"CREATE TABLE main.{sql_name(table)} ({listed})")
                continue
            for name, kind in columns.items():
                if name not in before and not mistakes:
                    self._connection.execute(
                        f"ALTER TABLE main.{sql_name(table)} ADD COLUMN {sql_name(name)} {SQL_TYPES[kind]}"
                    )
        if mistakes:
            raise ConfigurationError(mistakes)
        for plan in self.plans.values():
            for flow in plan.flows:
                for column in flow.ignored:
                    self.problems.add(no_column(plan.stream, column, flow.flow.table))
