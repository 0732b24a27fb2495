"""Rules for operators with a chain inside: `mv-apply` for each row, `partition` for each key.

The chain runs once over all rows, with a column that tells the groups apart: an operator that sees several rows at once
gets this column as its key.
"""

from __future__ import annotations

from ..errors import error_at
from ..pipeline import Pipeline
from ..quoting import sql_name
from ..translation import Node
from .chains import number
from .expanding import expand, expanded
from .windows import integer

_ROW_BY_ROW = frozenset(
    {
        "WhereOperator", "ExtendOperator", "ProjectAwayOperator", "ProjectRenameOperator", "ParseOperator",
        "ParseWhereOperator", "MvexpandOperator", "MvapplyOperator", "ProjectReorderOperator", "SerializeOperator",
    }
)  # fmt: skip


def mv_apply(pipeline: Pipeline, node: Node) -> None:
    """Expand each row, apply the chain to what it yields, and put the row's other columns in front."""
    key = pipeline.query.hidden()
    source, before = pipeline.rows()
    pipeline.select(f"SELECT *, row_number() OVER () AS {key} FROM {source}", {**before, key: "long"})
    rows, columns = pipeline.rows()
    targets = dict(expanded(pipeline, node))
    expand(pipeline, node, targets.items())
    _chain(pipeline, node.children[-2], key)
    result, after = pipeline.rows()
    kept = [name for name in before if name not in targets and name not in after]
    values = [f"r.{sql_name(name)}" for name in kept] + [f"s.{sql_name(name)}" for name in after if name != key]
    found = {name: columns[name] for name in kept} | {name: kind for name, kind in after.items() if name != key}
    pipeline.select(f"SELECT {', '.join(values)} FROM {result} s JOIN {rows} r USING ({key}) ORDER BY {key}", found)


def partition(pipeline: Pipeline, node: Node) -> None:
    """Apply the chain to the rows of each key."""
    place = next(i for i, child in enumerate(node.children) if child.text == "by")
    key = pipeline.query.hidden()
    pipeline.then(f"extend {key} = {pipeline.write(node.children[place + 1])}")
    _chain(pipeline, node.children[-1].children[1], key)
    pipeline.then(f"project-away {key}")


def _chain(pipeline: Pipeline, node: Node, key: str) -> None:
    operators = [node]
    if node.kind == "PipeSubExpression":
        operators = [node.children[0], *(child.children[-1] for child in node.children[1:])]
    for operator in operators:
        _grouped(pipeline, operator, key)


def _grouped(pipeline: Pipeline, node: Node, key: str) -> None:
    """Apply an operator to each group of rows by itself."""
    if node.kind in _ROW_BY_ROW:
        pipeline.apply(node)
    elif node.kind in {"ProjectOperator", "DistinctOperator", "ProjectKeepOperator"}:
        if node.kind == "DistinctOperator" and node.children[-1].text == "*":
            pipeline.apply(node)
        else:
            pipeline.finish(node, f"{pipeline.write(node)}, {key}")
    elif node.kind == "SummarizeOperator":
        by = any(child.kind == "SummarizeOperatorByClause" for child in node.children)
        pipeline.finish(node, f"{pipeline.write(node)}{',' if by else ' by'} {key}")
    elif node.kind == "CountOperator":
        pipeline.then(f"summarize Count = count() by {key}")
    elif node.kind == "SortOperator":
        keys = pipeline.query.kql[node.children[2].start : node.stop]
        pipeline.then(f"sort by {key} asc, {keys}", same=True)
    elif node.kind in {"TopOperator", "TakeOperator"}:
        if node.kind == "TopOperator":
            pipeline.then(f"sort by {key} asc, {pipeline.write(node.children[3])}", same=True)
        rows, columns = pipeline.rows()
        place = f"row_number() OVER (PARTITION BY {key} ORDER BY _hidden_at) AS _hidden_number"
        ordered = f"SELECT *, {place} FROM (SELECT *, row_number() OVER () AS _hidden_at FROM {rows})"
        values = ", ".join(map(sql_name, columns))
        first = f"_hidden_number <= {integer(number(pipeline, node.children[1]))}"
        pipeline.select(f"SELECT {values} FROM ({ordered}) WHERE {first} ORDER BY _hidden_at", columns)
    else:
        name = node.text.split(maxsplit=1)[0]
        message = f"'{name}' is not available inside mv-apply or partition in the local workspace."
        raise error_at(node.start, message, pipeline.query.kql, "Unsupported")
