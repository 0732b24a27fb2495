"""Plan, as SQL, how the uploaded bodies of a rule's streams become rows of tables.

The bodies of a stream take three steps; the writer does the last two in one transaction:

1. *staged*: the declared columns, typed, each beside its text in the JSON. A value is mistyped if only
   its text is present.
2. *yielded*: the result of a flow's transformation, in the types of the flow's table.
3. The table: strings are cut at 64 KB, and TimeGenerated is replaced where Azure replaces it.

Pure except for `describe`, which asks the database for the columns that a SELECT yields.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from ..._config.dcr import Flow, Rule
from ..._config.presets import BUILT_IN, preset
from ..._config.service_limits import MAX_VALUE_BYTES
from ...errors import ConfigurationError
from ..kql.errors import QueryError
from ..kql.quoting import sql_name
from ..kql.rewriter import translate
from ..kql.transform_kql import check_transform
from ..kql.translation import Columns, Describe, Translation

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


@dataclass(frozen=True)
class FlowPlan:
    """Hold the SQL that moves a flow's rows from `staged` into its table."""

    flow: Flow
    source: Columns
    columns: Columns
    transform: Translation | None
    """None if the flow passes its stream on unchanged."""
    ignored: tuple[str, ...] = ()
    """Columns that the transformation yields and the built-in table lacks."""

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Return the columns whose values can be too long."""
        return tuple(name for name, kind in self.columns.items() if kind in ("string", "dynamic"))

    @property
    def rows(self) -> str:
        """Name the temporary table to insert from; `staged` itself without a transformation, which saves a copy."""
        return "staged" if self.transform is None else "yielded"

    @cached_property
    def yield_sql(self) -> str | None:
        """Create the temporary table `yielded`; None if there is no transformation."""
        if self.transform is None:
            return None
        source = ", ".join(map(sql_name, self.source))
        columns = ", ".join(_to_column(name, kind) for name, kind in self.columns.items())
        return (
            "CREATE OR REPLACE TEMP TABLE yielded AS"
            f" WITH source AS MATERIALIZED (SELECT {source} FROM staged) SELECT {columns} FROM ({self.transform.sql})"
        )

    @cached_property
    def findings_sql(self) -> str:
        """Count the rows, the times to replace, and for each column of `texts` the values to cut."""
        counts = [
            "count(*)",
            'count(*) FILTER ("TimeGenerated" < $oldest OR "TimeGenerated" > $newest)',
            *(f"count(*) FILTER (strlen({sql_name(name)}) > {MAX_VALUE_BYTES})" for name in self.texts),
        ]
        return f"SELECT {', '.join(counts)} FROM {self.rows}"

    def insert_sql(self, *, cut: bool) -> str:
        """Append the rows to the table; `cut` costs time: set it only if `findings_sql` has found values to cut."""
        values = [_final(name, kind, cut=cut) for name, kind in self.columns.items()]
        names = ", ".join(sql_name(name) for name in self.columns)
        return f"INSERT INTO main.{sql_name(self.flow.table)} ({names}) SELECT {', '.join(values)} FROM {self.rows}"


@dataclass(frozen=True)
class StreamPlan:
    """Hold the SQL that stages the bodies of a stream, and the plans of its flows."""

    rule_id: str
    stream: str
    columns: Mapping[str, str]
    flows: tuple[FlowPlan, ...]

    @cached_property
    def checked(self) -> tuple[str, ...]:
        """Return the columns in which a value can have the wrong type; text columns take any value."""
        return tuple(name for name, kind in self.columns.items() if kind not in ("string", "dynamic"))

    @cached_property
    def stage_sql(self) -> str:
        """Create the temporary table `staged` from one JSON array, the parameter `$body`."""
        shape = json.dumps([{name: "JSON" if kind == "dynamic" else "VARCHAR" for name, kind in self.columns.items()}])
        typed = [f"{_typed(name, kind)} AS {sql_name(name)}" for name, kind in self.columns.items()]
        raw = [f"r.{sql_name(name)} AS {sql_name(_raw_name(name))}" for name in self.checked]
        unnested = f"SELECT unnest(from_json($body, '{shape.replace(chr(39), chr(39) * 2)}')) AS r"
        return f"CREATE OR REPLACE TEMP TABLE staged AS SELECT {', '.join(typed + raw)} FROM ({unnested})"

    @cached_property
    def mistyped_sql(self) -> str:
        """Count the rows (so that the SELECT is never empty), and the lost values in each column of `checked`."""
        counts = [f"count({sql_name(_raw_name(name))}) - count({sql_name(name)})" for name in self.checked]
        return f"SELECT {', '.join(['count(*)', *counts])} FROM staged"


def plan_rule(rule: Rule, describe: Describe) -> tuple[StreamPlan, ...]:
    """Plan every stream of a rule; report together all that Azure refuses and all that cannot be done here."""
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
            transform = translate(flow.transform, {"source": source}, lambda part: describe(_over(source, part)))
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
            f"{where} yields column {name!r} as {kind}, but {flow.table} holds {target[name]}"
            for name, kind in yielded.items()
            if name in target and not _is_storable_as(kind, target[name])
        )
    if problems:
        raise ConfigurationError(problems)
    if target is None:
        return FlowPlan(flow, source, yielded, transform)
    kept = {name: target[name] for name in yielded if name in target}
    return FlowPlan(flow, source, kept, transform, tuple(name for name in yielded if name not in target))


def _is_storable_as(kind: str, target: str) -> bool:
    """Return whether Azure accepts a transformation's column of one type for a table's column of another."""
    return kind == target or (kind in ("int", "long") and target in ("int", "long", "real"))


def table_columns(flow: FlowPlan) -> Columns:
    """Return the columns that the flow's table must have: those of the built-in table, else those of the flow."""
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
    """Make a part of a transformation read from an empty `source` that has the stream's columns."""
    columns = ", ".join(f"CAST(NULL AS {SQL_TYPES[kind]}) AS {sql_name(name)}" for name, kind in source.items())
    return Translation(f"WITH source AS (SELECT {columns}) SELECT * FROM ({part.sql})", part.parameters)


