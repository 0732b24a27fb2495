"""Render a design in Bicep."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from . import operations
from .design import PRINCIPAL_TYPES, ROLE_API, ROLE_ID, ROLE_NAME, RULE_API, TABLE_API, Design
from .expression import Expression, is_column

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


_IDS = operations.Ids(
    workspace=Expression("workspace.id"),
    rule=Expression("rule.id"),
    scope=Expression("rule"),
    location=Expression("location"),
    group=Expression("group.id"),
    workbook=Expression("guid(rule.id, 'workbook')"),
    named=lambda suffix: Expression(f"'${{ruleName}}{suffix}'"),
    text_of=lambda value: Expression(f"string({_literal(value, '  ' * 2)})"),
)


def render(design: Design) -> str:
    """Return the file."""
    return "\n\n".join("\n".join(part) for part in _parts(design)) + "\n"


def _parts(design: Design) -> Iterator[list[str]]:
    yield [
        f"// Resources for the rows that logging-azmon sends to {design.table}.",
        "// Deploy into the workspace's resource group.",
        "targetScope = 'resourceGroup'",
    ]
    yield _parameter("Name of the Log Analytics workspace, in this resource group", "workspaceName", design.workspace)
    yield _parameter("Object id of the identity that sends the rows", "principalId", design.principal_id)
    yield [
        f"@allowed([{', '.join(map(repr, PRINCIPAL_TYPES))}])",
        *_parameter("Kind of that identity", "principalType", design.principal_type),
    ]
    yield _parameter("Region of the workspace", "location", design.location or Expression("resourceGroup().location"))
    yield _parameter("Name of the data collection rule", "ruleName", design.rule)
    if design.dce:
        yield _parameter("Name of the data collection endpoint", "endpointName", design.dce)
        yield [
            "@allowed(['Enabled', 'Disabled'])",
            *_parameter("Disabled: reachable through private link only", "publicNetworkAccess", "Enabled"),
        ]
    yield _existing("workspace", f"Microsoft.OperationalInsights/workspaces@{TABLE_API}", Expression("workspaceName"))
    yield from _resources(design)
    for resource in operations.resources(design, _IDS):
        yield _resource(resource.symbol, f"{resource.kind}@{resource.api}", resource.body)
    yield _outputs(design)


def _resources(design: Design) -> Iterator[list[str]]:
    depends_on: dict[str, Any] = {}
    if design.changes_table:
        body = {"parent": Expression("workspace"), "name": design.table, "properties": design.table_properties()}
        yield _resource("table", f"Microsoft.OperationalInsights/workspaces/tables@{TABLE_API}", body)
        depends_on = {"dependsOn": [Expression("table")]}
    location = {"location": Expression("location")}
    if design.dce:
        access = {"networkAcls": {"publicNetworkAccess": Expression("publicNetworkAccess")}}
        body = {"name": Expression("endpointName"), **location, "properties": access}
        yield _resource("endpoint", f"Microsoft.Insights/dataCollectionEndpoints@{RULE_API}", body)
    elif design.dce_id:
        _, _, subscription, _, group, *_, endpoint = design.dce_id.split("/")
        place = Expression(f"resourceGroup({_literal(subscription, '')}, {_literal(group, '')})")
        yield _existing("endpoint", f"Microsoft.Insights/dataCollectionEndpoints@{RULE_API}", endpoint, scope=place)
    properties = design.rule_properties(workspace_id=Expression("workspace.id"), dce_id=Expression("endpoint.id"))
    kind = {"kind": "Direct"} if design.is_direct else {}
    body = {"name": Expression("ruleName"), **location, **kind, "properties": properties, **depends_on}
    yield _resource("rule", f"Microsoft.Insights/dataCollectionRules@{RULE_API}", body)
    role = Expression(f"subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '{ROLE_ID}')")
    yield [
        f"// {ROLE_NAME}: without it, the endpoint answers 403. An assignment can take 30 minutes to take effect.",
        f"var role = {role}",
    ]
    body = {
        "name": Expression("guid(rule.id, principalId, role)"),
        "scope": Expression("rule"),
        "properties": {
            "roleDefinitionId": Expression("role"),
            "principalId": Expression("principalId"),
            "principalType": Expression("principalType"),
        },
    }
    yield _resource("assignment", f"Microsoft.Authorization/roleAssignments@{ROLE_API}", body)


def _outputs(design: Design) -> list[str]:
    own, other = "rule.properties.endpoints.logsIngestion", "endpoint.properties.logsIngestion.endpoint"
    return [
        "// The three values of the handler's configuration.",
        f"output DATA_COLLECTION_ENDPOINT string = {own if design.is_direct else other}",
        "output LOGS_DCR_RULE_ID string = rule.properties.immutableId",
        f"output LOGS_DCR_STREAM_NAME string = {_literal(design.stream, '')}",
    ]


def _parameter(description: str, name: str, default: str | None) -> list[str]:
    known = "" if default is None else f" = {_literal(default, '')}"
    return [f"@description({_literal(description, '')})", f"param {name} string{known}"]


def _existing(symbol: str, kind: str, name: str, **more: Expression) -> list[str]:
    return [f"resource {symbol} '{kind}' existing = {_literal({'name': name, **more}, '')}"]


def _resource(symbol: str, kind: str, body: Mapping[str, Any]) -> list[str]:
    return [f"resource {symbol} '{kind}' = {_literal(body, '')}"]


def _literal(value: Any, indent: str) -> str:
    """Render a JSON value as a literal, and an expression unchanged."""
    inner = f"{indent}  "
    if isinstance(value, Expression):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and "\n" in value:
        return f"'''\n{value}'''"
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'").replace("${", "\\${") + "'"
    if isinstance(value, Mapping):
        if is_column(value):
            return f"{{ {', '.join(f'{_key(key)}: {_literal(item, inner)}' for key, item in value.items())} }}"
        lines = (f"{inner}{_key(key)}: {_literal(item, inner)}" for key, item in value.items())
        return "\n".join(["{", *lines, f"{indent}}}"])
    if isinstance(value, list):
        return "\n".join(["[", *(f"{inner}{_literal(item, inner)}" for item in value), f"{indent}]"])
    return str(value)


def _key(key: str) -> str:
    return key if _IDENTIFIER.fullmatch(key) else _literal(key, "")
