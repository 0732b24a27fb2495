"""Rules for `parse`: patterns that begin with a column, and quoted names of columns."""

from __future__ import annotations

from ..pipeline import Pipeline
from ..quoting import kql_name
from ..translation import Node, plain_name

_NAMES = frozenset({"IdentifierName", "EscapedName", "ParseOperatorNameAndOptionalType"})
_BEGIN = "\ue000"
"""Put before the text to parse, so that a pattern which begins with a column begins with a text."""


def parse(pipeline: Pipeline, node: Node) -> None:
    """Write the names of the columns plainly, and begin the pattern with a text."""
    renames: list[tuple[str, str]] = []
    parts = [
        _part(pipeline, child, renames) if child.kind.startswith("ParseOperatorPattern") else pipeline.write(child)
        for child in node.children
    ]
    if node.children[-1].kind == "ParseOperatorPattern" and node.children[-1].children[0].kind in _NAMES:
        parts[-3] = f"strcat('{_BEGIN}', {parts[-3]})"
        parts[-1] = f"'{_BEGIN}' {parts[-1]}"
    pipeline.finish(node, pipeline.assemble(node, parts))
    if renames:
        pipeline.then("project-rename " + ", ".join(f"{kql_name(new)} = {old}" for new, old in renames))


def _part(pipeline: Pipeline, node: Node, renames: list[tuple[str, str]]) -> str:
    if node.kind == "EscapedName":
        hidden = pipeline.query.hidden()
        renames.append((plain_name(node), hidden))
        return hidden
    if node.kind.startswith("ParseOperatorPattern") or node.kind == "ParseOperatorNameAndOptionalType":
        return pipeline.assemble(node, [_part(pipeline, child, renames) for child in node.children])
    return pipeline.write(node)
