"""Turn a rule into SQL: typed columns from the bodies' JSON, the transformation, the columns of the table.

A stream's waiting bodies go through three steps, all inside one transaction of the store's writer:

1. *staged*: every declared column, typed, beside the text it had; what had a text and got no value was mistyped;
2. *yielded*: what a flow's transformation makes of it, with the types of the flow's table;
3. the table: strings cut at 64 KB, TimeGenerated replaced where Azure replaces it.

Pure but for `describe`, which asks the database for the columns that a SELECT yields.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from .._config.dcr import Flow, Rule
from .._config.presets import BUILT_IN, preset
from .._config.service_limits import MAX_TRANSFORM_LENGTH, MAX_VALUE_BYTES
from ..errors import ConfigurationError
from ..local import gaps, kql
from .kql import Columns, Describe, QueryError, Translation
from .names import quoted

PARSED_COLUMNS_PER_STATEMENT = 10

SQL_TYPES = {
    "string": "VARCHAR",
    "int": "INTEGER",
    "long": "BIGINT",
    "real": "DOUBLE",
    "boolean": "BOOLEAN",
    "bool": "BOOLEAN",
    "datetime": "TIMESTAMP",
    "dynamic": "JSON",
    "guid": "UUID",
}

# "Supported KQL features in Azure Monitor transformations", MicrosoftDocs/azure-monitor-docs, 2026-01.
ALLOWED_OPERATORS = frozenset(
    {"extend", "project", "where", "filter", "parse", "project-away", "project-rename", "print", "datatable"}
)
# The grammar's names for operators; those that work on strings are no operators of a pipeline.
_OPERATOR = re.compile(r"(?!Piped|String)\w+Operator(Part)?")
_AZURE_ONLY = frozenset({"parse_cef_dictionary", "geo_location"})


@dataclass(frozen=True)
class FlowPlan:
    """Say how a flow's rows get from `staged` into its table."""

    flow: Flow
    source: Columns
    columns: Columns
    transform: Translation | None
    """None where the flow passes its stream on unchanged."""
    ignored: tuple[str, ...] = ()
    """Columns that the transformation yields and a built-in table lacks."""

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Columns whose values can be too long."""
        return tuple(name for name, kind in self.columns.items() if kind in ("string", "dynamic"))

    @property
    def rows(self) -> str:
        """Name the temporary table with the rows as the table wants them: a copy that changes nothing costs time."""
        return "staged" if self.transform is None else "yielded"

    @cached_property
    def yield_sql(self) -> str | None:
        """Make the temporary table `yielded`, if there is something to do."""
        if self.transform is None:
            return None
        source = ", ".join(map(quoted, self.source))
        columns = ", ".join(_to_column(name, kind) for name, kind in self.columns.items())
        return (
            "CREATE OR REPLACE TEMP TABLE yielded AS"
            f" WITH source AS MATERIALIZED (SELECT {source} FROM staged) SELECT {columns} FROM ({self.transform.sql})"
        )

    @cached_property
    def findings_sql(self) -> str:
        """Count rows, replaced times, and values to be cut, column by column."""
        counts = [
            "count(*)",
            'count(*) FILTER ("TimeGenerated" < $oldest OR "TimeGenerated" > $newest)',
            *(f"count(*) FILTER (strlen({quoted(name)}) > {MAX_VALUE_BYTES})" for name in self.texts),
        ]
        return f"SELECT {', '.join(counts)} FROM {self.rows}"

    def insert_sql(self, *, cut: bool) -> str:
        """Append `yielded` to the table; `cut` only where something is too long, because looking costs time."""
        values = [_final(name, kind, cut=cut) for name, kind in self.columns.items()]
        names = ", ".join(quoted(name) for name in self.columns)
        return f"INSERT INTO main.{quoted(self.flow.table)} ({names}) SELECT {', '.join(values)} FROM {self.rows}"


@dataclass(frozen=True)
class StreamPlan:
    """Say how the bodies of a stream become rows of tables."""

    rule_id: str
    stream: str
    columns: Mapping[str, str]
    flows: tuple[FlowPlan, ...]

    @cached_property
    def checked(self) -> tuple[str, ...]:
        """Columns in which a value can be of the wrong type: text takes everything."""
        return tuple(name for name, kind in self.columns.items() if kind not in ("string", "dynamic"))

    @cached_property
    def stage_sql(self) -> str:
        """Make the temporary table `staged` from one JSON array, given as `$body`."""
        shape = json.dumps([{name: "JSON" if kind == "dynamic" else "VARCHAR" for name, kind in self.columns.items()}])
        typed = [f"{_typed(name, kind)} AS {quoted(name)}" for name, kind in self.columns.items()]
        raw = [f"r.{quoted(name)} AS {quoted(_raw(name))}" for name in self.checked]
        unnested = f"SELECT unnest(from_json($body, '{shape.replace(chr(39), chr(39) * 2)}')) AS r"
        return f"CREATE OR REPLACE TEMP TABLE staged AS SELECT {', '.join(typed + raw)} FROM ({unnested})"

    @cached_property
    def mistyped_sql(self) -> str:
        """Count, for each of `checked`, the values that got lost; one column more, so that there is always one."""
        counts = [f"count({quoted(_raw(name))}) - count({quoted(name)})" for name in self.checked]
        return f"SELECT {', '.join(['count(*)', *counts])} FROM staged"


def plan_rule(rule: Rule, describe: Describe) -> tuple[StreamPlan, ...]:
    """Plan every stream of a rule; report everything that Azure would refuse, and what cannot be done here."""
    problems: list[str] = []
    plans: list[StreamPlan] = []
    for stream, columns in rule.streams.items():
        flows: list[FlowPlan] = []
        for flow in rule.flows:
            if flow.stream == stream:
                try:
                    flows.append(_plan_flow(flow, columns, describe))
                except ConfigurationError as error:
                    problems.extend(error.problems)
        plans.append(StreamPlan(rule.rule_id, stream, columns, tuple(flows)))
    if problems:
        raise ConfigurationError(problems)
    return tuple(plans)


def check_transform(transform: str) -> list[QueryError]:
    """Find what Azure refuses in a transformation: whatever looks at more than one row, and dynamic literals."""
    if len(transform) > MAX_TRANSFORM_LENGTH:
        return [
            QueryError(f"a transformKql has at most {MAX_TRANSFORM_LENGTH:,} characters, this one {len(transform):,}")
        ]
    tree = kql.parse(transform)
    found: list[QueryError] = []
    for node in tree.walk():
        reason = _refused(node)
        if reason is not None:
            line, pos = kql.place(transform, node.start)
            found.append(QueryError(reason, line=line, pos=pos))
    return found


def _refused(node: kql.Node) -> str | None:
    word = re.match(r"[A-Za-z_][\w-]*", node.text)
    name = word[0] if word else ""
    if _OPERATOR.fullmatch(node.kind):
        if name not in ALLOWED_OPERATORS:
            return (
                f"the operator '{name}' is refused in a transformation, which sees one row at a time;"
                f" allowed are {', '.join(sorted(ALLOWED_OPERATORS))}"
            )
        segments = [child for child in node.walk() if child.kind == "ParseOperatorPatternSegment"]
        if sum(each.children[-1].kind != "StringLiteralExpression" for each in segments) > PARSED_COLUMNS_PER_STATEMENT:
            return f"parse fills at most {PARSED_COLUMNS_PER_STATEMENT} columns in a transformation: split it in two"
    if node.kind.startswith("DynamicLiteral"):
        return "dynamic(…) literals are refused in a transformation: use parse_json('…')"
    if node.kind.endswith("FunctionCallExpression") and name in _AZURE_ONLY:
        return f"the function '{name}' exists in Azure only; the local workspace cannot compute it"
    return None


def _plan_flow(flow: Flow, columns: Mapping[str, str], describe: Describe) -> FlowPlan:
    where = f"dcr: transformKql of the flow from {flow.stream!r} to {flow.output!r}"
    target = _built_in_columns(flow) if flow.built_in else None
    source = {name: "bool" if kind == "boolean" else kind for name, kind in columns.items()}
    try:
        refused = check_transform(flow.transform)
        if refused:
            raise ConfigurationError(f"{where}: {error}" for error in refused)
        if flow.transform.strip() == "source":
            transform, yielded = None, source
        else:
            transform = gaps.translate(flow.transform, {"source": source}, lambda part: describe(_over(source, part)))
            yielded = dict(describe(_over(source, transform)))
    except QueryError as error:
        raise ConfigurationError([f"{where}: {error}"]) from error
    problems = [
        f"{where} yields column {name!r} of type {kind}, which a table cannot hold: convert it"
        for name, kind in yielded.items()
        if kind not in SQL_TYPES
    ]
    if yielded.get("TimeGenerated") != "datetime":
        got = yielded.get("TimeGenerated")
        problems.append(
            f"{where} must yield a column TimeGenerated of type datetime"
            + (f", not {got}" if got else "; add for example `| extend TimeGenerated = now()`")
        )
    if target is not None:
        problems.extend(
            f"{where} yields column {name!r} as {kind}, and {flow.table} holds {target[name]}"
            for name, kind in yielded.items()
            if name in target and not _fits_the_table(kind, target[name])
        )
    if problems:
        raise ConfigurationError(problems)
    if target is None:
        return FlowPlan(flow, source, yielded, transform)
    kept = {name: target[name] for name in yielded if name in target}
    return FlowPlan(flow, source, kept, transform, tuple(name for name in yielded if name not in target))


def _fits_the_table(kind: str, target: str) -> bool:
    """Tell whether Azure accepts a transformation's column of one type for a table's column of another."""
    return kind == target or (kind in ("int", "long") and target in ("int", "long", "real"))


def table_columns(flow: FlowPlan) -> Columns:
    """Return what the flow's table must have: all of a built-in table, else what flows yield."""
    return _built_in_columns(flow.flow) if flow.flow.built_in else flow.columns


