"""Describe the resources to deploy: a table, a rule with one stream, an endpoint, and the role for the sender.

The stream has exactly the handler's columns. The table may differ: it always has TimeGenerated, and in one of Azure's
own tables the name of an added column ends with _CF. The rule's transformation converts between the two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .._config.presets import BUILT_IN, preset
from ..errors import ConfigurationError
from ..table import MAX_COLUMNS, Table
from .naming import check_name, check_retention

# "Monitoring Metrics Publisher", the same in every tenant.
ROLE_ID = "3913510d-42f4-4e42-8a64-420c390055eb"
ROLE_NAME = "Monitoring Metrics Publisher"

TABLE_API = "2025-07-01"
RULE_API = "2023-03-11"
ROLE_API = "2022-04-01"

PRINCIPAL_TYPES = ("ServicePrincipal", "User", "Group")

# The rule's name for its workspace.
DESTINATION = "workspace"
CUSTOM_COLUMN = "_CF"

Columns = dict[str, str]


@dataclass(frozen=True, slots=False, kw_only=True)
class Design:
    """Describe the resources; a value that is not known yet (None) becomes a parameter of the template."""

    columns: Table
    table: str = "App_CL"
    stream: str = "Custom-App"
    rule: str = "logging-azmon"
    plan: str = "Analytics"
    retention_days: int | None = None
    total_retention_days: int | None = None
    dce: str | None = None
    """Name of the data collection endpoint to create, for private link; by default the rule has its own endpoint."""
    dce_id: str | None = None
    """Resource id of the data collection endpoint to use, such as a workspace's own."""
    resource_group: str | None = None
    workspace: str | None = None
    location: str | None = None
    principal_id: str | None = None
    principal_type: str = PRINCIPAL_TYPES[0]
    diagnostics: bool = False
    """Whether the rule's errors are collected in the table DCRLogErrors."""
    alerts: str | None = None
    """The e-mail address, or the resource id of an action group, to which alerts go; None makes no alerts."""
    workbook: bool = False

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise ConfigurationError(problems)

    @property
    def is_built_in(self) -> bool:
        """Return whether the table is Azure's own."""
        return not self.table.endswith("_CL")

    @property
    def is_direct(self) -> bool:
        """Return whether the rule has an endpoint of its own."""
        return self.dce is None and self.dce_id is None

    @property
    def changes_table(self) -> bool:
        """Return whether the table is created or changed: one of Azure's own may stay as it is."""
        return bool(self.table_columns or self.retention_days or self.total_retention_days)

    @property
    def is_mailed(self) -> bool:
        """Return whether alerts go to an e-mail address, for which an action group is made."""
        return self.alerts is not None and "@" in self.alerts

    @property
    def output(self) -> str:
        """Return the flow's outputStream."""
        return f"{'Microsoft' if self.is_built_in else 'Custom'}-{self.table}"

    @cached_property
    def stream_columns(self) -> Columns:
        """Return the stream's columns, which are those that the handler sends."""
        return {column.name: column.type for column in self.columns}

    @cached_property
    def renamed(self) -> Mapping[str, str]:
        """Map columns of the stream to their names in the table, where one of Azure's own tables needs another."""
        known = self._built_in_columns
        return {
            name: f"{name}{CUSTOM_COLUMN}"
            for name in (self.stream_columns if self.is_built_in else ())
            if name not in known and name != "TimeGenerated" and not name.endswith(CUSTOM_COLUMN)
        }

    @cached_property
    def table_columns(self) -> Columns:
        """Return the columns to create: all of a custom table's, only the added ones of one of Azure's own tables."""
        if not self.is_built_in:
            return {"TimeGenerated": "datetime"} | self.stream_columns
        names = {self.renamed.get(name, name): type_name for name, type_name in self.stream_columns.items()}
        return {name: type_name for name, type_name in names.items() if name.endswith(CUSTOM_COLUMN)}

    @cached_property
    def transform(self) -> str:
        """Return the transformKql."""
        steps = ["source"]
        if "TimeGenerated" not in self.stream_columns:
            times = [column.name for column in self.columns if column.field == "time" and column.type == "datetime"]
            steps.append(f"extend TimeGenerated = {_bracketed(times[0]) if times else 'now()'}")
        if self.renamed:
            pairs = (f"{new} = {_bracketed(old)}" for old, new in self.renamed.items())
            steps.append(f"project-rename {', '.join(pairs)}")
        return " | ".join(steps)

    def table_properties(self) -> dict[str, Any]:
        """Return the table's properties for Azure's REST API."""
        properties: dict[str, Any] = {}
        if not self.is_built_in:
            properties["plan"] = self.plan
        if self.retention_days is not None:
            properties["retentionInDays"] = self.retention_days
        if self.total_retention_days is not None:
            properties["totalRetentionInDays"] = self.total_retention_days
        schema = {"name": self.table, "columns": _column_list(self.table_columns)}
        return properties | ({"schema": schema} if self.table_columns else {})

    def rule_properties(self, *, workspace_id: Any, dce_id: Any) -> dict[str, Any]:
        """Return the rule's properties for Azure's REST API; the ids are written in the template's language."""
        endpoint = {} if self.is_direct else {"dataCollectionEndpointId": dce_id}
        return endpoint | {
            "streamDeclarations": {self.stream: {"columns": _column_list(self.stream_columns)}},
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
    def _built_in_columns(self) -> Columns:
        names = [name for name, output in BUILT_IN.items() if output == f"Microsoft-{self.table}"]
        return {column.name: column.type for column in preset(names[0])} if names else {}

    def _problems(self) -> Iterator[str]:
        yield from check_name("built-in" if self.is_built_in else "table", self.table)
        yield from check_name("stream", self.stream)
        if self.dce and self.dce_id:
            yield "dce and dce-id exclude each other: one endpoint is created, the other exists"
        if self.principal_type not in PRINCIPAL_TYPES:
            yield f"principal-type {self.principal_type!r} is not known; Azure has {', '.join(PRINCIPAL_TYPES)}"
        for kind in ("rule", "dce", "dce_id", "workspace", "resource_group", "location", "principal_id"):
            value = getattr(self, kind)
            if value is not None:
                yield from check_name(kind, value)
        if self.alerts is not None:
            yield from check_name("alerts", self.alerts)
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
        known = self._built_in_columns
        if not known:
            tables = ", ".join(output.removeprefix("Microsoft-") for output in BUILT_IN.values())
            yield (
                f"table {self.table!r} is not known: a custom table's name ends with _CL, and of Azure's own tables"
                f" only these are supported: {tables}"
            )
            return
        if self.plan != "Analytics":
            yield f"{self.table} is one of Azure's own tables and has its plan already: leave it out"
        for name, type_name in self.stream_columns.items():
            if name in known and not _is_stored_whole(type_name, known[name]):
                yield f"column {name!r} is sent as {type_name}, but is {known[name]} in {self.table}: change its type"
        for old, new in self.renamed.items():
            if len(new) > 45:
                yield f"column {old!r} would be {new!r} in {self.table}, over 45 characters: shorten {old!r} to 42"
            elif new in self.stream_columns:
                yield f"columns {old!r} and {new!r} would both be {new!r} in {self.table}: rename one of them"


def _column_list(columns: Columns) -> list[dict[str, str]]:
    return [{"name": name, "type": type_name} for name, type_name in columns.items()]


def _is_stored_whole(sent: str, held: str) -> bool:
    """Return whether a column of one type can hold every value of another."""
    return sent == held or (sent in ("int", "long") and held in ("long", "real"))


def _bracketed(name: str) -> str:
    """Quote a column's name for KQL, in which it may be a reserved word."""
    return f"['{name}']"
