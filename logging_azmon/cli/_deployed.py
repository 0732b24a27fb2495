"""Finds what is deployed: the rule's stream and flow, and the table behind it.

From a file (the rule as the REST API, `az … show` or a template has it), or from Azure Resource Manager.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._config.dcr import Flow, Rule, read_rules
from .._config.presets import BUILT_IN, preset
from ..errors import ConfigurationError
from ._azure import ManagerError, ResourceManager
from ._comparison import Columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """Hold what is known of a rule's stream; None is what is not."""

    source: str
    stream: Columns | None
    output: str
    transform: str = "source"
    table: Columns | None = None
    workspace: str | None = None
    """The workspace's resource id."""
    remark: str = ""

    @property
    def table_name(self) -> str:
        """Name the table behind the flow."""
        return self.output.partition("-")[2]


def from_file(path: str, rule_id: str, stream: str) -> Deployed:
    """Read the rule of this id, or else one that declares the stream; raises a ConfigurationError."""
    rules = read_rules([path])
    named = [rule for rule in rules if rule.rule_id == rule_id]
    rule = next((rule for rule in named or rules if stream in rule.streams), None)
    if rule is None:
        declared = ", ".join(name for each in named or rules for name in each.streams)
        raise ConfigurationError([f"--dcr {path} does not declare the stream {stream!r}; it has {declared}"])
    # It was read as JSON a moment ago.
    document = json.loads(Path(path).read_bytes().decode("utf-8-sig"))
    flow, more = _flow(rule, stream)
    name = flow.table
    tables = dict(_tables(document))
    columns = _built_in(flow.output, tables.get(name)) if flow.built_in else tables.get(name)
    return _deployed(f"--dcr {path}", rule, stream, flow, table=columns, remark=more)


def only_stream(path: str) -> dict[str, str]:
    """Return the stream as an argument if the file declares but one."""
    declared = [stream for rule in read_rules([path]) for stream in rule.streams]
    return {"stream": declared[0]} if len(declared) == 1 else {}


def from_manager(manager: ResourceManager, rule_id: str, stream: str) -> Deployed | None:
    """Ask Azure Resource Manager; None if there is no such rule to be read, a ManagerError if it cannot be asked."""
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
    """Return the flow that is looked into, and what is to be said of others."""
    flows = [flow for flow in rule.flows if flow.stream == stream]
    if not flows:
        raise ConfigurationError([f"no data flow of the rule takes the stream {stream!r}: its rows go nowhere"])
    others = ", ".join(flow.table for flow in flows[1:])
    return flows[0], f"the rule also puts rows into {others}, which is not looked at" if others else ""


def _workspace(resource: Mapping[str, Any]) -> str | None:
    """Return the only workspace that the rule writes to."""
    destinations = resource["properties"].get("destinations") or {}
    listed = destinations.get("logAnalytics") or []
    found = {each.get("workspaceResourceId") for each in listed if isinstance(each, Mapping)}
    (workspace,) = found if len(found) == 1 else (None,)
    return workspace if isinstance(workspace, str) and workspace.startswith("/subscriptions/") else None


def _tables(node: object) -> Iterator[tuple[str, dict[str, str]]]:
    """Walk a template for the tables that it makes."""
    if isinstance(node, Mapping):
        schema = node.get("schema")
        if isinstance(schema, Mapping) and isinstance(schema.get("name"), str):
            listed = schema.get("columns")
            columns = [each for each in listed if isinstance(each, Mapping)] if isinstance(listed, list) else []
            yield schema["name"], {str(each.get("name")): str(each.get("type")).lower() for each in columns}
        for value in node.values():
            yield from _tables(value)
    elif isinstance(node, list):
        for value in node:
            yield from _tables(value)


def _built_in(output: str, added: Mapping[str, str] | None) -> dict[str, str] | None:
    """Return the columns of one of Azure's own tables, with those that were added to it."""
    names = [name for name, known in BUILT_IN.items() if known == output]
    return {column.name: column.type for column in preset(names[0])} | dict(added or {}) if names else None
