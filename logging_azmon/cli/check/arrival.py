"""Send one marked row as the application would, and query the workspace until it arrives."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from ...local.kql.quoting import kql_name
from ...pipeline import Pipeline, lifecycle_of
from ...table import Table
from ...trouble import Trouble
from .._shared.workspace import WorkspaceClient, WorkspaceQueryError
from .steps import Step

LOGGER = "logging_azmon.check"
SEND_SECONDS = 30.0
# Seconds between two queries: each pause is longer than the one before.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 10.0

Wait = Callable[[float], bool]


def new_mark() -> str:
    """Return a word that no other row contains."""
    return f"check{uuid.uuid4().hex[:12]}"


def send_marked_row(arguments: Mapping[str, Any], mark: str) -> Step:
    """Send a row through a pipeline of its own, made with the application's arguments except for the spool."""
    troubles: list[Trouble] = []
    pipeline = Pipeline(**{name: value for name, value in arguments.items() if name != "spool"}, report=troubles.append)
    record = logging.makeLogRecord(
        {
            "name": LOGGER,
            "levelname": "INFO",
            "levelno": logging.INFO,
            "msg": f"logging-azmon check sent this row to test whether it arrives: {mark}",
            "module": "check",
            "funcName": "send",
        }
    )
    began = time.monotonic()
    try:
        lifecycle_of(pipeline).intake.accept(record, None)
        is_settled = pipeline.flush(SEND_SECONDS)
        seconds = time.monotonic() - began
        stats = pipeline.stats()
    finally:
        pipeline.close(0)
    if is_settled and stats.delivered:
        seen = f"one row was accepted after {seconds * 1000:,.0f} ms; it contains {mark}"
        return Step(name="send", state="ok", seen=seen, details={"mark": mark, "seconds": round(seconds, 3)})
    seen = str(troubles[0]) if troubles else f"no answer within {SEND_SECONDS:g} s"
    advice = "see the steps above"
    return Step(name="send", state="problem", seen=seen, advice=(advice,), details={"mark": mark})


def message_column(handler: Table, table: Mapping[str, str] | None) -> str | None:
    """Return the column of the table that holds the message, and with it the mark."""
    names = [column.name for column in handler if column.source == "message"]
    names += [f"{name}_CF" for name in names]
    return next((name for name in names if table is None or name in table), None)


def await_row(
    workspace: WorkspaceClient, table: str, column: str, mark: str, *, since: float, seconds: float, wait: Wait
) -> Step:
    """Query until the row is there or the time is up; `wait` pauses, and returns True to give up early."""
    kql = f"{kql_name(table)} | where {kql_name(column)} contains '{mark}' | take 1"
    pause, problem = _FIRST_PAUSE, ""
    while True:
        try:
            problem = ""
            if workspace.query(kql).rows:
                took = time.monotonic() - since
                seen = f"the row was in {table} {took:,.1f} s after it was logged"
                return Step(name="arrival", state="ok", seen=seen, details={"table": table, "seconds": round(took, 3)})
        except WorkspaceQueryError as error:
            # A new table cannot be queried immediately.
            problem = str(error)
        left = since + seconds - time.monotonic()
        if left <= 0 or wait(min(pause, left)):
            break
        pause = min(pause * 1.5, _LONGEST_PAUSE)
    return _not_arrived(table, kql, time.monotonic() - since, problem)


def _not_arrived(table: str, kql: str, seconds: float, problem: str) -> Step:
    seen = f"{table} cannot be queried: {problem}" if problem else f"not in {table} after {seconds:,.0f} s"
    if problem:
        advice = "the identity needs Log Analytics Reader on the workspace; see also --workspace and --credential"
    else:
        advice = (
            "a new table takes up to 15 minutes; after that, look into DCRLogErrors (a diagnostic setting of the rule"
            f' fills it) and at the rule\'s transformKql, and query again: logging-azmon query "{kql}"'
        )
    return Step(name="arrival", state="problem", seen=seen, advice=(advice,), details={"table": table})
