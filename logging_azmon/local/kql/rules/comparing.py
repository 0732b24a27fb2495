"""Rules for comparisons: values with values of another type, with tables, and with the value of a table."""

from __future__ import annotations

import re

from ..pipeline import Pipeline
from ..quoting import kql_string
from ..translation import Node, plain_name

_NUMBERS = frozenset({"LongLiteralExpression", "RealLiteralExpression", "BooleanLiteralExpression"})
_NAMES = frozenset({"IdentifierName", "EscapedName"})
_TEXT_FUNCTIONS = frozenset(
    {"tostring", "strcat", "extract", "substring", "trim", "tolower", "toupper", "replace_string", "replace_regex"}
)


def equality(pipeline: Pipeline, node: Node) -> str | None:
    """Compare a string with a number or a bool as strings, as Azure does: `ResultType == 0` is `ResultType == '0'`."""
    left, operation = node.children
    if operation.kind == "EqualsEqualityExpression" and operation.children[0].text in {"==", "!="}:
        right = operation.children[1]
        if _is_number(right) and _is_text(pipeline, left):
            return _compare(pipeline.write(left), operation.children[0].text, right)
        if _is_number(left) and _is_text(pipeline, right):
            return _compare(pipeline.write(right), operation.children[0].text, left)
    if operation.kind == "ListEqualityExpression" and operation.children[0].text in {"in", "!in"}:
        items = [each for each in operation.children[2:-1] if each.text != ","]
        if any(map(_is_number, items)) and _is_text(pipeline, left):
            written = (_as_text(each) if _is_number(each) else pipeline.write(each) for each in items)
            return f"{pipeline.write(left)} {operation.children[0].text} ({', '.join(written)})"
    return None


def divide(pipeline: Pipeline, node: Node) -> str | None:
    """Divide or multiply a timespan by a number, which the engine takes for a number itself."""
    left, operation = node.children[0], node.children[1]
    operator, right = operation.children[0].text, operation.children[1]
    if len(node.children) != 2 or operator != "/" or not _is_number(right) or not _is_span(pipeline, left):
        return None
    return f"span_divided({pipeline.write(left)}, {pipeline.write(right)})"


def _is_span(pipeline: Pipeline, node: Node) -> bool:
    if node.kind in _NAMES and plain_name(node) not in pipeline.scope.scalars:
        return (pipeline.columns() or {}).get(pipeline.name(node)) == "timespan"
    return node.kind == "TimeSpanLiteralExpression"


def in_table(pipeline: Pipeline, node: Node) -> str | None:
    """Compare with the first column of a table, which is a stage of its own."""
    parts = []
    for child in node.children:
        found = child.kind != "Token" and pipeline.query.is_tabular(child, pipeline.scope)
        # A bare name in parentheses would be a value.
        parts.append(f"{pipeline.inner(child)} | where true" if found else pipeline.write(child))
    return pipeline.assemble(node, parts)


def to_scalar(pipeline: Pipeline, node: Node) -> str | None:
    """Compute the table in a stage of its own."""
    value = node.children[-2]
    if not pipeline.query.is_tabular(value, pipeline.scope):
        return None
    return f"toscalar({pipeline.inner(value)})"


def _compare(value: str, operator: str, literal: Node) -> str:
    # Azure writes bools as 'True' in some tables and as 'true' in others.
    if literal.kind == "BooleanLiteralExpression":
        operator = operator[0] + "~"
    return f"{value} {operator} {_as_text(literal)}"


def _is_number(node: Node) -> bool:
    return node.kind in _NUMBERS or (node.kind == "InvocationExpression" and node.children[-1].kind in _NUMBERS)


def _is_text(pipeline: Pipeline, node: Node) -> bool:
    while node.kind == "ParenthesizedExpression":
        node = node.children[1]
    if node.kind == "NamedFunctionCallExpression":
        return node.children[0].text in _TEXT_FUNCTIONS and "typeof" not in node.text
    if node.kind not in _NAMES or plain_name(node) in pipeline.scope.scalars:
        return False
    return (pipeline.columns() or {}).get(pipeline.name(node)) == "string"


def _as_text(node: Node) -> str:
    return kql_string(re.sub(r"^\w+\(|\)$|\s", "", node.text))