def _raw_name(name: str) -> str:
    return f"raw {name}"


def _typed(name: str, kind: str) -> str:
    """Convert the text of a JSON value; a value that cannot be converted becomes null, as in Azure."""
    raw = f"r.{sql_name(name)}"
    if kind in ("string", "dynamic"):
        return raw
    if kind in ("int", "long"):
        # A cast would round a fraction, which is not an integer.
        return f"CASE WHEN contains({raw}, '.') THEN NULL ELSE TRY_CAST({raw} AS {SQL_TYPES[kind]}) END"
    if kind == "datetime":
        # A cast to TIMESTAMP would ignore the offset. The second format is RFC 822's.
        iso = f"CAST(TRY_CAST({raw} AS TIMESTAMPTZ) AS TIMESTAMP)"
        time = f"coalesce({iso}, try_strptime({raw}, '%a, %d %b %Y %H:%M:%S GMT'))"
        return f"CASE WHEN isfinite({time}) THEN {time} END"  # both accept "infinity"
    return f"TRY_CAST({raw} AS {SQL_TYPES[kind]})"


def _to_column(name: str, kind: str) -> str:
    return f"CAST({sql_name(name)} AS {SQL_TYPES[kind]}) AS {sql_name(name)}"


def _final(name: str, kind: str, *, cut: bool) -> str:
    column = sql_name(name)
    if name == "TimeGenerated":
        return f"CASE WHEN {column} BETWEEN $oldest AND $newest THEN {column} ELSE $now END"
    if kind == "string":
        value = _cut(column) if cut else column
        return f"coalesce({value}, '')"  # Kusto's strings are never null
    if kind == "dynamic" and cut:
        shortened = _cut(f"CAST({column} AS VARCHAR)")  # JSON that was cut is no longer valid: it becomes a string
        return f"CASE WHEN strlen({column}) > {MAX_VALUE_BYTES} THEN to_json({shortened}) ELSE {column} END"
    return column


def _cut(column: str) -> str:
    """Cut at 64 KB of UTF-8, never inside a character."""
    # A character has at most four bytes, so its start is at most three steps back.
    tries = [f"TRY(decode(array_slice(encode({column}), 1, {MAX_VALUE_BYTES - back})))" for back in range(4)]
    return f"CASE WHEN strlen({column}) > {MAX_VALUE_BYTES} THEN coalesce({', '.join(tries)}) ELSE {column} END"


def merged_tables(plans: Iterable[FlowPlan]) -> dict[str, dict[str, str]]:
    """Return the columns of each table that the flows fill; flows that share a table must agree on its types."""
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
            yield f"dcr: table {plan.flow.table!r}: columns {before!r} and {name!r} differ only in case"
        elif columns.setdefault(name, kind) != kind:
            yield f"dcr: table {plan.flow.table!r}: column {name!r} is {columns[name]} in one flow, {kind} in another"
