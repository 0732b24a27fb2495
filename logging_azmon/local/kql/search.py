"""Rewrite the condition of a `search` into a `where`: a bare string is searched for in every column of a table."""

from __future__ import annotations

import re
from collections.abc import Callable

from .quoting import kql_name, kql_string, string_value
from .translation import Columns, Node

_LOGICAL = frozenset({"LogicalOrExpression", "LogicalAndExpression", "LogicalOrOperation", "LogicalAndOperation"})


def is_case_sensitive(search: Node) -> bool:
    """Return whether a search asks for ``kind=case_sensitive``."""
    return any("case_sensitive" in child.text for child in search.children[1:-1])


def condition(node: Node, columns: Columns, rewrite: Callable[[Node], str], *, case_sensitive: bool) -> str:
    """Return the condition for a table with these columns; `rewrite` handles ordinary predicates."""
    negated = node.kind.endswith("FunctionCallExpression") and node.children[0].text == "not"
    if node.kind in _LOGICAL or node.kind == "ParenthesizedExpression" or negated:
        return " ".join(condition(child, columns, rewrite, case_sensitive=case_sensitive) for child in node.children)
    if node.kind == "StringLiteralExpression":
        return _anywhere(string_value(node.text), columns, case_sensitive=case_sensitive)
    if node.kind == "StringBinaryOperatorExpression":
        column, operation = node.children
        if operation.children[0].text == ":":
            operator, value = _term(string_value(operation.children[-1].text), case_sensitive=case_sensitive)
            return f"{column.text} {operator} {value}"
    return node.text if node.kind == "Token" else rewrite(node)


def _anywhere(value: str, columns: Columns, *, case_sensitive: bool) -> str:
    if not value.strip("*"):
        return "true"
    operator, term = _term(value, case_sensitive=case_sensitive)
    return "(" + " or ".join(f"tostring({kql_name(name)}) {operator} {term}" for name in columns) + ")"


def _term(value: str, *, case_sensitive: bool) -> tuple[str, str]:
    """Choose the operator for a term: each end must be a word boundary unless it has a star."""
    suffix = "_cs" if case_sensitive else ""
    if "*" not in value:
        return f"has{suffix}", kql_string(value)
    body = value.strip("*")
    if "*" not in body and value.startswith("*") and value.endswith("*"):
        return f"contains{suffix}", kql_string(body)
    pattern = ".*".join(re.escape(part) for part in body.split("*"))
    start, end = "" if value.startswith("*") else r"\b", "" if value.endswith("*") else r"\b"
    return "matches regex", kql_string(("" if case_sensitive else "(?i)") + start + pattern + end)
