"""Look up the context of a log call: the current span, asyncio task and process.

OpenTelemetry, asyncio and multiprocessing are used only if the application has imported them.
"""

from __future__ import annotations

import logging
import sys


def span_ids() -> tuple[str, str] | None:
    """Return the trace id and span id of OpenTelemetry's current span."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    context = trace.get_current_span().get_span_context()
    return (f"{context.trace_id:032x}", f"{context.span_id:016x}") if context.is_valid else None


def task_name(origin: object) -> str | None:
    """Return the name of the asyncio task that logs: the record's own if it has one, else the current task's."""
    if isinstance(origin, logging.LogRecord) and "taskName" in origin.__dict__:
        return origin.__dict__["taskName"]  # type: ignore[no-any-return]
    asyncio = sys.modules.get("asyncio")
    try:
        task = asyncio.current_task() if asyncio is not None else None
    except RuntimeError:
        return None
    return task.get_name() if task is not None else None


def process_name() -> str:
    """Return the process's name as multiprocessing knows it."""
    process = sys.modules.get("multiprocessing.process")
    return process.current_process().name if process is not None else "MainProcess"