def _built_in_columns(flow: Flow) -> dict[str, str]:
    names = {output: name for name, output in BUILT_IN.items()}
    if flow.output not in names:
        known = ", ".join(sorted(names))
        raise ConfigurationError(
            [f"dcr: the local workspace does not know the built-in table {flow.output!r}; it knows {known}"]
        )
    columns = {column.name: column.type for column in preset(names[flow.output])}
    return {name: "bool" if kind == "boolean" else kind for name, kind in columns.items()}


def _over(source: Mapping[str, str], part: Translation) -> Translation:
    """Put an empty `source` of the stream's types under a part of a transformation."""
    columns = ", ".join(f"CAST(NULL AS {SQL_TYPES[kind]}) AS {quoted(name)}" for name, kind in source.items())
    return Translation(f"WITH source AS (SELECT {columns}) SELECT * FROM ({part.sql})", part.parameters)


def _raw(name: str) -> str:
    return f"raw {name}"


def _typed(name: str, kind: str) -> str:
    """Convert the text of a JSON value; what cannot be converted becomes null, as in Azure."""
    raw = f"r.{quoted(name)}"
    if kind in ("string", "dynamic"):
        return raw
    if kind in ("int", "long"):
        # A cast rounds; a fraction is no integer.
        return f"CASE WHEN contains({raw}, '.') THEN NULL ELSE TRY_CAST({raw} AS {SQL_TYPES[kind]}) END"
    if kind == "datetime":
        # A cast to TIMESTAMP would ignore the offset. The second form is RFC 822's.
        iso = f"CAST(TRY_CAST({raw} AS TIMESTAMPTZ) AS TIMESTAMP)"
        time = f"coalesce({iso}, try_strptime({raw}, '%a, %d %b %Y %H:%M:%S GMT'))"
        return f"CASE WHEN isfinite({time}) THEN {time} END"  # both read "infinity"
    return f"TRY_CAST({raw} AS {SQL_TYPES[kind]})"


