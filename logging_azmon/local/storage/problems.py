"""Record what was lost or changed on the way into a table, and how to prevent it.

Azure drops, cuts and replaces silently. Here each case is counted by stream, column and kind: one line each on the
page, and rows of the table ``DCRLogErrors``.

Any thread may add a problem; `_lock` guards all state, and no other work is done while it is held.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypedDict

Kind = Literal["dropped", "cut", "replaced", "mistyped", "refused"]

# Bounds the memory, because clients can invent any number of names.
MAX_KEPT = 1_000

TABLE = "DCRLogErrors"
# The first four are Azure's, with Azure's meaning; the others give the same facts to programs.
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
    """Describe a problem; `Problems` adds the time."""

    kind: Kind
    stream: str
    column: str
    count: int
    message: str
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Describe what happened, to how many values or rows, and what to change."""

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
    """Collect problems: keep each once with its count, and hold new ones until they become rows."""

    def __init__(self, now: Callable[[], dt.datetime]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str, str, str], Problem] = {}
        self._waiting: dict[tuple[str, str, str, str], Problem] = {}

    def add(self, finding: Finding) -> None:
        """Count a problem."""
        problem = Problem(time=self._now(), **finding)
        key = (problem.stream, problem.column, problem.kind, problem.advice)
        with self._lock:
            for counted in (self._kept, self._waiting):
                before = counted.pop(key, None)
                if before is None and len(counted) >= MAX_KEPT:
                    counted.pop(next(iter(counted)))
                counted[key] = problem if before is None else replace(problem, count=before.count + problem.count)

    def newest(self) -> list[Problem]:
        """Return all problems, newest first."""
        with self._lock:
            return list(reversed(self._kept.values()))

    def take_new(self) -> list[Problem]:
        """Return the problems added since the last call."""
        with self._lock:
            new, self._waiting = list(self._waiting.values()), {}
        return new


def mistyped(stream: str, column: str, count: int, kind: str) -> Finding:
    """Report values that did not fit their column."""
    return {
        "kind": "mistyped",
        "stream": stream,
        "column": column,
        "count": count,
        "message": f"Values of {column} are not of type {kind}: they became null.",
        "advice": f"Send {column} as {kind}, or declare the column as string and convert it in transformKql.",
    }


def replaced(stream: str, count: int) -> Finding:
    """Report rows whose time is too far from the time of receipt to be kept."""
    return {
        "kind": "replaced",
        "stream": stream,
        "column": "TimeGenerated",
        "count": count,
        "message": "TimeGenerated was more than two days old or a day ahead: the time of receipt was stored instead.",
        "advice": "Send rows sooner, check the clock, or store the original time in another column.",
    }


def cut(stream: str, column: str, count: int) -> Finding:
    """Report values that are longer than a table can hold."""
    return {
        "kind": "cut",
        "stream": stream,
        "column": column,
        "count": count,
        "message": f"Values of {column} were longer than 64 KB: they were cut.",
        "advice": f"Shorten {column} before it is sent, or split it over several rows.",
    }


def no_column(stream: str, column: str, table: str) -> Finding:
    """Report a transformation that fills a column which its table lacks."""
    return {
        "kind": "dropped",
        "stream": stream,
        "column": column,
        "count": 1,
        "message": f"{table} has no column {column!r}: the values that the transformation puts there are lost.",
        "advice": f"Remove {column} from the transformation, or rename it to a column of {table}.",
    }


def undeclared(stream: str, column: str, count: int, near: str | None) -> Finding:
    """Report rows with a property that the stream does not declare."""
    declare = f"Declare {column} in the rule's streamDeclarations, or do not send it."
    return {
        "kind": "dropped",
        "stream": stream,
        "column": column,
        "count": count,
        "message": f"The stream declares no column {column!r}: its values were dropped.",
        "advice": f"Names are case-sensitive: send {near}." if near else declare,
    }


def no_rows(stream: str, count: int) -> Finding:
    """Report elements of an array that are not objects."""
    return {
        "kind": "dropped",
        "stream": stream,
        "column": "",
        "count": count,
        "message": "Elements of the body's array are not JSON objects: they were dropped.",
        "advice": "Send an array of objects, one per row.",
    }


def no_array(stream: str) -> Finding:
    """Report a body that was acknowledged although none of it is stored."""
    return {
        "kind": "dropped",
        "stream": stream,
        "column": "",
        "count": 1,
        "message": "The body is JSON, but not an array: the service answers 204 and stores nothing.",
        "advice": "Send an array, even for a single row: [{…}].",
    }


def refused(stream: str, message: str, advice: str) -> Finding:
    """Report a request that was refused."""
    return {"kind": "refused", "stream": stream, "column": "", "count": 1, "message": message, "advice": advice}


def not_stored(stream: str, count: int, reason: str) -> Finding:
    """Report rows that were acknowledged but could not be stored."""
    return {
        "kind": "refused",
        "stream": stream,
        "column": "",
        "count": count,
        "message": f"The rows of a request could not be stored: {reason}",
        "advice": "The workspace's memory is full: give it a directory with --data."
        if "memory" in reason.lower()
        else "Check the rule's transformKql: it fails for these values.",
    }
