"""Keep the tables: DuckDB, one writer thread, any number of readers.

The rules:

- The writer thread alone changes tables. It takes everything that waits, joins the bodies of a stream into one
  statement (a statement costs milliseconds whatever its size), and commits each joined body as a whole.
- `submit` queues a body that was judged already and returns: Azure, too, answers before data can be queried. The queue
  is bounded by bytes; a full one makes the caller wait, then raises `FullError`.
- `_lock` (inside both conditions) guards the queue and the counters; it is never held while SQL runs.
- A reader takes a cursor of its own and interrupts it at its deadline. The SQL it runs came out of `kql`, so it is a
  SELECT; the connection has lost its way to files and the network before the first request comes in.
- `close` stores what waits, within a limit; twice is fine.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError
from . import problems as _problems
from .flows import SQL_TYPES, FlowPlan, StreamPlan, merge, plan_rule
from .gaps import quoted
from .kql import Columns, QueryError, Schema, Translation, kusto_type
from .problems import Finding, Problems, cut, mistyped, no_column, not_stored, replaced
from .rules import Rule

QUEUE_BYTES = 64 * 1024 * 1024
JOINED_BYTES = 8 * 1024 * 1024
FULL_SECONDS = 10.0
CLOSE_SECONDS = 30.0
MEMORY_LIMIT = "2GB"
# How far TimeGenerated may lie from the time of receipt.
OLDEST, NEWEST = dt.timedelta(days=2), dt.timedelta(days=1)


class FullError(Exception):
    """The writer does not keep up: try again later."""


@dataclass(frozen=True, slots=True)
class _Body:
    """Hold a JSON array of objects, without its brackets."""

    plan: StreamPlan
    rows: str
    count: int
    received: dt.datetime


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
        import duckdb

        self._now = now
        self._discard = discard
        self.problems = Problems(now)
        self._connection = _connect(data, duckdb)
        try:
            self.plans = {
                (plan.rule_id, plan.stream): plan for rule in rules for plan in plan_rule(rule, self.describe)
            }
            self.rule_ids = frozenset(rule_id for rule_id, _ in self.plans)
            self._create_tables()
        except BaseException:
            self._connection.close()
            raise

        lock = threading.Lock()
        self._to_do = threading.Condition(lock)
        self._done = threading.Condition(lock)
        self._queue: deque[_Body] = deque()
        self._queued_bytes = 0
        self._submitted = 0
        self._stored = 0
        self._version = 0
        self._flush_wanted = False
        self._closing = False
        self._writer = threading.Thread(target=self._write, name="azmon-local-writer", daemon=True)
        self._writer.start()

    # what requests call

    def submit(self, plan: StreamPlan, rows: str, count: int) -> None:
        """Queue the rows of a body, given as JSON objects with commas between; they can be queried soon."""
        if self._discard or not count:
            return
        body = _Body(plan, rows, count, self._now())
        with self._done:
            if not self._done.wait_for(lambda: self._queued_bytes < QUEUE_BYTES or self._closing, FULL_SECONDS):
                raise FullError
            if self._closing:
                raise FullError
            self._queue.append(body)
            self._queued_bytes += len(rows)
            self._submitted += 1
            self._to_do.notify()

    def sync(self, timeout: float = CLOSE_SECONDS) -> None:
        """Wait until everything that was acknowledged can be queried."""
        with self._done:
            goal = self._submitted
            self._flush_wanted = True
            self._to_do.notify()
            if not self._done.wait_for(lambda: self._stored >= goal and not self._flush_wanted, timeout):
                raise TimeoutError(f"rows that were accepted are not in their tables after {timeout:g} s")

    def wait_for_change(self, seen: int, timeout: float) -> int:
        """Wait until tables have changed since `seen`; return what to wait from the next time."""
        with self._done:
            self._done.wait_for(lambda: self._version != seen or self._closing, timeout)
            return self._version

    @property
    def closing(self) -> bool:
        """Tell whether `close` was called."""
        return self._closing

    def close(self) -> None:
        """Store what waits and let go of the files."""
        with self._done:
            first, self._closing = not self._closing, True
            self._to_do.notify_all()
            self._done.notify_all()
        self._writer.join(CLOSE_SECONDS)
        if first:
            self._connection.close()

    # what readers call

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
                return {name: kusto_type(kind) for name, kind, *_ in cursor.fetchall()}
        except duckdb.Error as error:
            raise QueryError(explain(error)) from error

    def count(self, table: str) -> int:
        """Count a table's rows."""
        with self.cursor() as cursor:
            row = cursor.execute(f"SELECT count(*) FROM main.{quoted(table)}").fetchone()
        return int(row[0]) if row else 0

    @contextmanager
    def cursor(self, seconds: float | None = None) -> Iterator[Any]:
        """Lend a connection of its own; with a limit, what it runs is interrupted then."""
        cursor = self._connection.cursor()
        timer = threading.Timer(seconds, cursor.interrupt) if seconds is not None else None
        if timer is not None:
            timer.daemon = True
            timer.start()
        try:
            yield cursor
        finally:
            if timer is not None:
                timer.cancel()
                timer.join()  # it may be interrupting just now, and must not touch a closed cursor
            cursor.close()

    # the tables

    def _create_tables(self) -> None:
        tables = merge(flow for plan in self.plans.values() for flow in plan.flows)
        tables[_problems.TABLE] = dict(_problems.COLUMNS)
        there = self.schema()
        mistakes: list[str] = []
        for table, columns in tables.items():
            before = there.get(table, {})
            mistakes += [
                f"table {table!r} in the data directory holds {name!r} as {before[name]}, the rule says {kind}:"
                " use another directory, or change the rule back"
                for name, kind in columns.items()
                if before.get(name, kind) != kind
            ]
            if not before:
                listed = ", ".join(f"{quoted(name)} {SQL_TYPES[kind]}" for name, kind in columns.items())
                self._connection.execute(f"CREATE TABLE main.{quoted(table)} ({listed})")
                continue
            for name, kind in columns.items():
                if name not in before and not mistakes:
                    self._connection.execute(
                        f"ALTER TABLE main.{quoted(table)} ADD COLUMN {quoted(name)} {SQL_TYPES[kind]}"
                    )
        if mistakes:
            raise ConfigurationError(mistakes)
        for plan in self.plans.values():
            for flow in plan.flows:
                for column in flow.ignored:
                    self.problems.add(no_column(plan.stream, column, flow.flow.table))

    # the writer's side

    def _write(self) -> None:
        cursor = self._connection.cursor()
        try:
            while self._write_once(cursor):
                pass
        finally:
            cursor.close()

    def _write_once(self, cursor: Any) -> bool:
        with self._to_do:
            # The limit is for problems that no body brings along: they become rows all the same.
            self._to_do.wait_for(lambda: self._queue or self._closing or self._flush_wanted, 0.5)
            waiting, self._queue = list(self._queue), deque()
            closing, flush = self._closing, self._flush_wanted
        for bodies in _joined(waiting):
            self._store(cursor, bodies)
            with self._done:
                self._stored += len(bodies)
                self._queued_bytes -= sum(len(body.rows) for body in bodies)
                self._version += 1
                self._done.notify_all()
        noted = self._store_problems(cursor)
        with self._done:
            if flush:
                self._flush_wanted = False
            self._version += noted
            self._done.notify_all()
            return not (closing and not self._queue)

    def _store(self, cursor: Any, bodies: list[_Body]) -> None:
        """Store joined bodies; if they fail together, each alone, so that one cannot cost the others their rows."""
        import duckdb

        plan = bodies[0].plan
        try:
            cursor.execute("BEGIN")
            findings = list(self._statements(cursor, plan, bodies))
            cursor.execute("COMMIT")
        except duckdb.Error as error:
            cursor.execute("ROLLBACK")
            if len(bodies) > 1:
                for body in bodies:
                    self._store(cursor, [body])
                return
            self.problems.add(not_stored(plan.stream, bodies[0].count, explain(error)))
            return
        for finding in findings:
            self.problems.add(finding)

    def _statements(self, cursor: Any, plan: StreamPlan, bodies: list[_Body]) -> Iterator[Finding]:
        cursor.execute(plan.stage_sql, {"body": f"[{','.join(body.rows for body in bodies)}]"})
        _, *lost = cursor.execute(plan.mistyped_sql).fetchone()
        for name, count in zip(plan.checked, lost, strict=True):
            if count:
                yield mistyped(plan.stream, name, count, plan.columns[name])
        for flow in plan.flows:
            yield from self._flow(cursor, plan.stream, flow, bodies[-1].received)

    def _flow(self, cursor: Any, stream: str, flow: FlowPlan, received: dt.datetime) -> Iterator[Finding]:
        now = received.astimezone(dt.UTC).replace(tzinfo=None)
        window = {"oldest": now - OLDEST, "newest": now + NEWEST}
        cursor.execute(flow.yield_sql)
        _, out_of_time, *too_long = cursor.execute(flow.findings_sql, window).fetchone()
        cursor.execute(flow.insert_sql(cut=any(too_long)), {**window, "now": now})
        if out_of_time:
            yield replaced(stream, out_of_time)
        for name, count in zip(flow.texts, too_long, strict=True):
            if count:
                yield cut(stream, name, count)

    def _store_problems(self, cursor: Any) -> bool:
        new = self.problems.take_new()
        if new and not self._discard:
            marks = ", ".join("?" * len(_problems.COLUMNS))
            cursor.executemany(
                f"INSERT INTO main.{_problems.TABLE} VALUES ({marks})", [problem.row() for problem in new]
            )
        return bool(new)


