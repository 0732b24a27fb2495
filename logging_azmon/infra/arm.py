"""Render a design as an ARM template."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from . import operations
from .design import PRINCIPAL_TYPES, ROLE_API, ROLE_ID, RULE_API, TABLE_API, Design

_SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
_WORKSPACE = "[resourceId('Microsoft.OperationalInsights/workspaces', parameters('workspaceName'))]"
_RULE = "resourceId('Microsoft.Insights/dataCollectionRules', parameters('ruleName'))"
_DCE = "resourceId('Microsoft.Insights/dataCollectionEndpoints', parameters('endpointName'))"
_ROLE = f"subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '{ROLE_ID}')"


def render(design: Design) -> str:
    """Return the template as JSON."""
    variables: dict[str, Any] = {}
    resources = [*_resources(design), *_operations(design, variables)]
    template = {
        "$schema": _SCHEMA,
        "contentVersion": "1.0.0.0",
        "parameters": _parameters(design),
        **({"variables": variables} if variables else {}),
        "resources": resources,
        "outputs": _outputs(design),
    }
    return json.dumps(template, indent=2, ensure_ascii=False) + "\n"


def _parameters(design: Design) -> dict[str, Any]:
    parameters = {
        "workspaceName": _parameter("Name of the Log Analytics workspace, in this resource group", design.workspace),
        "principalId": _parameter("Object id of the identity that sends the rows", design.principal_id),
        "principalType": _parameter("Kind of that identity", design.principal_type)
        | {"allowedValues": list(PRINCIPAL_TYPES)},
        "location": _parameter("Region of the workspace", design.location or "[resourceGroup().location]"),
        "ruleName": _parameter("Name of the data collection rule", design.rule),
    }
    if design.dce:
        parameters["endpointName"] = _parameter("Name of the data collection endpoint", design.dce)
        parameters["publicNetworkAccess"] = _parameter("Disabled: reachable through private link only", "Enabled") | {
            "allowedValues": ["Enabled", "Disabled"]
        }
    return parameters


def _parameter(description: str, default: str | None) -> dict[str, Any]:
    known = {} if default is None else {"defaultValue": default}
    return {"type": "string", **known, "metadata": {"description": description}}


def _resources(design: Design) -> list[dict[str, Any]]:
    resources: list[dict[str, Any]] = []
    needed: list[str] = []
    if design.changes_table:
        name = f"[format('{{0}}/{{1}}', parameters('workspaceName'), '{design.table}')]"
        resources.append(
            {
                "type": "Microsoft.OperationalInsights/workspaces/tables",
                "apiVersion": TABLE_API,
                "name": name,
                "properties": design.table_properties(),
            }
        )
        kind = "Microsoft.OperationalInsights/workspaces/tables"
        needed.append(f"[resourceId('{kind}', parameters('workspaceName'), '{design.table}')]")
    if design.dce:
        access = {"publicNetworkAccess": "[parameters('publicNetworkAccess')]"}
        resources.append(
            {
                "type": "Microsoft.Insights/dataCollectionEndpoints",
                "apiVersion": RULE_API,
                "name": "[parameters('endpointName')]",
                "location": "[parameters('location')]",
                "properties": {"networkAcls": access},
            }
        )
        needed.append(f"[{_DCE}]")
    resources.append(
        {
            "type": "Microsoft.Insights/dataCollectionRules",
            "apiVersion": RULE_API,
            "name": "[parameters('ruleName')]",
            "location": "[parameters('location')]",
            **({"kind": "Direct"} if design.is_direct else {}),
            "properties": design.rule_properties(workspace_id=_WORKSPACE, dce_id=design.dce_id or f"[{_DCE}]"),
            **({"dependsOn": needed} if needed else {}),
        }
    )
    return [*resources, _role()]


def _operations(design: Design, variables: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what watches the rule, which must exist first; add the workbook to the variables."""

    def text_of(value: Any) -> str:
        variables["workbook"] = value
        return "[string(variables('workbook'))]"

    group = "[resourceId('Microsoft.Insights/actionGroups', format('{0}-alerts', parameters('ruleName')))]"
    ids = operations.Ids(
        workspace=_WORKSPACE,
        rule=f"[{_RULE}]",
        scope=f"[{_RULE}]",
        location="[parameters('location')]",
        group=group,
        workbook=f"[guid({_RULE}, 'workbook')]",
        named=lambda suffix: f"[format('{{0}}{suffix}', parameters('ruleName'))]",
        text_of=text_of,
    )
    for resource in operations.resources(design, ids):
        needed = [f"[{_RULE}]", *([group] if group in json.dumps(resource.body) else [])]
        yield {"type": resource.kind, "apiVersion": resource.api, **resource.body, "dependsOn": needed}


def _role() -> dict[str, Any]:
    return {
        "type": "Microsoft.Authorization/roleAssignments",
        "apiVersion": ROLE_API,
        "name": f"[guid({_RULE}, parameters('principalId'), {_ROLE})]",
        "scope": f"[{_RULE}]",
        "properties": {
            "roleDefinitionId": f"[{_ROLE}]",
            "principalId": "[parameters('principalId')]",
            "principalType": "[parameters('principalType')]",
        },
        "dependsOn": [f"[{_RULE}]"],
    }


def _outputs(design: Design) -> dict[str, Any]:
    rule = f"reference({_RULE}, '{RULE_API}')"
    endpoint = f"{rule}.endpoints.logsIngestion"
    if not design.is_direct:
        dce = f"'{design.dce_id}'" if design.dce_id else _DCE
        endpoint = f"reference({dce}, '{RULE_API}').logsIngestion.endpoint"
    return {
        "DATA_COLLECTION_ENDPOINT": {"type": "string", "value": f"[{endpoint}]"},
        "LOGS_DCR_RULE_ID": {"type": "string", "value": f"[{rule}.immutableId]"},
        "LOGS_DCR_STREAM_NAME": {"type": "string", "value": design.stream},
    }
