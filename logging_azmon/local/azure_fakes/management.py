"""Answer as Azure Resource Manager does about deployed resources: rules, tables, the workspace.

Only the reads that show whether rows will fit are answered; nothing can be deployed. Any thread may call in; there is
no state.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import orjson

from ..._config.dcr import Rule
from ..http.message import Request, Response, answer, failure
from ..storage.store import Store

WORKSPACE = "/subscriptions/local/resourceGroups/local/providers/Microsoft.OperationalInsights/workspaces/local"
_GRAPH = "/providers/Microsoft.ResourceGraph/resources"
_TABLE = re.compile(rf"{WORKSPACE}/tables/(?P<table>[\w-]+)", re.IGNORECASE)
_IMMUTABLE_ID = re.compile(r"immutableId\s*=[=~]\s*'([^']*)'", re.IGNORECASE)


class Management:
    """Describe the rules and tables of a workspace."""

    def __init__(self, rules: Iterable[Rule], store: Store, workspace_id: str) -> None:
        self._rules = tuple(rules)
        self._store = store
        self._workspace_id = workspace_id

    def answer(self, request: Request) -> Response | None:
        """Answer a request about a resource; return None for any other request."""
        if request.path == _GRAPH and request.method == "POST":
            return self._find_rules(request)
        if request.method != "GET":
            return None
        if request.path.lower() == WORKSPACE.lower():
            return answer({"id": WORKSPACE, "name": "local", "properties": {"customerId": self._workspace_id}})
        if found := _TABLE.fullmatch(request.path):
            return self._table(found["table"])
        return None

    def _find_rules(self, request: Request) -> Response:
        """Find rules by their immutable id. Clients query the graph for nothing else, so its KQL is not parsed."""
        try:
            query = orjson.loads(request.body)["query"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            query = None
        if not isinstance(query, str):
            return failure(400, "BadRequest", "The request body must be a JSON object whose `query` is a string.")
        asked = _IMMUTABLE_ID.search(query)
        data = [_resource(rule) for rule in self._rules if asked is None or rule.rule_id == asked[1]]
        return answer({"totalRecords": len(data), "count": len(data), "data": data, "resultTruncated": "false"})

    def _table(self, name: str) -> Response:
        columns = self._store.schema().get(name)
        if columns is None:
            return failure(404, "ResourceNotFound", f"The table {name} is not in this workspace.")
        listed = [{"name": column, "type": kind} for column, kind in columns.items()]
        return answer({"id": f"{WORKSPACE}/tables/{name}", "name": name, "properties": _properties(name, listed)})


def _properties(name: str, columns: list[dict[str, str]]) -> dict[str, Any]:
    return {"plan": "Analytics", "schema": {"name": name, "columns": columns}}


def _resource(rule: Rule) -> dict[str, Any]:
    name = rule.rule_id
    return {
        "id": f"/subscriptions/local/resourceGroups/local/providers/Microsoft.Insights/dataCollectionRules/{name}",
        "name": name,
        "location": "local",
        "kind": "Direct",
        "properties": {
            "immutableId": name,
            "streamDeclarations": {
                stream: {"columns": [{"name": column, "type": kind} for column, kind in columns.items()]}
                for stream, columns in rule.streams.items()
            },
            "destinations": {"logAnalytics": [{"workspaceResourceId": WORKSPACE, "name": "local"}]},
            "dataFlows": [
                {
                    "streams": [flow.stream],
                    "destinations": ["local"],
                    "transformKql": flow.transform,
                    "outputStream": flow.output,
                }
                for flow in rule.flows
            ],
        },
    }
