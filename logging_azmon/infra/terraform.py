"""Render a design for Terraform, with the resources that its providers actually accept.

The provider azurerm supports neither a table's columns nor a rule of the kind Direct (its issues 28697 and 32079), so
these use azapi. A rule behind a data collection endpoint uses azurerm.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from .design import DESTINATION, ROLE_NAME, RULE_API, TABLE_API, Design
from .expression import Expression, is_column

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*", re.ASCII)
_ENDPOINT = "azurerm_monitor_data_collection_endpoint"
_PROVIDERS = """\
terraform {
  required_version = ">= 1.5"
  required_providers {
    azapi   = { source = "Azure/azapi", version = "~> 2.0" }
    azurerm = { source = "hashicorp/azurerm", version = "~> 4.0" }
  }
}

# The subscription comes from ARM_SUBSCRIPTION_ID.
provider "azurerm" {
  features {}
}

provider "azapi" {}"""


def render(design: Design) -> str:
    """Return the file."""
    return "\n\n".join(_parts(design)) + "\n"


def _parts(design: Design) -> Iterator[str]:
    yield (
        f"# Resources for the rows that logging-azmon sends to {design.table}: terraform init && terraform apply\n"
        f"{_PROVIDERS}"
    )
    yield _variable("resource_group_name", "Resource group of the workspace", design.resource_group)
    yield _variable("workspace_name", "Name of the Log Analytics workspace", design.workspace)
    yield _variable("principal_id", "Object id of the identity that sends the rows", design.principal_id)
    yield _variable("principal_type", "ServicePrincipal, User or Group", design.principal_type)
    yield _variable("rule_name", "Name of the data collection rule", design.rule)
    if design.dce:
        yield _variable("endpoint_name", "Name of the data collection endpoint", design.dce)
        yield _variable(
            "public_network_access_enabled",
            "false: reachable through private link only",
            default=True,
            type_name="bool",
        )
    yield _block(
        'data "azurerm_log_analytics_workspace" "workspace"',
        {"name": Expression("var.workspace_name"), "resource_group_name": Expression("var.resource_group_name")},
    )
    if design.location:
        yield f"locals {{\n  location = {_literal(design.location, '')}\n}}"
    else:
        yield "locals {\n  location = data.azurerm_log_analytics_workspace.workspace.location\n}"
    if design.changes_table:
        yield _table(design)
    if design.is_direct:
        yield _direct_rule(design)
    else:
        yield _existing_endpoint(design.dce_id) if design.dce_id else _endpoint()
        yield _rule_behind_endpoint(design)
    yield _role(design)
    yield from _outputs(design)


def _variable(name: str, description: str, default: object = None, *, type_name: str = "string") -> str:
    body: dict[str, Any] = {"type": Expression(type_name), "description": description}
    return _block(f'variable "{name}"', body if default is None else body | {"default": default})


def _table(design: Design) -> str:
    workspace = Expression("data.azurerm_log_analytics_workspace.workspace.id")
    kind = f"Microsoft.OperationalInsights/workspaces/tables@{TABLE_API}"
    body = {"body": {"properties": design.table_properties()}}
    if design.is_built_in:
        # The table exists already; only columns are added to it.
        identity = {"type": kind, "resource_id": Expression(f'"${{{workspace}}}/tables/{design.table}"')}
        return _block('resource "azapi_update_resource" "table"', identity | body)
    identity = {"type": kind, "parent_id": workspace, "name": design.table}
    return _block('resource "azapi_resource" "table"', identity | body)


def _direct_rule(design: Design) -> str:
    workspace = Expression("data.azurerm_log_analytics_workspace.workspace.id")
    group = "data.azurerm_resource_group.group.id"
    body = {
        "type": f"Microsoft.Insights/dataCollectionRules@{RULE_API}",
        "parent_id": Expression(group),
        "name": Expression("var.rule_name"),
        "location": Expression("local.location"),
        "body": {"kind": "Direct", "properties": design.rule_properties(workspace_id=workspace, dce_id=None)},
        "response_export_values": ["properties.immutableId", "properties.endpoints.logsIngestion"],
        **_depends_on(design),
    }
    resource_group = _block('data "azurerm_resource_group" "group"', {"name": Expression("var.resource_group_name")})
    return resource_group + "\n\n" + _block('resource "azapi_resource" "rule"', body)


def _endpoint() -> str:
    return _block(
        f'resource "{_ENDPOINT}" "endpoint"',
        {
            "name": Expression("var.endpoint_name"),
            "resource_group_name": Expression("var.resource_group_name"),
            "location": Expression("local.location"),
            "public_network_access_enabled": Expression("var.public_network_access_enabled"),
        },
    )


def _existing_endpoint(dce_id: str) -> str:
    *_, group, _, _, _, name = dce_id.split("/")
    return _block(f'data "{_ENDPOINT}" "endpoint"', {"name": name, "resource_group_name": group})


def _endpoint_of(design: Design) -> str:
    return f"data.{_ENDPOINT}.endpoint" if design.dce_id else f"{_ENDPOINT}.endpoint"


def _rule_behind_endpoint(design: Design) -> str:
    columns = "\n".join(
        f"    column {{\n      name = {_literal(name, '')}\n      type = {_literal(type_name, '')}\n    }}"
        for name, type_name in design.stream_columns.items()
    )
    needed = "".join(f"\n  {key} = {_literal(value, '  ')}\n" for key, value in _depends_on(design).items())
    return f"""\
