"""Describe what watches the rows once they flow: diagnostic setting, alerts, action group and workbook.

The properties are those of Azure's REST API. `Ids` has the expressions of the template's language for what is known
only in Azure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from .._config.service_limits import QUOTA_REQUESTS
from . import queries
from .design import Design
from .queries import Columns, NoColumnError, Query

_SETTING_API = "2021-05-01-preview"
_GROUP_API = "2023-01-01"
_METRIC_API = "2018-03-01"
_QUERY_API = "2023-12-01"
_WORKBOOK_API = "2023-06-01"
_RULE_METRICS = "Microsoft.Insights/dataCollectionRules"
_SINGLE = "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria"

# The share of a rule's quota of requests at which an alert fires.
_NEAR_QUOTA = 0.9
_WARNING = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Ids:
    """Hold expressions in the language of a template."""

    workspace: Any
    rule: Any
    scope: Any
    """The rule, as the scope of a resource."""
    location: Any
    # The action group that the template makes.
    group: Any
    workbook: Any
    """The workbook's name, a GUID."""
    named: Callable[[str], Any]
    """Return the rule's name with a suffix."""
    text_of: Callable[[Any], Any]
    """Return the expression for a JSON value as text."""


class Resource(NamedTuple):
    """Describe a resource: a symbol, its type, its API's version and the rest."""

    symbol: str
    kind: str
    api: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _MetricAlert:
    name: str
    title: str
    metric: str
    aggregation: str
    threshold: int
    minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _QueryAlert:
    name: str
    title: str
    query: Query
    window: str = "PT15M"
    every: str = "PT15M"
    # The column that is summed up; None counts rows.
    measure: str | None = None
    operator: str = "GreaterThan"
    # Whether it watches the rule, by what --diagnostics collects, and not the table.
    is_of_rule: bool = False


_METRIC_ALERTS = (
    _MetricAlert(
        name="rows-dropped",
        title="The rule has dropped rows",
        metric="RowsDropped_Count",
        aggregation="Total",
        threshold=0,
        minutes=5,
    ),
    _MetricAlert(
        name="transformation-errors",
        title="The rule's transformation has failed",
        metric="TransformationErrors_Count",
        aggregation="Count",
        threshold=0,
        minutes=5,
    ),
    _MetricAlert(
        name="requests-near-quota",
        title=f"The rule gets over {_NEAR_QUOTA:.0%} of the {QUOTA_REQUESTS:,} requests a minute that it may get",
        metric="ApiCallReceived_Count",
        aggregation="Count",
        threshold=round(QUOTA_REQUESTS * _NEAR_QUOTA),
        minutes=1,
    ),
)
_QUERY_ALERTS = (
    _QueryAlert(
        name="rule-errors",
        title="The service has refused rows or failed to store them: see DCRLogErrors",
        query=queries.rule_errors,
        is_of_rule=True,
    ),
    _QueryAlert(
        name="rows-lost",
        title="Rows tell of rows that an application could not keep",
        query=queries.lost_rows,
    ),
    _QueryAlert(
        name="rows-missing",
        title="Numbers of Sequence are missing: rows have not arrived",
        query=queries.missing_rows,
        window="PT2H",
        every="PT1H",
        measure="Missing",
    ),
    _QueryAlert(
        name="no-rows",
        title="No row has arrived for half an hour",
        query=queries.all_rows,
        window="PT30M",
        measure="Rows",
        operator="LessThanOrEqual",
    ),
)
_PANELS: tuple[tuple[str, Query], ...] = (
    ("Rows by level", queries.rows_by_level),
    ("Rows by service or host", queries.rows_by_source),
    ("Losses", queries.lost_rows),
    ("Gaps in Sequence", queries.gaps),
    ("Slowest", queries.slowest),
    ("Volume by logger", queries.cost_by_logger),
)
_NO_LOG_ALERTS = {
    "Basic": "the plan Basic has simple log alerts only",
    "Auxiliary": "the plan Auxiliary has no alerts",
}
_NO_COLUMNS_DROPPED = (
    "alert columns-dropped: no name for templates is published for the metric 'Log Columns Dropped per Min';"
    " make that alert in the portal"
)


def resources(design: Design, ids: Ids) -> Iterator[Resource]:
    """Yield the resources that a design asks for."""
    if design.diagnostics:
        yield _diagnostic_setting(ids)
    if design.alerts is not None:
        actions = [ids.group]
        if design.is_mailed:
            yield _action_group(design.alerts, ids)
        else:
            actions = [design.alerts]
        for alert in _METRIC_ALERTS:
            yield _metric_alert(alert, ids, actions)
        for query_alert in _QUERY_ALERTS:
            if not _why_not(design, query_alert):
                yield _query_alert(query_alert, design, ids, actions)
    if design.workbook:
        yield _workbook(design, ids)


def left_out(design: Design) -> list[str]:
    """Return the parts that the design cannot have, each with the reason."""
    missing: list[str] = []
    if design.alerts is not None:
        missing.append(_NO_COLUMNS_DROPPED)
        reasons = ((alert.name, _why_not(design, alert)) for alert in _QUERY_ALERTS)
        missing += [f"alert {name}: {reason}" for name, reason in reasons if reason]
    if design.workbook:
        panels = ((title, _missing_column(design, query)) for title, query in _PANELS)
        missing += [f"workbook, {title!r}: {reason}" for title, reason in panels if reason]
    return missing


