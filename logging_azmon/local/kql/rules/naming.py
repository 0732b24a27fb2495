"""Rules for the names of columns: lists with patterns, names that differ only in case, arguments of functions."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

from ..errors import error_at, unknown_name
from ..names import outside
from ..pipeline import Pipeline, listed
from ..translation import Columns, Node, plain_name


def column(pipeline: Pipeline, node: Node) -> str | None:
    """Write a column, or a value that `let` binds, as SQL knows it."""
    name = plain_name(node)
    if name in pipeline.scope.scalars:
        return pipeline.scope.scalars[name]
    inside = pipeline.query.names.inside(name)
    return None if inside == name else inside


def path(pipeline: Pipeline, node: Node) -> str:
    """Keep the names behind a dot, which are keys, unless they follow `$left` or `$right`."""
    first = node.children[0]
    parts = [pipeline.write(first)]
    for child in node.children[1:]:
        is_key = child.kind == "FunctionCallOrPathPathOperation" and first.text not in {"$left", "$right"}
        parts.append(child.text if is_key else pipeline.write(child))
    return pipeline.assemble(node, parts)


def legacy_index(pipeline: Pipeline, node: Node) -> str:
    """Write `x.[0]` as `x[0]`."""
    return pipeline.write_parts(node).lstrip(". ")


def distinct(pipeline: Pipeline, node: Node) -> None:
    """Name the columns of `distinct *`, which the engine wants to know."""
    if node.children[-1].text == "*":
        pipeline.then(f"distinct {listed(pipeline.columns() or {})}")
    else:
        pipeline.plain(node)


def project_away(pipeline: Pipeline, node: Node) -> None:
    """Name the columns that stay: beside a pattern, the engine drops the plain names."""
    columns = pipeline.columns() or {}
    gone = _chosen(pipeline, node)
    pipeline.then(f"project {listed({name: kind for name, kind in columns.items() if name not in gone})}")


def project_keep(pipeline: Pipeline, node: Node) -> None:
    """Keep the columns in their order."""
    columns = pipeline.columns() or {}
    kept = _chosen(pipeline, node)
    pipeline.then(f"project {listed({name: kind for name, kind in columns.items() if name in kept})}")


def project_reorder(pipeline: Pipeline, node: Node) -> None:
    """Put the columns in the order of the patterns, with all other columns behind them."""
    columns = pipeline.columns() or {}
    order = dict.fromkeys([*_chosen(pipeline, node), *columns])
    pipeline.then(f"project {listed({name: columns[name] for name in order})}")


def project_rename(pipeline: Pipeline, node: Node) -> None:
    """Refuse a column that does not exist, which the engine passes over."""
    for child in node.children:
        if child.kind == "NamedExpression":
            require(pipeline, child.children[1], pipeline.columns() or {})
    pipeline.plain(node)


def require(pipeline: Pipeline, node: Node, columns: Columns) -> str:
    """Return the name of a column that must exist."""
    name = pipeline.name(node)
    if name not in columns:
        known = [outside(each) for each in columns]
        message = unknown_name(plain_name(node), pipeline.query.kql, known).message
        raise error_at(node.start, message, pipeline.query.kql)
    return name


def _chosen(pipeline: Pipeline, node: Node) -> list[str]:
    """Return the columns that names and patterns match, in the order of the patterns."""
    columns = pipeline.columns() or {}
    picked: list[str] = []
    for target in node.children[1:]:
        if target.kind == "Token" and target.text == ",":
            continue
        ordered = target.kind == "ProjectReorderExpression"
        name = target.children[0] if ordered else target
        pattern = plain_name(name)
        if "*" in pattern:
            found = [each for each in columns if fnmatchcase(outside(each), pattern)]
        else:
            found = [require(pipeline, name, columns)]
        if ordered:
            found = _in_order(found, target.children[1].text)
        picked.extend(each for each in found if each not in picked)
    return picked


def _in_order(names: list[str], order: str) -> list[str]:
    """Sort names as `project-reorder` asks; the granny orders compare the digits in a name as numbers."""

    def granny(name: str) -> list[tuple[bool, int, str]]:
        parts = re.findall(r"\d+|\D+", name)
        return [(not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]

    return sorted(names, key=granny if order.startswith("granny") else None, reverse=order.endswith("desc"))