resource "azurerm_monitor_data_collection_rule" "rule" {{
  name                        = var.rule_name
  resource_group_name         = var.resource_group_name
  location                    = local.location
  data_collection_endpoint_id = {_endpoint_of(design)}.id

  stream_declaration {{
    stream_name = {_literal(design.stream, "")}
{columns}
  }}

  destinations {{
    log_analytics {{
      workspace_resource_id = data.azurerm_log_analytics_workspace.workspace.id
      name                  = "{DESTINATION}"
    }}
  }}

  data_flow {{
    streams       = [{_literal(design.stream, "")}]
    destinations  = ["{DESTINATION}"]
    transform_kql = {_literal(design.transform, "")}
    output_stream = {_literal(design.output, "")}
  }}
{needed}}}"""


def _depends_on(design: Design) -> dict[str, Any]:
    kind = "azapi_update_resource" if design.is_built_in else "azapi_resource"
    return {"depends_on": [Expression(f"{kind}.table")]} if design.changes_table else {}


def _rule(design: Design) -> str:
    return "azapi_resource.rule" if design.is_direct else "azurerm_monitor_data_collection_rule.rule"


def _role(design: Design) -> str:
    remark = "# Without this role, the endpoint answers 403. An assignment can take 30 minutes to take effect.\n"
    return remark + _block(
        'resource "azurerm_role_assignment" "sender"',
        {
            "scope": Expression(f"{_rule(design)}.id"),
            "role_definition_name": ROLE_NAME,
            "principal_id": Expression("var.principal_id"),
            "principal_type": Expression("var.principal_type"),
        },
    )


def _outputs(design: Design) -> Iterator[str]:
    rule = _rule(design)
    values = {
        "DATA_COLLECTION_ENDPOINT": Expression(f"{rule}.output.properties.endpoints.logsIngestion"),
        "LOGS_DCR_RULE_ID": Expression(f"{rule}.output.properties.immutableId"),
        "LOGS_DCR_STREAM_NAME": design.stream,
    }
    if not design.is_direct:
        values |= {
            "DATA_COLLECTION_ENDPOINT": Expression(f"{_endpoint_of(design)}.logs_ingestion_endpoint"),
            "LOGS_DCR_RULE_ID": Expression(f"{rule}.immutable_id"),
        }
    for name, value in values.items():
        yield _block(f'output "{name}"', {"value": value})


def _block(heading: str, body: Mapping[str, Any]) -> str:
    """Render a block as `terraform fmt` does, with the equals signs of neighbouring lines aligned."""
    return f"{heading} {_attributes(body, '')}"


def _attributes(body: Mapping[str, Any], indent: str) -> str:
    inner = f"{indent}  "
    lines = []
    written = {_key(key): _literal(value, inner) for key, value in body.items()}
    for group in _neighbours(written):
        width = max(map(len, group))
        lines += [f"{inner}{key:{width}} = {value}" for key, value in group.items()]
    return "\n".join(["{", *lines, f"{indent}}}"])


def _neighbours(written: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Group the lines to align; a value of several lines ends a group and stands alone."""
    group: dict[str, str] = {}
    for key, value in written.items():
        if "\n" in value:
            if group:
                yield group
            yield {key: value}
            group = {}
        else:
            group[key] = value
    if group:
        yield group


def _literal(value: Any, indent: str) -> str:
    """Render a JSON value as a literal, and an expression unchanged."""
    inner = f"{indent}  "
    if isinstance(value, Expression):
        return str(value)
    if isinstance(value, Mapping):
        if is_column(value):
            return f"{{ name = {_literal(value['name'], '')}, type = {_literal(value['type'], '')} }}"
        return _attributes(value, indent)
    if isinstance(value, list):
        if not any(isinstance(item, Mapping) for item in value):
            return f"[{', '.join(_literal(item, indent) for item in value)}]"
        return "\n".join(["[", *(f"{inner}{_literal(item, inner)}," for item in value), f"{indent}]"])
    if isinstance(value, str):
        # HCL has JSON's escapes, and two more of its own.
        return json.dumps(value, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
    return json.dumps(value)


def _key(key: str) -> str:
    return key if _IDENTIFIER.fullmatch(key) else _literal(key, "")
