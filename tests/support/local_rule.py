"""A rule with a column of each type, and what a workspace that serves it has stored."""

import datetime as dt
from typing import Any

from logging_azmon.local import Workspace
from support.local_client import stream_declaration

NOW = dt.datetime(2026, 3, 10, 12, 0, tzinfo=dt.UTC)
COLUMNS = {
    "TimeGenerated": "datetime",
    "Text": "string",
    "Small": "int",
    "Big": "long",
    "Real": "real",
    "Flag": "boolean",
    "Any": "dynamic",
}


def rule(
    *flows: dict[str, Any], columns: dict[str, str] = COLUMNS, stream: str = "Custom-T", rule_id: str = "dcr-t"
) -> dict[str, Any]:
    """Return a rule with one stream, which fills ``T_CL`` if no flows are given."""
    return {
        "properties": {
            "immutableId": rule_id,
            "streamDeclarations": {stream: stream_declaration(columns)},
            "dataFlows": list(flows) or [{"streams": [stream], "outputStream": "Custom-T_CL"}],
        }
    }


def stored_values(workspace: Workspace, column: str) -> list[Any]:
    """Return the values of a column of ``T_CL``."""
    return [row[column] for row in workspace.rows("T_CL")]


def only_problem(workspace: Workspace) -> tuple[str, str, int]:
    """Return kind, column and count of the only problem there is."""
    (found,) = workspace.problems()
    return found["kind"], found["column"], found["count"]
