"""Reads rules, tables and workspaces from Azure Resource Manager, with the identity that sends.

The handler knows a rule by its immutable id, which Resource Manager cannot look up; Azure Resource Graph can, in all
subscriptions that the identity may read. A local workspace answers the same requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._rows.jsonable import one_line
from ..errors import AzureMonitorLoggingError

_GRAPH = "/providers/Microsoft.ResourceGraph/resources?api-version=2021-03-01"
_WORKSPACE_API = "2022-10-01"
_CONNECT_SECONDS, _READ_SECONDS = 10, 30
_MESSAGE_LENGTH = 300
# What Log Analytics writes itself; in a table of one's own there are more that only agents fill.
_SERVICES_OWN = frozenset({"TenantId", "Type"})
_AGENTS_OWN = frozenset({"Computer", "MG", "ManagementGroupName", "RawData", "SourceSystem", "Title"})


class ManagerError(AzureMonitorLoggingError):
    """Say why there was no answer."""


class ResourceManager:
    """Ask for what is deployed; used by one thread."""

    def __init__(self, address: str, credential: Any) -> None:
        """Take a credential, or None for a local workspace, which asks for no real token."""
        from azure.core import PipelineClient
        from azure.core.pipeline import policies
        from azure.core.pipeline.transport import RequestsTransport

        is_local = credential is None
        authentication: Any = (
            policies.HeadersPolicy({"Authorization": "Bearer local"})
            if is_local
            else policies.BearerTokenCredentialPolicy(credential, f"{address}/.default")
        )
        self._address = address
        self._client: Any = PipelineClient(
            address,
            policies=[policies.UserAgentPolicy(sdk_moniker="logging-azmon-check"), authentication],
            transport=RequestsTransport(use_env_settings=not is_local),
        )

    def rule(self, rule_id: str) -> Mapping[str, Any] | None:
        """Return the rule with this immutable id, or None if there is none that the identity may read."""
        query = (
            "resources | where type =~ 'microsoft.insights/datacollectionrules'"
            f" | where properties.immutableId =~ '{rule_id}' | project id, name, location, kind, properties"
        )
        found = self._ask("POST", _GRAPH, {"query": query}).get("data")
        rules = found if isinstance(found, list) else []
        return rules[0] if rules and isinstance(rules[0], Mapping) else None

    def table(self, workspace: str, table: str) -> dict[str, str]:
        """Return a table's columns and their types, without those that the service writes."""
        answer = self._ask("GET", f"{workspace}/tables/{table}?api-version={_WORKSPACE_API}")
        schema = _below(answer, "properties", "schema")
        left_out = _SERVICES_OWN | (_AGENTS_OWN if table.endswith("_CL") else frozenset())
        standard = [each for each in schema.get("standardColumns") or () if each["name"] not in left_out]
        return {
            column["name"]: "boolean" if (kind := column["type"].lower()) == "bool" else kind
            for column in [*standard, *(schema.get("columns") or ())]
            if not column["name"].startswith("_")
        }

    def workspace_id(self, workspace: str) -> str:
        """Return the id under which a workspace is queried."""
        answer = self._ask("GET", f"{workspace}?api-version={_WORKSPACE_API}")
        return str(_below(answer, "properties").get("customerId", ""))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _ask(self, method: str, path: str, body: Any = None) -> Mapping[str, Any]:
        from azure.core.exceptions import AzureError
        from azure.core.rest import HttpRequest

        request = HttpRequest(method, f"{self._address}{path}", json=body)
        try:
            response = self._client.send_request(
                request, connection_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS
            )
            answer = response.json() if response.content else None
        except (AzureError, ValueError) as error:
            raise ManagerError(f"{self._address} gave no answer: {_line(error)}") from error
        if response.status_code != 200 or not isinstance(answer, Mapping):
            said = answer.get("error", {}) if isinstance(answer, Mapping) else {}
            code, message = (said.get("code", ""), said.get("message", "")) if isinstance(said, Mapping) else ("", "")
            raise ManagerError(f"{self._address} answered {response.status_code} {code}: {_line(message)}")
        return answer


def _below(answer: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    for key in keys:
        found = answer.get(key)
        if not isinstance(found, Mapping):
            raise ManagerError(f"the answer has no {key}, so it is not of Azure Resource Manager")
        answer = found
    return answer


def _line(said: object) -> str:
    return one_line(said, _MESSAGE_LENGTH)
