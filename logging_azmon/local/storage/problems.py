"""Remember what was lost or changed on the way into a table, and what would keep it from happening.

Azure drops, cuts and replaces in silence. Here each case is counted under its stream, column and kind: for the page as
one line each, and as rows of the table ``DCRLogErrors``.

Any thread may note a problem; `_lock` guards everything and is never held while doing anything else.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypedDict

Kind = Literal["dropped", "cut", "replaced", "mistyped", "refused"]

# What a client invents as names must not fill the memory.
MAX_KEPT = 1_000

TABLE = "DCRLogErrors"
# The first four are Azure's, with its meaning; the others say the same for programs.
COLUMNS = {
    "TimeGenerated": "datetime",
    "OperationName": "string",
    "InputStreamId": "string",
    "Message": "string",
    "ColumnName": "string",
    "Kind": "string",
    "Count": "long",
    "Advice": "string",
}


class Finding(TypedDict):
    """Say what was found; `Problems` adds the time."""

    kind: Kind
    stream: str
    column: str
    count: int
    message: str
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Say what happened to how many values or rows, and what to change."""

    time: dt.datetime
    stream: str
    column: str
    kind: Kind
    count: int
    message: str
    advice: str

    def row(self) -> tuple[object, ...]:
        """Return the values of `COLUMNS`."""
        operation = "Transformation" if self.kind != "refused" else "Ingestion"
        time = self.time.astimezone(dt.UTC).replace(tzinfo=None)
        return (time, operation, self.stream, self.message, self.column, self.kind, self.count, self.advice)


class Problems:
    """Collect problems: each kept once with its count, and each new one waiting to become a row."""

    def __init__(self, now: Callable[[], dt.datetime]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str, str, str], Problem] = {}
        self._waiting: dict[tuple[str, str, str, str], Problem] = {}

    def add(self, finding: Finding) -> None:
        """Count what was found."""
        problem = Problem(time=self._now(), **finding)
        key = (problem.stream, problem.column, problem.kind, problem.advice)
        with self._lock:
            for counted in (self._kept, self._waiting):
                before = counted.pop(key, None)
                if before is None and len(counted) >= MAX_KEPT:
                    counted.pop(next(iter(counted)))
                counted[key] = problem if before is None else replace(problem, count=before.count + problem.count)

    def newest(self) -> list[Problem]:
        """Return what was ever noted, newest first."""
        with self._lock:
            return list(reversed(self._kept.values()))

    def take_new(self) -> list[Problem]:
        """Return what was noted since the last call."""
        with self._lock:
            new, self._waiting = list(self._waiting.values()), {}
        return new


def mistyped(stream: str, column: str, count: int, kind: str) -> Finding:
    """Say that values did not fit their column."""
    return {
        "kind": "mistyped",
        "stream": stream,
        "column": column,
        "count": count,
        "message": f"Values of {column} are no {kind}: they became null.",
        "advice": f"Send {column} as {kind}, or declare the column as string and convert it in transformKql.",
    }


def replaced(stream: str, count: int) -> Finding:
    """Say that rows came too late or too early to keep their time."""
    return {
        "kind": "replaced",
        "stream": stream,
        "column": "TimeGenerated",
        "count": count,
        "message": "TimeGenerated was over two days old or over a day ahead: the time of receipt is stored instead.",
        "advice": "Send rows sooner, check the clock, or keep the original time in a column of its own.",
    }


def cut(stream: str, column: str, count: int) -> Finding:
    """Say that values were longer than a table holds."""
    return {
        "kind": "cut",
        "stream": stream,
        "column": column,
        "count": count,
        "message": f"Values of {column} were longer than 64 KB: they were cut.",
        "advice": f"Shorten {column} before it is sent, or spread it over several rows.",
    }


def no_column(stream: str, column: str, table: str) -> Finding:
    """Say that a transformation fills a column that its table lacks."""
    return {
        "kind": "dropped",
        "stream": stream,
        "column": column,
        "count": 1,
        "message": f"{table} has no column {column!r}: what the transformation puts there is lost.",
        "advice": f"Remove {column} from the transformation, or rename it to a column of {table}.",
    }


def undeclared(stream: str, column: str, count: int, near: str | None) -> Finding:
    """Say that rows had a property that the stream does not declare."""
    declare = f"Declare {column} in streamDeclarations of the rule, or do not send it."
    return {
        "kind": "dropped",
        "stream": stream,
        "column": column,
        "count": count,
        "message": f"The stream declares no column {column!r}: its values were dropped.",
        "advice": f"Names are case-sensitive: send {near}." if near else declare,
    }


def no_rows(stream: str, count: int) -> Finding:
    """Say that an array held something else than objects."""
    return {
        "kind": "dropped",
        "stream": stream,
        "column": "",
        "count": count,
        "message": "Elements of the body's array are no JSON objects: they are no rows.",
        "advice": "Send an array of objects, one for each row.",
    }


def no_array(stream: str) -> Finding:
    """Say that a body was accepted and is lost all the same."""
    return {
        "kind": "dropped",
        "stream": stream,
        "column": "",
        "count": 1,
        "message": "The body is a JSON object or value, no array: the service answers 204 and stores nothing.",
        "advice": "Send an array, also for a single row: [{…}].",
    }


def refused(stream: str, message: str, advice: str) -> Finding:
    """Say that a request was refused."""
    return {"kind": "refused", "stream": stream, "column": "", "count": 1, "message": message, "advice": advice}


def not_stored(stream: str, count: int, reason: str) -> Finding:
    """Say that rows were accepted and could not be stored."""
    return {
        "kind": "refused",
        "stream": stream,
        "column": "",
        "count": count,
        "message": f"The rows of a request could not be stored: {reason}",
        "advice": "Give the workspace a directory with --data: its memory is full."
        if "memory" in reason.lower()
        else "Look at the transformKql of the rule: it fails for these values.",
    }