def _text(design: Design, query: Query) -> str:
    return query(design.table, Columns(design))


def _missing_column(design: Design, query: Query) -> str:
    """Return why a query cannot be written for a table; "" if it can."""
    try:
        _text(design, query)
    except NoColumnError as error:
        return str(error)
    return ""


def _why_not(design: Design, alert: _QueryAlert) -> str:
    """Return why there cannot be an alert; "" if there can."""
    if alert.is_of_rule:
        return "" if design.diagnostics else "it reads DCRLogErrors, which --diagnostics fills"
    return _NO_LOG_ALERTS.get(design.plan) or _missing_column(design, alert.query)


def _diagnostic_setting(ids: Ids) -> Resource:
    """Return the rule's own setting, which makes the service write its errors to the table DCRLogErrors."""
    properties = {"workspaceId": ids.workspace, "logs": [{"category": "LogErrors", "enabled": True}]}
    body = {"name": "errors", "scope": ids.scope, "properties": properties}
    return Resource("diagnostics", "Microsoft.Insights/diagnosticSettings", _SETTING_API, body)


def _action_group(address: str, ids: Ids) -> Resource:
    receiver = {"name": "mail", "emailAddress": address, "useCommonAlertSchema": True}
    properties = {"groupShortName": "azmon-logs", "enabled": True, "emailReceivers": [receiver]}
    body = {"name": ids.named("-alerts"), "location": "Global", "properties": properties}
    return Resource("group", "Microsoft.Insights/actionGroups", _GROUP_API, body)


def _metric_alert(alert: _MetricAlert, ids: Ids, actions: list[Any]) -> Resource:
    criterion = {
        "criterionType": "StaticThresholdCriterion",
        "name": alert.name,
        "metricNamespace": _RULE_METRICS,
        "metricName": alert.metric,
        "operator": "GreaterThan",
        "threshold": alert.threshold,
        "timeAggregation": alert.aggregation,
    }
    properties = {
        "description": alert.title,
        "severity": _WARNING,
        "enabled": True,
        "scopes": [ids.rule],
        "evaluationFrequency": "PT1M",
        "windowSize": f"PT{alert.minutes}M",
        "criteria": {"odata.type": _SINGLE, "allOf": [criterion]},
        "autoMitigate": True,
        "actions": [{"actionGroupId": action} for action in actions],
    }
    body = {"name": ids.named(f"-{alert.name}"), "location": "global", "properties": properties}
    return Resource(_symbol(alert.name), "Microsoft.Insights/metricAlerts", _METRIC_API, body)


def _query_alert(alert: _QueryAlert, design: Design, ids: Ids, actions: list[Any]) -> Resource:
    measure = {"metricMeasureColumn": alert.measure} if alert.measure else {}
    criterion = {
        "query": _text(design, alert.query),
        "timeAggregation": "Total" if alert.measure else "Count",
        **measure,
        "operator": alert.operator,
        "threshold": 0,
    }
    properties = {
        "displayName": alert.title,
        "description": alert.title,
        "severity": _WARNING,
        "enabled": True,
        "scopes": [ids.rule if alert.is_of_rule else ids.workspace],
        "evaluationFrequency": alert.every,
        "windowSize": alert.window,
        "criteria": {"allOf": [criterion]},
        "autoMitigate": True,
        # The table is empty, or does not exist yet.
        "skipQueryValidation": True,
        "actions": {"actionGroups": actions},
    }
    body = {"name": ids.named(f"-{alert.name}"), "location": ids.location, "kind": "LogAlert", "properties": properties}
    return Resource(_symbol(alert.name), "Microsoft.Insights/scheduledQueryRules", _QUERY_API, body)


def _workbook(design: Design, ids: Ids) -> Resource:
    properties = {
        "displayName": f"{design.table}: rows, losses, cost",
        "category": "workbook",
        "sourceId": ids.workspace,
        "serializedData": ids.text_of(_notebook(design, ids)),
    }
    body = {"name": ids.workbook, "location": ids.location, "kind": "shared", "properties": properties}
    return Resource("workbook", "Microsoft.Insights/workbooks", _WORKBOOK_API, body)


def _notebook(design: Design, ids: Ids) -> dict[str, Any]:
    period = {
        "type": 9,
        "name": "period",
        "content": {
            "version": "KqlParameterItem/1.0",
            "parameters": [
                {
                    "version": "KqlParameterItem/1.0",
                    "name": "Period",
                    "type": 4,
                    "isRequired": True,
                    "value": {"durationMs": 86_400_000},
                    "typeSettings": {"selectableValues": [{"durationMs": hours * 3_600_000} for hours in (1, 24, 168)]},
                }
            ],
        },
    }
    panels = [
        {
            "type": 3,
            "name": title,
            "content": {
                "version": "KqlItem/1.0",
                "title": title,
                "query": _text(design, query),
                "timeContextFromParameter": "Period",
                "queryType": 0,
                "resourceType": "microsoft.operationalinsights/workspaces",
            },
        }
        for title, query in _PANELS
        if not _missing_column(design, query)
    ]
    return {"version": "Notebook/1.0", "items": [period, *panels], "fallbackResourceIds": [ids.workspace]}


def _symbol(name: str) -> str:
    first, *rest = name.split("-")
    return first + "".join(word.capitalize() for word in rest)
