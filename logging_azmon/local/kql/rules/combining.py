"""Rules for operators that read several tables: their rows meet in SQL, where the types of all columns are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import error_at
from ..names import outside
from ..pipeline import Pipeline
from ..quoting import sql_name
from ..scope import Scope
from ..translation import Columns, Node, plain_name
from .naming import require

if TYPE_CHECKING:
    from ..rewriter import Rewriter

_TABLES = frozenset({"IdentifierName", "EscapedName"})


def join(pipeline: Pipeline, node: Node) -> None:
    """Read the right side as a stage, and leave no string null where it has no row."""
    left = pipeline.query.stages.schema[pipeline.cut()]
    right: Columns = {}
    parts = []
    for child in node.children:
        if child.kind.endswith("Clause"):
            _check_keys(pipeline, child, left, right)
        if child.kind == "Token" or child.kind.endswith(("Parameter", "Clause")):
            parts.append(pipeline.write(child))
        else:
            table = pipeline.inner(child)
            right = pipeline.query.stages.schema[table]
            parts.append(f" {table} ")
    pipeline.then(pipeline.assemble(node, parts))
    fill_strings(pipeline)


def _check_keys(pipeline: Pipeline, clause: Node, left: Columns, right: Columns) -> None:
    """Refuse a key that one of the sides lacks."""
    for node in clause.children[1:]:
        if node.kind in _TABLES:
            for columns in (left, right):
                require(pipeline, node, columns)
        for each in node.walk():
            if each.kind == "FunctionCallOrPathPathExpression" and each.children[0].text in {"$left", "$right"}:
                require(pipeline, each.children[1].children[1], left if each.children[0].text == "$left" else right)


def fill_strings(pipeline: Pipeline) -> None:
    """Make a string empty where an operator found no value for it: Kusto's strings are never null."""
    rows, columns = pipeline.rows()
    values = ", ".join(
        f"coalesce({sql_name(name)}, '') AS {sql_name(name)}" if kind == "string" else sql_name(name)
        for name, kind in columns.items()
    )
    pipeline.select(f"SELECT {values} FROM {rows}", columns)


def union(pipeline: Pipeline, node: Node) -> None:
    """Append the rows of other tables."""
    first = pipeline.cut()
    _unite(pipeline, node, [(first, first if first in pipeline.query.tables else "union_arg0")])


def union_source(query: Rewriter, node: Node, scope: Scope) -> Pipeline:
    """Read several tables as one."""
    pipeline = Pipeline(query, scope, "")
    _unite(pipeline, node, [])
    return pipeline


def _unite(pipeline: Pipeline, node: Node, arms: list[tuple[str, str]]) -> None:
    options: dict[str, str] = {}
    query = pipeline.query
    missing: Node | None = None
    for child in node.children[1:]:
        if child.text == ",":
            continue
        if child.kind.endswith("Parameter"):
            options[child.children[0].text] = plain_name(child.children[2])
        elif child.kind == "WildcardedName":
            arms += [(query.stored(name, pipeline.scope).cut(), name) for name in query.matching(child.text)]
        elif child.kind in _TABLES and not query.is_tabular(child, pipeline.scope) and options.get("isfuzzy") == "true":
            missing = child
        else:
            label = _label(child)
            name = plain_name(label) if label.kind in _TABLES else f"union_arg{len(arms)}"
            arms.append((query.tabular(child, pipeline.scope).cut(), name))
    if not arms:
        found = missing or node
        raise error_at(found.start, "None of the tables of this union exists.", query.kql)
    unite(pipeline, arms, source=options.get("withsource"), inner=options.get("kind") == "inner")


def _label(node: Node) -> Node:
    """Return what names a table of a union: its own name, or the one that `as` gives to its rows."""
    while node.kind in {"ParenthesizedExpression", "PipeExpression", "PipedOperator", "AsOperator"}:
        node = node.children[1 if node.kind == "ParenthesizedExpression" else -1]
    return node


def unite(pipeline: Pipeline, arms: list[tuple[str, str]], *, source: str | None, inner: bool = False) -> None:
    """Append the rows of stages; a column that has several types becomes one column for each, as in Azure."""
    schemas = [pipeline.query.stages.schema[stage] for stage, _ in arms]
    columns = [(name, kind) for name, kind in dict.fromkeys(pair for each in schemas for pair in each.items())]
    if inner:
        columns = [(name, kind) for name, kind in columns if all(name in each for each in schemas)]
    kinds: dict[str, list[str]] = {}
    for name, kind in columns:
        kinds.setdefault(name, []).append(kind)
    order = [(name, kind) for name, found in kinds.items() for kind in found]
    final = {_united_name(name, kind, kinds): kind for name, kind in order}
    selects = []
    for (stage, label), each in zip(arms, schemas, strict=True):
        values = [_value(each, name, kind, kinds) for name, kind in order]
        if source is not None:
            values.insert(0, f"'{label.replace(chr(39), chr(39) * 2)}' AS {sql_name(source)}")
        selects.append(f"SELECT {', '.join(values)} FROM {sql_name(stage)}")
    if source is not None:
        final = {source: "string", **final}
    pipeline.select(" UNION ALL ".join(selects), final)


def _united_name(name: str, kind: str, kinds: dict[str, list[str]]) -> str:
    return name if len(kinds[name]) == 1 else f"{outside(name)}_{kind}"


def _value(columns: Columns, name: str, kind: str, kinds: dict[str, list[str]]) -> str:
    from ..stages import SQL_TYPES

    value = sql_name(name)
    if columns.get(name) != kind:
        value = "''" if kind == "string" else f"CAST(NULL AS {SQL_TYPES[kind]})"
    return f"{value} AS {sql_name(_united_name(name, kind, kinds))}"