def _to_column(name: str, kind: str) -> str:
    return f"CAST({quoted(name)} AS {SQL_TYPES[kind]}) AS {quoted(name)}"


def _final(name: str, kind: str, *, cut: bool) -> str:
    column = quoted(name)
    if name == "TimeGenerated":
        return f"CASE WHEN {column} BETWEEN $oldest AND $newest THEN {column} ELSE $now END"
    if kind == "string":
        value = _cut(column) if cut else column
        return f"coalesce({value}, '')"  # Kusto's strings are never null
    if kind == "dynamic" and cut:
        shortened = _cut(f"CAST({column} AS VARCHAR)")  # no JSON any more, so it becomes a string
        return f"CASE WHEN strlen({column}) > {MAX_VALUE_BYTES} THEN to_json({shortened}) ELSE {column} END"
    return column


def _cut(column: str) -> str:
    """Cut at 64 KB of UTF-8, and before a character rather than within it."""
    # Looked for only where it is too long, and at most three steps back.
    tries = [f"TRY(decode(array_slice(encode({column}), 1, {MAX_VALUE_BYTES - back})))" for back in range(4)]
    return f"CASE WHEN strlen({column}) > {MAX_VALUE_BYTES} THEN coalesce({', '.join(tries)}) ELSE {column} END"


def merge(plans: Iterable[FlowPlan]) -> dict[str, dict[str, str]]:
    """Gather the tables that flows fill; two flows may fill one, if they agree on its types."""
    tables: dict[str, dict[str, str]] = {}
    problems: list[str] = []
    for plan in plans:
        columns = tables.setdefault(plan.flow.table, {})
        problems.extend(_merge_into(columns, plan))
    if problems:
        raise ConfigurationError(problems)
    return tables


def _merge_into(columns: dict[str, str], plan: FlowPlan) -> Iterator[str]:
    folded = {name.lower(): name for name in columns}
    for name, kind in table_columns(plan).items():
        before = folded.setdefault(name.lower(), name)
        if before != name:
            yield f"dcr: table {plan.flow.table!r}: columns {before!r} and {name!r} differ in case only"
        elif columns.setdefault(name, kind) != kind:
            yield f"dcr: table {plan.flow.table!r}: column {name!r} is {columns[name]} in one flow, {kind} in another"