def _connect(data: Path | None, duckdb: Any) -> Any:
    try:
        connection = duckdb.connect(str(data / "workspace.duckdb") if data else ":memory:")
    except duckdb.Error as error:
        raise ConfigurationError([f"data directory {str(data)!r} cannot be opened: {explain(error)}"]) from error
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
    connection.execute("SET temp_directory = ''")
    # Nothing a query says reaches a file, the network or another database, and nothing can undo that.
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def run(cursor: Any, sql: str, parameters: Mapping[str, Any]) -> None:
    """Execute a SELECT; DuckDB takes no empty set of values."""
    if parameters:
        cursor.execute(sql, dict(parameters))
    else:
        cursor.execute(sql)


def explain(error: Exception) -> str:
    """Take the first sentence of a database error, without the SQL that nobody wrote."""
    return str(error).split("\n")[0][:300]


def _joined(waiting: Iterable[_Body]) -> Iterator[list[_Body]]:
    """Group bodies by stream, in the order of their streams' first body; no group much above `JOINED_BYTES`."""
    groups: dict[int, list[_Body]] = {}
    sizes: dict[int, int] = {}
    for body in waiting:
        key = id(body.plan)
        if sizes.get(key, 0) + len(body.rows) > JOINED_BYTES and key in groups:
            yield groups.pop(key)
            sizes[key] = 0
        groups.setdefault(key, []).append(body)
        sizes[key] = sizes.get(key, 0) + len(body.rows)
    yield from groups.values()
