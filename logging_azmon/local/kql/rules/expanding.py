"""Rules for `mv-expand`: the engine expands plain columns only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ..pipeline import Pipeline
from ..quoting import kql_name
from ..translation import Node
from .naming import require

_CONVERSIONS = frozenset({"todynamic", "parse_json", "parsejson", "toobject", "tostring"})
_NAMES = frozenset({"IdentifierName", "EscapedName"})
_TARGETS = ("MvexpandOperatorExpression", "MvapplyOperatorExpression")


def mv_expand(pipeline: Pipeline, node: Node) -> None:
    """Compute each expression in a column of its own first."""
    expand(pipeline, node, list(expanded(pipeline, node)))


def expand(pipeline: Pipeline, node: Node, targets: Iterable[tuple[str, str]]) -> None:
    """Expand columns, with the options that the operator gives."""
    options = " ".join(child.text for child in node.children if child.kind == "StrictQueryOperatorParameter")
    limit = next((child.text for child in node.children if child.kind.endswith("LimitClause")), "")
    listed = ", ".join(f"{kql_name(name)}{clause}" for name, clause in targets)
    pipeline.then(f"mv-expand {options} {listed} {limit}")


def expanded(pipeline: Pipeline, node: Node) -> Iterator[tuple[str, str]]:
    """Yield the column and the type of each target; what is not a column yet becomes one."""
    for child in node.children[1:]:
        if child.text == "on":
            return
        if child.kind == "Token" or child.kind.endswith(("Parameter", "LimitClause")):
            continue
        clause = ""
        if child.kind in _TARGETS:
            clause = f" {child.children[1].text}"
            child = child.children[0]  # noqa: PLW2901 - the target within
        if child.kind in _NAMES:
            yield require(pipeline, child, pipeline.columns() or {}), clause
            continue
        if child.kind == "NamedExpression":
            name, value = pipeline.name(child.children[0].children[0]), child.children[1]
        else:
            name, value = _name_of(pipeline, child), child
        pipeline.then(f"extend {kql_name(name)} = {pipeline.write(value)}")
        yield name, clause


def _name_of(pipeline: Pipeline, node: Node) -> str:
    """Name an expression as Azure does: a conversion keeps the name, a path joins its steps."""
    while node.kind == "NamedFunctionCallExpression" and node.children[0].text in _CONVERSIONS:
        node = node.children[2]
    if node.kind in _NAMES:
        return pipeline.name(node)
    if node.kind == "FunctionCallOrPathPathExpression":
        return "_".join(re.findall(r"[^\W\d]\w*", node.text))
    return "Column1"
