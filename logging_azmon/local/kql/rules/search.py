"""Rules for `search` and for `* has …`: a bare string is searched for in every column of a table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ..errors import error_at
from ..pipeline import Pipeline, listed
from ..quoting import kql_name, kql_string, string_value
from ..scope import Scope
from ..translation import Columns, Node, plain_name
from .combining import unite

if TYPE_CHECKING:
    from ..rewriter import Rewriter

_LOGICAL = frozenset({"LogicalOrExpression", "LogicalAndExpression", "LogicalOrOperation", "LogicalAndOperation"})

_LETTERS = {
    "int": frozenset("-0123456789"),
    "long": frozenset("-0123456789"),
    "datetime": frozenset("-0123456789tz:."),
}
"""The characters that the texts of a type consist of: other terms are not looked for there."""


def search_source(query: Rewriter, node: Node, scope: Scope) -> Pipeline:
    """Search in tables, and name each row's table in `$table`, the first column."""
    clause = next((child for child in node.children if child.kind == "SearchOperatorInClause"), None)
    patterns = [plain_name(child) for child in clause.children[2:-1] if child.text != ","] if clause else ["*"]
    tables = dict.fromkeys(name for pattern in patterns for name in query.matching(pattern))
    for pattern in patterns:
        if "*" not in pattern and pattern not in tables:
            raise error_at(node.start, f"Failed to resolve table named '{pattern}'.", query.kql)
    arms = []
    for table in tables:
        rows = query.stored(table, scope)
        columns = rows.columns() or {}
        # A table that lacks a column named in the search cannot match.
        if all(query.names.inside(name) in columns for name in _named(node)):
            rows.then(f"where {_predicate(rows, node)}")
            rows.then(f"project ['$table'] = {kql_string(table)}, {listed(columns)}")
            arms.append((rows.cut(), table))
    if not arms:
        raise error_at(node.start, "No table has all the columns that the search names.", query.kql)
    found = Pipeline(query, scope, arms[0][0], arms[0][0])
    if len(arms) > 1:
        unite(found, arms, source=None)
    return found


def search(pipeline: Pipeline, node: Node) -> None:
    """Search in the rows at this point."""
    pipeline.then(f"where {_predicate(pipeline, node)}", same=True)


def any_column(pipeline: Pipeline, node: Node) -> str:
    """Apply `* has …` to each column."""
    columns = pipeline.columns() or {}
    rest = pipeline.query.kql[node.children[1].start : node.stop]
    return _each(columns, rest)


def _named(node: Node) -> Iterator[str]:
    for child in node.children[-1].walk():
        if child.kind == "IdentifierName" and child.text != "not":
            yield plain_name(child)


def _predicate(pipeline: Pipeline, node: Node) -> str:
    columns = pipeline.columns() or {}
    case_sensitive = any("case_sensitive" in child.text for child in node.children[1:-1])
    return condition(node.children[-1], columns, pipeline.write, case_sensitive=case_sensitive)


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
            return f"{rewrite(column)} {operator} {value}"
    if node.kind == "IdentifierName" and node.text == "not":
        return node.text
    return node.text if node.kind == "Token" else rewrite(node)


def _anywhere(value: str, columns: Columns, *, case_sensitive: bool) -> str:
    if not value.strip("*"):
        return "true"
    operator, term = _term(value, case_sensitive=case_sensitive)
    letters = set(value.casefold()) - {"*"}
    possible = {name: kind for name, kind in columns.items() if letters <= _LETTERS.get(kind, letters)}
    return _each(possible, f"{operator} {term}") if possible else "false"


def _each(columns: Columns, condition: str) -> str:
    """Return a condition on the text of each column; a string is its text."""
    texts = (kql_name(name) if kind == "string" else f"tostring({kql_name(name)})" for name, kind in columns.items())
    return "(" + " or ".join(f"{text} {condition}" for text in texts) + ")"


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
