"""Rule for `make-series`: one list per group, with a value for every slot of the axis.

The operator's clauses become KQL for the steps that the engine supports, and SQL for the others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ..errors import QueryError, error_at
from ..pipeline import Pipeline
from ..quoting import kql_name, sql_name
from ..translation import Columns, Node

AXIS_TYPES = ("datetime", "long", "int")


@dataclass
class Series:
    """Hold the clauses of the operator."""

    aggregates: list[tuple[str, str, str]] = field(default_factory=list)
    """Name, expression and default of each aggregate."""
    axis: str = ""
    bounds: dict[str, str] = field(default_factory=dict)
    """`step`, and `from` and `to` if they are given."""
    keys: list[tuple[str, str]] = field(default_factory=list)
    nonempty: bool = False
    """Whether there is a series of defaults if there are no rows."""

    def bounds_kql(self) -> str:
        """Return the KQL that computes the bounds, once."""
        first, last, step = (self.bounds.get(bound, "int(null)") for bound in ("from", "to", "step"))
        return f"print _first = {first}, _last = {last}, _step = {step}"

    def slot_kql(self) -> str:
        """Return the KQL that gives each row its slot, as `bin` does; for a series without `from`."""
        return f"extend _slot = bin({kql_name(self.axis)}, {self.bounds['step']})"

    def slots(self, rows: str, columns: Columns, bounds: str) -> tuple[str, Columns]:
        """Return SQL that gives each row its slot and omits rows outside the bounds, and the columns of its result."""
        kind = columns[self.axis]
        axis, slot = f"r.{sql_name(self.axis)}", "r._slot"
        if "from" in self.bounds:
            slot = f"CAST(b._first + floor(({axis} - b._first) / b._step) * b._step AS BIGINT)"
            if kind == "datetime":
                slot = f"time_bucket(b._step, {axis}, b._first)"
        conditions = [f"{axis} IS NOT NULL"]
        conditions += [f"{axis} >= b._first"] * ("from" in self.bounds) + [f"{axis} < b._last"] * ("to" in self.bounds)
        kept = ", ".join(f"r.{sql_name(name)}" for name in columns if name != "_slot")
        sql = f"SELECT {kept}, {slot} AS _slot FROM {rows} r CROSS JOIN {bounds} b WHERE {' AND '.join(conditions)}"
        return sql, {**columns, "_slot": kind}

    def summarize_kql(self) -> str:
        """Return the KQL that aggregates the rows of each group and slot."""
        by = "".join(f"{kql_name(name)} = {expression}, " for name, expression in self.keys)
        totals = ", ".join(f"{kql_name(name)} = {expression}" for name, expression, _ in self.aggregates)
        return f"summarize {totals} by {by}_slot"

    def lay_out(self, data: str, columns: Columns, bounds: str) -> tuple[str, Columns]:
        """Return SQL that combines each group with each slot and collects the lists, and the columns of its result."""
        keys = [name for name, _ in self.keys]
        low = f"(SELECT _first FROM {bounds})" if "from" in self.bounds else f"(SELECT min(_slot) FROM {data})"
        step = f"(SELECT _step FROM {bounds})"
        high = f"(SELECT _last FROM {bounds})" if "to" in self.bounds else f"(SELECT max(_slot) FROM {data}) + {step}"
        listed = ", ".join(f"d.{sql_name(key)}" for key in keys)
        groups = f"SELECT DISTINCT {listed} FROM {data} d" if keys else f"SELECT 1 AS _one FROM {data} LIMIT 1"
        if self.nonempty and not keys:
            groups = "SELECT 1 AS _one"
        same = ["d._slot = s._slot", *(f"d.{sql_name(key)} IS NOT DISTINCT FROM g.{sql_name(key)}" for key in keys)]
        slot_text = "strftime(s._slot, '%Y-%m-%dT%H:%M:%S.%f') || '0Z'" if columns["_slot"] == "datetime" else "s._slot"
        outputs = [f"g.{sql_name(key)}" for key in keys]
        grouping = " GROUP BY " + ", ".join(outputs) if keys else " HAVING count(*) > 0"
        outputs += [
            f"to_json(list(coalesce(d.{sql_name(name)}, {_number(default)}) ORDER BY s._slot)) AS {sql_name(name)}"
            for name, _, default in self.aggregates
        ]
        outputs.append(f"to_json(list({slot_text} ORDER BY s._slot)) AS {sql_name(self.axis)}")
        sql = (
            f"SELECT {', '.join(outputs)} FROM ({groups}) g"
            f" CROSS JOIN range({low}, {high}, {step}) AS s(_slot)"
            f" LEFT JOIN {data} d ON {' AND '.join(same)}{grouping}"
        )
        lists = [*(name for name, _, _ in self.aggregates), self.axis]
        return sql, {**{key: columns[key] for key in keys}, **dict.fromkeys(lists, "dynamic")}


def make_series(pipeline: Pipeline, node: Node) -> None:
    """Aggregate by slot, combine each group with each slot, and fill empty slots with the default."""
    series = read_series(pipeline, node)
    rows, columns = pipeline.rows()
    if columns.get(series.axis) not in AXIS_TYPES:
        message = f"make-series needs a column of type datetime, int or long, and '{series.axis}' is not one."
        raise error_at(node.start, message, pipeline.query.kql)
    bounds = Pipeline(pipeline.query, pipeline.scope, series.bounds_kql()).cut()
    if "from" not in series.bounds:
        pipeline.then(series.slot_kql())
        rows, columns = pipeline.rows()
    pipeline.select(*series.slots(rows, columns, bounds))
    pipeline.then(series.summarize_kql())
    data, columns = pipeline.rows()
    pipeline.select(*series.lay_out(data, columns, bounds))


def read_series(pipeline: Pipeline, node: Node) -> Series:
    """Read the operator's clauses."""
    series = Series()
    # The grammar reads `s=sum(v)` as the parameter `s=sum` before the expression `(v)`.
    prefix = ""
    for child in node.children[1:]:
        if child.kind == "RelaxedQueryOperatorParameter":
            series.nonempty = series.nonempty or child.text.replace(" ", "") == "kind=nonempty"
            prefix = "" if child.children[0].text == "kind" else child.text
        elif child.kind == "MakeSeriesOperatorOnClause":
            series.axis = pipeline.name(child.children[1])
        elif child.kind == "MakeSeriesOperatorFromToStepClause":
            words = child.children
            series.bounds = {words[i].text: pipeline.write(words[i + 1]) for i in range(0, len(words) - 1, 2)}
        elif child.kind == "MakeSeriesOperatorInRangeClause":
            first, last, step = (pipeline.write(each) for each in child.children[3:-1] if each.text != ",")
            # The end of `in range` belongs to the series, as it does not with `to`.
            series.bounds = {"from": first, "to": f"{last} + {step}", "step": step}
        elif child.kind == "MakeSeriesOperatorByClause":
            series.keys = [_named(pipeline, each, "", "Column") for each in child.children[1:] if each.text != ","]
        elif child.kind == "MakeSeriesOperatorAggregation":
            default = child.children[-1].children[-1].text
            series.aggregates.append((*_named(pipeline, child.children[0], prefix, "series"), default))
            prefix = ""
        elif child.kind != "Token":
            series.aggregates.append((*_named(pipeline, child, prefix, "series"), "0"))
            prefix = ""
    return series


def _named(pipeline: Pipeline, node: Node, prefix: str, fallback: str) -> tuple[str, str]:
    """Return name and expression of ``name = expression``; name a bare call as `summarize` would."""
    written = pipeline.write(node)
    if prefix:
        name, _, function = prefix.partition("=")
        return name.strip(), f"{function.strip()}{written}"
    if node.kind == "NamedExpression":
        return pipeline.name(node.children[0].children[0]), pipeline.write(node.children[1])
    call = re.match(r"(\w+)\s*\(\s*([A-Za-z_]\w*)?", node.text)
    if call is None:
        return pipeline.name(node), written
    return f"{call[1]}_{call[2] or ''}" if call[1] not in ("bin", "floor") else call[2] or fallback, written


def _number(text: str) -> str:
    """Return a literal number for SQL; refuse anything else, which could be SQL of its own."""
    plain = {"real(null)": "NULL", "int(null)": "NULL", "long(null)": "NULL", "double(null)": "NULL"}.get(text, text)
    if plain != "NULL" and not re.fullmatch(r"-?\d{1,18}(\.\d{1,18})?", plain):
        raise QueryError(f"default={text} must be a numeric literal in the local workspace.", code="Unsupported")
    return plain
