"""Write accepted rows into the tables: a bounded queue, and two threads that empty it.

Rules:
- Only these threads change tables, each on a cursor of its own.
- A thread takes consecutive bodies of one stream, up to `JOINED_BYTES`, and joins them: a statement costs milliseconds
  whatever its size. Parsing is most of the work and runs on both threads at once. Commits happen in the order in which
  the bodies were taken (`_turn`), so that a table keeps its rows in the order in which they were acknowledged.
- `_lock`, shared by both conditions, guards the queue, the turns and the counters. No SQL runs while it is held.
- What queries leave of the memory limit may be too little for a body: the thread waits until they have ended.
- `submit` blocks while the queue is full, then raises `QueueFullError`. `close` stores the rows that wait. Both waits
  have a limit.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..._config.service_limits import MAX_AGE, MAX_LEAD
from .database import explain
from .plans import FlowPlan, StreamPlan
from .problems import COLUMNS, TABLE, Finding, Problems, cut, mistyped, not_stored, replaced

THREADS = 2
QUEUE_BYTES = 64 * 1024 * 1024
JOINED_BYTES = 4 * 1024 * 1024
FULL_SECONDS = 10.0
CLOSE_SECONDS = 30.0
# A query has ended by then, and its memory is free again.
MEMORY_SECONDS = 35.0
MEMORY_PAUSE_SECONDS = 0.25
# A problem without a body to store, such as a refused request, becomes a row within this time.
PROBLEM_SECONDS = 0.5


class QueueFullError(Exception):
    """The queue is still full after `FULL_SECONDS`, or the writer is closing: try again later."""


@dataclass(frozen=True, slots=True)
class _Body:
    """Hold an uploaded JSON array; `rows` is its text without the brackets."""

    plan: StreamPlan
    rows: str
    count: int
    received: dt.datetime


class Writer:
    """Own the queue of bodies and the threads that store them."""

    def __init__(self, cursor: Callable[[], Any], problems: Problems, now: Callable[[], dt.datetime]) -> None:
        self._cursor = cursor
        self._problems = problems
        self._now = now
        self._lock = threading.Lock()
        self._to_do = threading.Condition(self._lock)
        self._done = threading.Condition(self._lock)
        # Never set, so that waiting for it is a pause.
        self._never = threading.Event()
        self._queue: deque[_Body] = deque()
        # Bytes of the rows that are queued or being stored.
        self._queued_bytes = 0
        # Bodies so far. `sync` waits until as many are stored as were submitted before the call.
        self._submitted = 0
        self._stored = 0
        # Increases whenever tables may have changed.
        self._version = 0
        # The ticket of the next bodies taken, and the ticket whose holder may commit.
        self._next_ticket = 0
        self._turn = 0
        # How many calls of `sync` asked for problems to be stored, and how many of those calls were served.
        self._problems_wanted = 0
        self._problems_stored = 0
        # No more bodies are accepted; the threads end when the queue is empty.
        self.closing = False
        # Waits for changes return at once.
        self.ending = False
        self._threads = [
            threading.Thread(target=self._run, args=(number == 0,), name=f"azmon-local-writer-{number}", daemon=True)
            for number in range(THREADS)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, plan: StreamPlan, rows: str, count: int) -> None:
        """Queue the rows of a body, JSON objects separated by commas; a query finds them soon."""
        body = _Body(plan, rows, count, self._now())
        with self._done:
            free = self._done.wait_for(lambda: self._queued_bytes < QUEUE_BYTES or self.closing, FULL_SECONDS)
            if not free or self.closing:
                raise QueueFullError
            self._queue.append(body)
            self._queued_bytes += len(rows)
            self._submitted += 1
            self._to_do.notify()

    def sync(self, timeout: float) -> None:
        """Wait until a query finds all rows submitted and all problems recorded before the call."""
        with self._done:
            goal = self._submitted
            stored = self._done.wait_for(lambda: self._stored >= goal, timeout)
            self._problems_wanted += 1
            wanted = self._problems_wanted
            self._to_do.notify_all()
            if not stored or not self._done.wait_for(lambda: self._problems_stored >= wanted, timeout):
                raise TimeoutError(f"accepted rows are not in their tables after {timeout:g} s")

    def wait_for_change(self, seen: int, timeout: float) -> int:
        """Wait, at most `timeout` seconds, until the version of the tables differs from `seen`; return it."""
        with self._done:
            self._done.wait_for(lambda: self._version != seen or self.ending, timeout)
            return self._version

    def end_waits(self) -> None:
        """End all waits for changes."""
        with self._done:
            self.ending = True
            self._done.notify_all()

    def close(self) -> None:
        """Store the rows that wait, and end the threads."""
        with self._done:
            self.closing = self.ending = True
            self._to_do.notify_all()
            self._done.notify_all()
        for thread in self._threads:
            thread.join(CLOSE_SECONDS)

    def _run(self, keeps_problems: bool) -> None:  # noqa: FBT001 - Thread passes its arguments by position
        cursor = self._cursor()
        try:
            while self._once(cursor, keeps_problems=keeps_problems):
                pass
        finally:
            cursor.close()

    def _once(self, cursor: Any, *, keeps_problems: bool) -> bool:
        with self._to_do:
            self._to_do.wait_for(lambda: self._has_work(keeps_problems), PROBLEM_SECONDS)
            bodies = self._take()
            ticket = self._next_ticket
            self._next_ticket += bool(bodies)
            wanted = self._problems_wanted
            ending = self.closing and not self._queue
        if bodies:
            self._store(cursor, bodies, ticket)
        if keeps_problems:
            self._store_problems(cursor, wanted)
        return not (ending and not bodies)

    def _has_work(self, keeps_problems: bool) -> bool:  # noqa: FBT001 - the one argument of a predicate
        return bool(self._queue) or self.closing or (keeps_problems and self._problems_wanted > self._problems_stored)

    def _take(self) -> list[_Body]:
        """Take the first body and those of its stream that follow it directly; the caller holds the lock."""
        if not self._queue:
            return []
        taken = [self._queue.popleft()]
        size = len(taken[0].rows)
        while self._queue and self._queue[0].plan is taken[0].plan and size + len(self._queue[0].rows) <= JOINED_BYTES:
            taken.append(self._queue.popleft())
            size += len(taken[-1].rows)
        return taken

    def _store(self, cursor: Any, bodies: list[_Body], ticket: int) -> None:
        failure = self._try(self._stage, cursor, bodies)
        with self._done:
            # No limit is needed: every statement of the thread ahead of this one ends.
            self._done.wait_for(lambda: self._turn == ticket)
        try:
            if failure is not None or self._try(self._commit, cursor, bodies) is not None:
                self._store_singly(cursor, bodies)
        finally:
            with self._done:
                self._turn += 1
                self._stored += len(bodies)
                self._queued_bytes -= sum(len(body.rows) for body in bodies)
                self._version += 1
                self._done.notify_all()

    def _store_singly(self, cursor: Any, bodies: list[_Body]) -> None:
        """Store each body alone, so that one that cannot be stored does not lose the rows of the others."""
        for body in bodies:
            reason = self._try(self._stage, cursor, [body]) or self._try(self._commit, cursor, [body])
            if reason is not None:
                self._problems.add(not_stored(body.plan.stream, body.count, explain(reason)))

    def _try(self, act: Callable[[Any, list[_Body]], None], cursor: Any, bodies: list[_Body]) -> Exception | None:
        import duckdb

        deadline = time.monotonic() + MEMORY_SECONDS
        while True:
            try:
                act(cursor, bodies)
            except duckdb.OutOfMemoryException as error:
                # Together they may need more than there is: that is not waited for.
                if len(bodies) > 1 or time.monotonic() > deadline:
                    return error
                self._never.wait(MEMORY_PAUSE_SECONDS)
            except duckdb.Error as error:
                return error
            else:
                return None

    def _stage(self, cursor: Any, bodies: list[_Body]) -> None:
        cursor.execute(bodies[0].plan.stage_sql, {"body": f"[{','.join(body.rows for body in bodies)}]"})

    def _commit(self, cursor: Any, bodies: list[_Body]) -> None:
        """Move the staged rows into the tables of the stream's flows, atomically."""
        plan = bodies[0].plan
        cursor.execute("BEGIN")
        try:
            findings = list(self._statements(cursor, plan, bodies[-1].received))
            cursor.execute("COMMIT")
        except BaseException:
            cursor.execute("ROLLBACK")
            raise
        for finding in findings:
            self._problems.add(finding)

    def _statements(self, cursor: Any, plan: StreamPlan, received: dt.datetime) -> Iterator[Finding]:
        _, *lost = cursor.execute(plan.mistyped_sql).fetchone()
        for name, count in zip(plan.checked, lost, strict=True):
            if count:
                yield mistyped(plan.stream, name, count, plan.columns[name])
        for flow in plan.flows:
            yield from self._flow(cursor, plan.stream, flow, received)

    def _flow(self, cursor: Any, stream: str, flow: FlowPlan, received: dt.datetime) -> Iterator[Finding]:
        now = received.astimezone(dt.UTC).replace(tzinfo=None)
        window = {"oldest": now - MAX_AGE, "newest": now + MAX_LEAD}
        if flow.yield_sql is not None:
            cursor.execute(flow.yield_sql)
        _, out_of_time, *too_long = cursor.execute(flow.findings_sql, window).fetchone()
        cursor.execute(flow.insert_sql(cut=any(too_long)), {**window, "now": now})
        if out_of_time:
            yield replaced(stream, out_of_time)
        for name, count in zip(flow.texts, too_long, strict=True):
            if count:
                yield cut(stream, name, count)

    def _store_problems(self, cursor: Any, wanted: int) -> None:
        new = self._problems.take_new()
        if new:
            marks = ", ".join("?" * len(COLUMNS))
            cursor.executemany(f"INSERT INTO main.{TABLE} VALUES ({marks})", [each.row() for each in new])
        with self._done:
            self._problems_stored = max(self._problems_stored, wanted)
            self._version += bool(new)
            self._done.notify_all()
