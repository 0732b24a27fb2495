"""Render a design as a script for the Azure CLI.

The script creates the rule through Azure's REST API, which accepts the kind Direct, needs no extension of the CLI, and
has the most precise error messages.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from .design import ROLE_ID, ROLE_NAME, RULE_API, Design

_MANAGEMENT = "https://management.azure.com"
# The variables without which the script ends, with what each stands for.
_NEEDED = {
    "RESOURCE_GROUP": "the resource group of the workspace",
    "WORKSPACE_NAME": "the name of the Log Analytics workspace",
    "PRINCIPAL_ID": "the object id of the identity that sends",
}
_DCE = 'endpoint_id="$group_id/providers/Microsoft.Insights/dataCollectionEndpoints/$ENDPOINT_NAME"'


def render(design: Design) -> str:
    """Return the script."""
    return "\n\n".join(_parts(design)) + "\n"


def missing_variables(design: Design) -> dict[str, str]:
    """Return the variables that must be set before the script runs, with what each stands for."""
    known = _known(design)
    return {name: meaning for name, meaning in _NEEDED.items() if known[name] is None}


def _known(design: Design) -> dict[str, str | None]:
    return {
        "RESOURCE_GROUP": design.resource_group,
        "WORKSPACE_NAME": design.workspace,
        "PRINCIPAL_ID": design.principal_id,
    }


def _parts(design: Design) -> Iterator[str]:
    yield (
        "#!/usr/bin/env bash\n"
        f"# Resources for the rows that logging-azmon sends to {design.table}."
        " Needs az and 'az login'; running it again changes nothing.\n"
        "set -euo pipefail"
    )
    yield "\n".join(
        [
            *(_variable(name, _NEEDED[name], value) for name, value in _known(design).items()),
            _variable("PRINCIPAL_TYPE", "", design.principal_type),
            _variable("RULE_NAME", "", design.rule),
            *([_variable("ENDPOINT_NAME", "", design.dce)] if design.dce else []),
            *([_variable("PUBLIC_NETWORK_ACCESS", "", "Enabled")] if design.dce else []),
        ]
    )
    yield "\n".join(
        [
            'workspace=(--resource-group "$RESOURCE_GROUP" --workspace-name "$WORKSPACE_NAME")',
            'show_workspace() { az monitor log-analytics workspace show "${workspace[@]}" --query "$1" --output tsv; }',
            """group_id=$(az group show --name "$RESOURCE_GROUP" --query id --output tsv | tr -d '\\r')""",
            "workspace_id=$(show_workspace id | tr -d '\\r')",
            f"location={design.location}" if design.location else "location=$(show_workspace location | tr -d '\\r')",
            'rule_id="$group_id/providers/Microsoft.Insights/dataCollectionRules/$RULE_NAME"',
            *([_DCE] if design.dce else []),
            *([f'endpoint_id="{design.dce_id}"'] if design.dce_id else []),
        ]
    )
    if design.changes_table:
        yield _table(design)
    if design.dce:
        body = {
            "location": "$location",
            "properties": {"networkAcls": {"publicNetworkAccess": "$PUBLIC_NETWORK_ACCESS"}},
        }
        yield _put("endpoint_id", body)
    body = {
        "location": "$location",
        **({"kind": "Direct"} if design.is_direct else {}),
        "properties": design.rule_properties(workspace_id="$workspace_id", dce_id="$endpoint_id"),
    }
    yield _put("rule_id", body)
    yield (
        f"# {ROLE_NAME}: without it, the endpoint answers 403. An assignment can take 30 minutes to take effect.\n"
        f'az role assignment create --role {ROLE_ID} --scope "$rule_id" \\\n'
        '  --assignee-object-id "$PRINCIPAL_ID" --assignee-principal-type "$PRINCIPAL_TYPE" --output none'
    )
    yield _values(design)


def _variable(name: str, meaning: str, default: str | None) -> str:
    if default is None:
        return f'{name}="${{{name}:?set it to {meaning}}}"'
    # Inside ${…} in double quotes, no character that a name may have needs quoting.
    return f'{name}="${{{name}:-{default}}}"'


def _table(design: Design) -> str:
    action = "update" if design.is_built_in else "create"
    lines = [
        f'az monitor log-analytics workspace table {action} "${{workspace[@]}}"',
        f"  --name {design.table} --output none",
    ]
    if not design.is_built_in:
        lines[1] += f" --plan {design.plan}"
    if design.retention_days is not None:
        lines[1] += f" --retention-time {design.retention_days}"
    if design.total_retention_days is not None:
        lines[1] += f" --total-retention-time {design.total_retention_days}"
    columns = [f"{name}={type_name}" for name, type_name in design.table_columns.items()]
    if columns:
        lines += ["  --columns", *(f"    {column}" for column in columns)]
    return " \\\n".join(lines)


def _put(variable: str, body: object) -> str:
    """Put a resource; the shell expands only our variables, because no name contains a $ or a backquote."""
    return (
        f'az rest --method put --url "{_MANAGEMENT}${variable}?api-version={RULE_API}" --output none --body @- <<JSON\n'
        f"{json.dumps(body, indent=2, ensure_ascii=False)}\nJSON"
    )


def _values(design: Design) -> str:
    resource, query = (
        ("rule_id", "endpoints.logsIngestion") if design.is_direct else ("endpoint_id", "logsIngestion.endpoint")
    )
    return "\n".join(
        [
            "# The three values of the handler's configuration.",
            "value() {",
            f'  az rest --method get --url "{_MANAGEMENT}$1?api-version={RULE_API}" --query "properties.$2" \\',
            "    --output tsv | tr -d '\\r'",
            "}",
            f'echo "export DATA_COLLECTION_ENDPOINT=$(value "${resource}" {query})"',
            'echo "export LOGS_DCR_RULE_ID=$(value "$rule_id" immutableId)"',
            f'echo "export LOGS_DCR_STREAM_NAME={design.stream}"',
        ]
    )
