"""Write the KQL of alerts and workbook for the columns that a table has.

Each query runs on the local workspace in the tests.
"""

from __future__ import annotations

from collections.abc import Callable

from ..table import Extra
from .design import Design

# A row may be this late: rows wait while Azure is away.
_LATE = "30m"
_NOTICE_LOGGER = "logging_azmon"


class NoColumnError(Exception):
    """Raised with the reason if a table has no column for a query."""


class Columns:
    """Find the table's columns by the fields that fill them, each quoted for KQL."""

    def __init__(self, design: Design) -> None:
        self._names: dict[str, str] = {}
        self._types: dict[str, str] = {}
        for column in design.columns:
            name = design.renamed.get(column.name, column.name)
            self._types[name] = column.type
            field = column.source.field if isinstance(column.source, Extra) else column.field
            if field is not None:
                self._names.setdefault(field, name)

    def of(self, *fields: str) -> str:
        """Return the column that the first of these fields fills that fills one."""
        for field in fields:
            if field in self._names:
                return f"['{self._names[field]}']"
        raise NoColumnError(f"no column takes {' or '.join(fields)}")

    def of_duration(self) -> str:
        """Return the first column for a number that is called a duration."""
        for name, kind in self._types.items():
            if kind in ("int", "long", "real") and any(word in name.lower() for word in ("duration", "elapsed")):
                return f"['{name}']"
        raise NoColumnError("no column for a number is called Duration or Elapsed")


Query = Callable[[str, Columns], str]


def lost_rows(table: str, columns: Columns) -> str:
    """Return the library's own rows that tell of losses."""
    return f"""{table}
| where {columns.of("logger")} == '{_NOTICE_LOGGER}' and {columns.of("message")} has 'dropped'
| project TimeGenerated, Loss = {columns.of("message")}"""


def missing_rows(table: str, columns: Columns) -> str:
    """Return how many numbers of `Sequence` are missing, among rows that have had time to arrive.

    Rows at the ends of the period do not count, because their neighbours may be outside it.
    """
    instance, sequence = columns.of("instance"), columns.of("sequence")
    return f"""{table}
| where TimeGenerated between (ago(2h) .. ago({_LATE}))
| summarize TimeGenerated = min(TimeGenerated) by {instance}, {sequence}
| sort by {instance} asc, {sequence} asc
| extend Missing = iff({instance} == prev({instance}), {sequence} - prev({sequence}) - 1, 0)
| where Missing > 0 and TimeGenerated between (ago(110m) .. ago(45m))
| summarize Missing = sum(Missing)"""


def rule_errors(table: str, columns: Columns) -> str:  # noqa: ARG001 - as the others
    """Return the errors that the service has logged for a rule, which must be the scope of the query."""
    return "DCRLogErrors"


def all_rows(table: str, columns: Columns) -> str:  # noqa: ARG001 - as the others
    """Count the rows of the period."""
    return f"{table}\n| summarize Rows = count()"


def rows_by_level(table: str, columns: Columns) -> str:
    """Return the number of rows of each level over time."""
    return f"""{table}
| summarize Rows = count() by {columns.of("level")}, bin(TimeGenerated, 5m)
| render timechart"""


def rows_by_source(table: str, columns: Columns) -> str:
    """Return the number of rows of each service, or else of each host, over time."""
    return f"""{table}
| summarize Rows = count() by {columns.of("service_name", "host")}, bin(TimeGenerated, 5m)
| render timechart"""


def gaps(table: str, columns: Columns) -> str:
    """Return where numbers of `Sequence` are missing."""
    instance, sequence = columns.of("instance"), columns.of("sequence")
    return f"""{table}
| summarize TimeGenerated = min(TimeGenerated) by {instance}, {sequence}
| sort by {instance} asc, {sequence} asc
| extend Missing = iff({instance} == prev({instance}), {sequence} - prev({sequence}) - 1, 0)
| where Missing > 0
| project TimeGenerated, {instance}, Missing, Before = {sequence}"""


def slowest(table: str, columns: Columns) -> str:
    """Return the rows with the longest duration."""
    duration = columns.of_duration()
    return f"""{table}
| where isnotnull({duration})
| top 20 by {duration} desc
| project TimeGenerated, {duration}, {columns.of("message")}"""


def cost_by_logger(table: str, columns: Columns) -> str:
    """Return the billed volume of each logger."""
    return f"""{table}
| summarize Rows = count(), MB = round(sum(_BilledSize) / 1000000.0, 3) by {columns.of("logger")}
| top 20 by MB desc"""
