"""Read rules, tables and workspaces from Azure Resource Manager, as the identity that sends.

The handler knows a rule by its immutable id, which Resource Manager cannot look up. Azure Resource Graph can, in every
subscription that the identity may read. A local workspace answers the same requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..._azure.redaction import without_secrets
from ...errors import AzureMonitorLoggingError
from ...trouble import one_line

_GRAPH = "/providers/Microsoft.ResourceGraph/resources?api-version=2021-03-01"
_WORKSPACE_API = "2022-10-01"
_CONNECT_SECONDS, _READ_SECONDS = 10, 30
_MESSAGE_LENGTH = 300
# Columns that Log Analytics fills itself; a custom table has further ones that only agents fill.
_SERVICES_OWN = frozenset({"TenantId", "Type"})
_AGENTS_OWN = frozenset({"Computer", "MG", "ManagementGroupName", "RawData", "SourceSystem", "Title"})


class ManagerError(AzureMonitorLoggingError):
    """Report why Azure Resource Manager gave no usable answer."""


class ResourceManager:
    """Read deployed resources; used by one thread."""

    def __init__(self, address: str, credential: Any, http: Mapping[str, Any] = MappingProxyType({})) -> None:
        """Take a credential, or None for a local workspace, which needs no real token; `http` is for the client."""
        from .._shared.azure import resource_manager_client

        self._address = address
        self._client: Any = resource_manager_client(address, credential, http)

    def rule(self, rule_id: str) -> Mapping[str, Any] | None:
        """Return the rule with this immutable id, or None if it does not exist or the identity cannot read it."""
        query = (
            "resources | where type =~ 'microsoft.insights/datacollectionrules'"
            f" | where properties.immutableId =~ '{rule_id}' | project id, name, location, kind, properties"
        )
        data = self._ask("POST", _GRAPH, {"query": query}).get("data")
        rules = data if isinstance(data, list) else []
        return rules[0] if rules and isinstance(rules[0], Mapping) else None

    def table(self, workspace: str, table: str) -> dict[str, str]:
        """Return a table's columns and their types, without those that the service fills."""
        answer = self._ask("GET", f"{workspace}/tables/{table}?api-version={_WORKSPACE_API}")
        schema = _member(answer, "properties", "schema")
        left_out = _SERVICES_OWN | (_AGENTS_OWN if table.endswith("_CL") else frozenset())
        standard = [each for each in schema.get("standardColumns") or () if each["name"] not in left_out]
        return {
            column["name"]: "boolean" if (kind := column["type"].lower()) == "bool" else kind
            for column in [*standard, *(schema.get("columns") or ())]
            if not column["name"].startswith("_")
        }

    def workspace_id(self, workspace: str) -> str:
        """Return the id by which a workspace is queried."""
        answer = self._ask("GET", f"{workspace}?api-version={_WORKSPACE_API}")
        return str(_member(answer, "properties").get("customerId", ""))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _ask(self, method: str, path: str, body: Any = None) -> Mapping[str, Any]:
        from .._shared.azure import AzureError, HttpRequest

        request = HttpRequest(method, f"{self._address}{path}", json=body)
        try:
            response = self._client.send_request(
                request, connection_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS
            )
            answer = response.json() if response.content else None
        except (AzureError, OSError, ValueError) as error:
            raise ManagerError(f"{self._address} gave no answer: {_shortened(error)}") from error
        if response.status_code != 200 or not isinstance(answer, Mapping):
            details = answer.get("error") if isinstance(answer, Mapping) else None
            details = details if isinstance(details, Mapping) else {}
            code, message = details.get("code", ""), details.get("message", "")
            raise ManagerError(f"{self._address} answered {response.status_code} {code}: {_shortened(message)}")
        return answer


def _member(answer: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    for key in keys:
        value = answer.get(key)
        if not isinstance(value, Mapping):
            raise ManagerError(f"the answer has no {key}, so it did not come from Azure Resource Manager")
        answer = value
    return answer


def _shortened(message: object) -> str:
    # The text is cut after that: half a password could not be found.
    return one_line(without_secrets(str(message)), _MESSAGE_LENGTH)
