"""Ask the workspace what the service says of ingestion: errors of the rule, and whether a daily cap is reached."""

from __future__ import annotations

from collections.abc import Iterator

from ...local.kql.quoting import kql_string
from .._shared.workspace import WorkspaceClient, WorkspaceQueryError
from .steps import Step

_MOST_ERRORS = 3
_CAP = (
    "_LogOperation | where TimeGenerated > ago(1d) and Category =~ 'Ingestion' and Detail has 'OverQuota'"
    " | summarize Since = min(TimeGenerated), Times = count()"
)


def ingestion_steps(workspace: WorkspaceClient, stream: str) -> Iterator[Step]:
    """Yield a step for the errors of the last hour, and in Azure one for the daily cap."""
    yield _errors(workspace, stream)
    if not workspace.address.is_local:
        yield _daily_cap(workspace)


def _errors(workspace: WorkspaceClient, stream: str) -> Step:
    kql = (
        f"DCRLogErrors | where TimeGenerated > ago(1h) and InputStreamId == {kql_string(stream)}"
        f" | summarize Errors = count() by OperationName, Message | top {_MOST_ERRORS} by Errors"
    )
    try:
        rows = workspace.query(kql).rows
    except WorkspaceQueryError as error:
        seen = f"DCRLogErrors cannot be queried: {error}"
        advice = "a diagnostic setting of the rule fills it: logging-azmon template bicep --diagnostics"
        return Step(name="errors", state="warning", seen=seen, advice=(advice,))
    if not rows:
        return Step(name="errors", state="ok", seen=f"DCRLogErrors has none of {stream} in the last hour")
    notes = tuple(f"{errors:,} × {operation}: {message}" for operation, message, errors in rows)
    seen = f"DCRLogErrors has errors of {stream} in the last hour"
    advice = "rows of an application were lost there: correct the rule or the columns"
    return Step(name="errors", state="warning", seen=seen, notes=notes, advice=(advice,))


def _daily_cap(workspace: WorkspaceClient) -> Step:
    try:
        rows = workspace.query(_CAP).rows
    except WorkspaceQueryError as error:
        return Step(name="daily cap", state="warning", seen=f"not known: _LogOperation cannot be queried ({error})")
    since, times = rows[0] if rows else (None, 0)
    if not times:
        return Step(name="daily cap", state="ok", seen="not reached in the last day")
    advice = "rows are dropped until the cap is reset; raise it, or send less"
    return Step(name="daily cap", state="problem", seen=f"reached at {since}", advice=(advice,))
