"""Read what is deployed: the rule's stream and data flow, and the table behind it.

The source is a file (a rule as written by the REST API, `az … show` or a template), or Azure Resource Manager.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..._config.dcr import Flow, Rule, read_rules
from ..._config.presets import BUILT_IN, preset
from ...errors import ConfigurationError
from .comparison import Columns
from .resource_manager import ManagerError, ResourceManager


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """Hold what is known of a rule's stream; None means unknown."""

    source: str
    stream: Columns | None
    output: str
    transform: str = "source"
    table: Columns | None = None
    workspace: str | None = None
    """The resource id of the workspace."""
    remark: str = ""

    @property
    def table_name(self) -> str:
        """Return the name of the table that the flow writes to."""
        return self.output.partition("-")[2]


def from_file(path: str, rule_id: str, stream: str) -> Deployed:
    """Read the rule with this id, else one that declares the stream; raise a ConfigurationError if there is none."""
    rules = read_rules([path])
    candidates = [rule for rule in rules if rule.rule_id == rule_id] or rules
    rule = next((rule for rule in candidates if stream in rule.streams), None)
    if rule is None:
        declared = ", ".join(name for each in candidates for name in each.streams)
        raise ConfigurationError([f"--dcr {path} does not declare the stream {stream!r}; it declares {declared}"])
    # `read_rules` has just parsed the file, so this cannot fail.
    document = json.loads(Path(path).read_bytes().decode("utf-8-sig"))
    flow, remark = _flow(rule, stream)
    columns = dict(_tables(document)).get(flow.table)
    if flow.built_in:
        columns = _built_in(flow.output, columns)
    return _deployed(f"--dcr {path}", rule, stream, flow, table=columns, remark=remark)


def only_stream(path: str) -> dict[str, str]:
    """Return the stream as an argument if the file declares exactly one."""
    declared = [stream for rule in read_rules([path]) for stream in rule.streams]
    return {"stream": declared[0]} if len(declared) == 1 else {}


def from_manager(manager: ResourceManager, rule_id: str, stream: str) -> Deployed | None:
    """Read the rule from Azure Resource Manager; return None if there is none, raise a ManagerError on failure."""
    resource = manager.rule(rule_id)
    if resource is None:
        return None
    try:
        (rule, *_) = read_rules([resource])
    except ConfigurationError as error:
        raise ManagerError(f"the rule cannot be read: {'; '.join(error.problems)}") from error
    source = str(resource.get("id", rule_id))
    if stream not in rule.streams:
        return Deployed(source=source, stream=None, output="", remark=f"it declares {', '.join(rule.streams)}")
    flow, remark = _flow(rule, stream)
    workspace = _workspace(resource)
    table: Columns | None = None
    if workspace is not None:
        try:
            table = manager.table(workspace, flow.table)
        except ManagerError as error:
            remark = str(error)
    return _deployed(source, rule, stream, flow, table=table, workspace=workspace, remark=remark)


def _deployed(source: str, rule: Rule, stream: str, flow: Flow, **more: Any) -> Deployed:
    return Deployed(
        source=source, stream=rule.streams[stream], output=flow.output, transform=flow.transform.strip(), **more
    )


def _flow(rule: Rule, stream: str) -> tuple[Flow, str]:
    """Return the flow to examine, and a remark on the others."""
    flows = [flow for flow in rule.flows if flow.stream == stream]
    if not flows:
        raise ConfigurationError([f"no data flow of the rule takes the stream {stream!r}, so its rows go nowhere"])
    others = ", ".join(flow.table for flow in flows[1:])
    return flows[0], f"the rule also writes rows to {others}, which was not examined" if others else ""


def _workspace(resource: Mapping[str, Any]) -> str | None:
    """Return the workspace that the rule writes to, or None if there are several."""
    destinations = resource["properties"].get("destinations") or {}
    entries = destinations.get("logAnalytics") or []
    workspaces = {entry.get("workspaceResourceId") for entry in entries if isinstance(entry, Mapping)}
    (workspace,) = workspaces if len(workspaces) == 1 else (None,)
    return workspace if isinstance(workspace, str) and workspace.startswith("/subscriptions/") else None


def _tables(node: object) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the tables that a template creates, with their columns."""
    if isinstance(node, Mapping):
        schema = node.get("schema")
        if isinstance(schema, Mapping) and isinstance(schema.get("name"), str):
            entries = schema.get("columns")
            columns = [entry for entry in entries if isinstance(entry, Mapping)] if isinstance(entries, list) else []
            yield schema["name"], {str(column.get("name")): str(column.get("type")).lower() for column in columns}
        for value in node.values():
            yield from _tables(value)
    elif isinstance(node, list):
        for value in node:
            yield from _tables(value)


def _built_in(output: str, added: Mapping[str, str] | None) -> dict[str, str] | None:
    """Return the columns of one of Azure's own tables, together with those added to it."""
    names = [name for name, known in BUILT_IN.items() if known == output]
    return {column.name: column.type for column in preset(names[0])} | dict(added or {}) if names else None
