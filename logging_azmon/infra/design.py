"""What is to be deployed: a table, a rule with one stream, an endpoint, and the role to send to it.

A stream has the handler's columns as they are. Where the table has to differ, the rule's transformation makes up for
it: a table always has TimeGenerated, and in one of Azure's own tables a column of yours ends with _CF.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .._config.presets import BUILT_IN, preset
from ..errors import ConfigurationError
from ..table import MAX_COLUMNS, Table
from .names import check_name, check_retention

# "Monitoring Metrics Publisher", the same in every tenant.
ROLE_ID = "3913510d-42f4-4e42-8a64-420c390055eb"
ROLE_NAME = "Monitoring Metrics Publisher"

TABLE_API = "2025-07-01"
RULE_API = "2023-03-11"
ROLE_API = "2022-04-01"

# What the rule calls its workspace.
DESTINATION = "workspace"
CUSTOM_COLUMN = "_CF"

Columns = dict[str, str]


@dataclass(frozen=True, slots=False, kw_only=True)
class Design:
    """Hold what is wanted; what is not known yet (None) becomes a parameter of the template."""

    columns: Table
    table: str = "App_CL"
    stream: str = "Custom-App"
    rule: str = "logging-azmon"
    plan: str = "Analytics"
    retention_days: int | None = None
    total_retention_days: int | None = None
    dce: str | None = None
    """The Data Collection Endpoint to make, for private link; by default the rule has an endpoint of its own."""
    resource_group: str | None = None
    workspace: str | None = None
    location: str | None = None
    principal_id: str | None = None

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise ConfigurationError(problems)

    @property
    def is_built_in(self) -> bool:
        """Tell whether the table is Azure's own."""
        return not self.table.endswith("_CL")

    @property
    def output(self) -> str:
        """Return the flow's outputStream."""
        return f"{'Microsoft' if self.is_built_in else 'Custom'}-{self.table}"

    @cached_property
    def declared(self) -> Columns:
        """Return the stream's columns: what the handler sends."""
        return {column.name: column.type for column in self.columns}

    @cached_property
    def renamed(self) -> Mapping[str, str]:
        """Map columns of the stream to what they are called in one of Azure's own tables, where that differs."""
        known = self._azures_columns
        return {
            name: f"{name}{CUSTOM_COLUMN}"
            for name in (self.declared if self.is_built_in else ())
            if name not in known and name != "TimeGenerated" and not name.endswith(CUSTOM_COLUMN)
        }

    @cached_property
    def table_columns(self) -> Columns:
        """Return the columns that have to be created: all of a table of ours, the added ones of Azure's own."""
        if not self.is_built_in:
            return {"TimeGenerated": "datetime"} | self.declared
        names = {self.renamed.get(name, name): type_name for name, type_name in self.declared.items()}
        return {name: type_name for name, type_name in names.items() if name.endswith(CUSTOM_COLUMN)}

    @cached_property
    def transform(self) -> str:
        """Return the transformKql."""
        steps = ["source"]
        if "TimeGenerated" not in self.declared:
            times = [column.name for column in self.columns if column.source == "time" and column.type == "datetime"]
            steps.append(f"extend TimeGenerated = {_quoted(times[0]) if times else 'now()'}")
        if self.renamed:
            pairs = (f"{new} = {_quoted(old)}" for old, new in self.renamed.items())
            steps.append(f"project-rename {', '.join(pairs)}")
        return " | ".join(steps)

    def table_properties(self) -> dict[str, Any]:
        """Return the table as Azure's REST API takes it."""
        properties: dict[str, Any] = {}
        if not self.is_built_in:
            properties["plan"] = self.plan
        if self.retention_days is not None:
            properties["retentionInDays"] = self.retention_days
        if self.total_retention_days is not None:
            properties["totalRetentionInDays"] = self.total_retention_days
        return properties | {"schema": {"name": self.table, "columns": _listed(self.table_columns)}}

    def rule_properties(self, *, workspace_id: Any, dce_id: Any) -> dict[str, Any]:
        """Return the rule's properties; the ids are what the language at hand has for them."""
        endpoint = {"dataCollectionEndpointId": dce_id} if self.dce else {}
        return endpoint | {
            "streamDeclarations": {self.stream: {"columns": _listed(self.declared)}},
            "destinations": {"logAnalytics": [{"workspaceResourceId": workspace_id, "name": DESTINATION}]},
            "dataFlows": [
                {
                    "streams": [self.stream],
                    "destinations": [DESTINATION],
                    "transformKql": self.transform,
                    "outputStream": self.output,
                }
            ],
        }

    @cached_property
    def _azures_columns(self) -> Columns:
        names = [name for name, output in BUILT_IN.items() if output == f"Microsoft-{self.table}"]
        return {column.name: column.type for column in preset(names[0])} if names else {}

    def _problems(self) -> Iterator[str]:
        yield from check_name("built-in" if self.is_built_in else "table", self.table)
        yield from check_name("stream", self.stream)
        for kind in ("rule", "dce", "workspace", "resource_group", "location", "principal_id"):
            value = getattr(self, kind)
            if value is not None:
                yield from check_name(kind, value)
        yield from check_retention(self.plan, self.retention_days, self.total_retention_days)
        try:
            self.columns.check_names()
        except ConfigurationError as error:
            yield from error.problems
        if self.is_built_in:
            yield from self._built_in_problems()
        elif len(self.table_columns) > MAX_COLUMNS:
            yield f"with TimeGenerated the table would have {len(self.table_columns)} columns; it holds {MAX_COLUMNS}"

    def _built_in_problems(self) -> Iterator[str]:
        known = self._azures_columns
        if not known:
            tables = ", ".join(output.removeprefix("Microsoft-") for output in BUILT_IN.values())
            yield (
                f"table {self.table!r}: a table of your own ends with _CL, and of Azure's own the columns are known"
                f" here of {tables}"
            )
            return
        if self.plan != "Analytics" or self.retention_days or self.total_retention_days:
            yield f"{self.table} has its plan and retention already: leave them out for one of Azure's own tables"
        for name, type_name in self.declared.items():
            if name in known and not _is_held(type_name, known[name]):
                yield f"column {name!r} is sent as {type_name}, and {self.table} holds {known[name]}: make it that"
        for old, new in self.renamed.items():
            if len(new) > 45:
                yield f"column {old!r} would be {new!r} in {self.table}, over 45 characters: shorten it to 42"
            elif new in self.declared:
                yield f"columns {old!r} and {new!r} are both sent: in {self.table} both would be {new!r}"


def _listed(columns: Columns) -> list[dict[str, str]]:
    return [{"name": name, "type": type_name} for name, type_name in columns.items()]


def _is_held(sent: str, held: str) -> bool:
    """Tell whether a table's column keeps every value that the stream sends: int and long fit wider numbers."""
    return sent == held or (sent in ("int", "long") and held in ("long", "real"))


def _quoted(name: str) -> str:
    """Write a column's name so that KQL takes it for one, whatever word it is."""
    return f"['{name}']"
