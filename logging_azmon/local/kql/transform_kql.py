"""Check a rule's transformKql against the limits that Azure sets for transformations.

A transformation sees one row at a time. Source: "Supported KQL features in Azure Monitor transformations",
MicrosoftDocs/azure-monitor-docs, 2026-01.
"""

from __future__ import annotations

import re

from ..._config.service_limits import MAX_TRANSFORM_LENGTH
from .errors import QueryError, error_at
from .translation import Node, parse

PARSED_COLUMNS_PER_STATEMENT = 10

ALLOWED_OPERATORS = frozenset(
    {"extend", "project", "where", "filter", "parse", "project-away", "project-rename", "print", "datatable"}
)
# The grammar's names for tabular operators. PipedOperator wraps them; StringOperators compare strings.
_OPERATOR = re.compile(r"(?!Piped|String)\w+Operator(Part)?")
_AZURE_ONLY = frozenset({"parse_cef_dictionary", "geo_location"})


def check_transform(transform: str) -> list[QueryError]:
    """Return an error for each thing in a transformation that Azure, or this workspace, refuses."""
    if len(transform) > MAX_TRANSFORM_LENGTH:
        return [QueryError(f"a transformKql has at most {MAX_TRANSFORM_LENGTH:,} characters, not {len(transform):,}")]
    refused = ((node, _refusal(node)) for node in parse(transform).walk())
    return [error_at(node.start, reason, transform) for node, reason in refused if reason is not None]


def _refusal(node: Node) -> str | None:
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
