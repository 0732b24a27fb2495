"""Sends one marked row as the application would, and looks for it in the workspace until it is there."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from .._delivery.reporter import Trouble
from ..pipeline import Pipeline, lifecycle_of
from ..table import Table
from ._steps import Step
from ._workspace import QueryError, Workspace

LOGGER = "logging_azmon.check"
SEND_SECONDS = 30.0
# Between two looks: soon at first, later seldom.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 10.0

Wait = Callable[[float], bool]


def new_mark() -> str:
    """Return a word that is in no other row."""
    return f"check{uuid.uuid4().hex[:12]}"


def send(arguments: Mapping[str, Any], mark: str) -> Step:
    """Send a row through a pipeline of its own, made as the application's is; what is its own business is left out."""
    troubles: list[Trouble] = []
    pipeline = Pipeline(**{name: value for name, value in arguments.items() if name != "spool"}, report=troubles.append)
    record = logging.makeLogRecord(
        {
            "name": LOGGER,
            "levelname": "INFO",
            "levelno": logging.INFO,
            "msg": f"logging-azmon check sent this row to see whether it arrives: {mark}",
            "module": "check",
            "funcName": "send",
        }
    )
    began = time.monotonic()
    try:
        lifecycle_of(pipeline).intake.accept(record, None)
        is_through = pipeline.flush(SEND_SECONDS)
        seconds = time.monotonic() - began
        stats = pipeline.stats()
    finally:
        pipeline.close(0)
    if is_through and stats.delivered:
        seen = f"one row was accepted after {seconds * 1000:,.0f} ms; it says {mark}"
        return Step(name="send", state="ok", seen=seen, details={"mark": mark, "seconds": round(seconds, 3)})
    said = str(troubles[0]) if troubles else f"no answer within {SEND_SECONDS:g} s"
    advice = "see what the steps above say"
    return Step(name="send", state="problem", seen=said, advice=(advice,), details={"mark": mark})


def message_column(handler: Table, table: Mapping[str, str] | None) -> str | None:
    """Name the column of the table that holds the message, and so the mark."""
    names = [column.name for column in handler if column.source == "message"]
    names += [f"{name}_CF" for name in names]
    return next((name for name in names if table is None or name in table), None)


def look(workspace: Workspace, table: str, column: str, mark: str, *, since: float, seconds: float, wait: Wait) -> Step:
    """Ask until the row is there; `wait` waits, and returns True when somebody has had enough."""
    kql = f"['{table}'] | where ['{column}'] contains '{mark}' | take 1"
    pause, problem = _FIRST_PAUSE, ""
    while True:
        try:
            problem = ""
            if workspace.query(kql).rows:
                took = time.monotonic() - since
                seen = f"the row was in {table} {took:,.1f} s after it was logged"
                return Step(name="arrival", state="ok", seen=seen, details={"table": table, "seconds": round(took, 3)})
        except QueryError as error:
            # A table that is new cannot be asked at once.
            problem = str(error)
        left = since + seconds - time.monotonic()
        if left <= 0 or wait(min(pause, left)):
            break
        pause = min(pause * 1.5, _LONGEST_PAUSE)
    return _not_there(table, kql, time.monotonic() - since, problem)


def _not_there(table: str, kql: str, seconds: float, problem: str) -> Step:
    seen = f"{table} cannot be asked: {problem}" if problem else f"not in {table} after {seconds:,.0f} s"
    if problem:
        advice = "the identity needs Log Analytics Reader on the workspace; see also --workspace and --credential"
    else:
        advice = (
            "a new table takes up to 15 minutes; then look into DCRLogErrors (a diagnostic setting of the rule fills"
            f' it) and at the rule\'s transformKql, and ask again: logging-azmon query "{kql}"'
        )
    return Step(name="arrival", state="problem", seen=seen, advice=(advice,), details={"table": table})
