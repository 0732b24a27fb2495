"""Rules for small operators that pass rows on."""

from __future__ import annotations

import re

from ..errors import error_at
from ..pipeline import Pipeline
from ..quoting import kql_name
from ..translation import Node, plain_name


def name_rows(pipeline: Pipeline, node: Node) -> None:
    """Let the rest of the chain read the rows at this point under a name."""
    pipeline.scope.tables[plain_name(node.children[-1])] = pipeline.cut()


def consume(pipeline: Pipeline, _: Node) -> None:
    """Yield no rows."""
    pipeline.then("take 0")


def take(pipeline: Pipeline, node: Node) -> None:
    """Write a number that `let` binds: the engine wants it as a literal."""
    parts = [pipeline.write(child) for child in node.children]
    parts[1] = number(pipeline, node.children[1])
    pipeline.finish(node, pipeline.assemble(node, parts))


def number(pipeline: Pipeline, node: Node) -> str:
    """Return a number, or the one that `let` binds to a name."""
    written = pipeline.write(node)
    bound = pipeline.query.bound(written)
    while bound is not None:
        written, bound = bound, pipeline.query.bound(bound)
    return written


def count_of(pipeline: Pipeline, node: Node) -> str:
    """Write `count(x)` as `count()`: both count the rows."""
    del pipeline, node
    return "count()"


def sample(pipeline: Pipeline, node: Node) -> None:
    """Take the first rows: any will do."""
    pipeline.then(f"take {number(pipeline, node.children[-1])}", same=True)


def sample_distinct(pipeline: Pipeline, node: Node) -> None:
    """Take the first distinct values: any will do."""
    pipeline.then(f"distinct {pipeline.write(node.children[-1])}")
    pipeline.then(f"take {number(pipeline, node.children[1])}")


def serialize(pipeline: Pipeline, node: Node) -> None:
    """Write `extend`: the order of the rows is kept anyway."""
    written = pipeline.write(node)
    pipeline.finish(node, "extend" + written.removeprefix("serialize"))


def render(pipeline: Pipeline, _: Node) -> None:
    """Leave the chart to whoever shows the rows."""
    pipeline.columns()


def invoke(pipeline: Pipeline, node: Node) -> None:
    """Call a function that `let` defines with the rows as its first argument."""
    called = node.children[-1]
    name = called.children[0].text
    if name not in pipeline.scope.functions:
        raise error_at(called.start, f"The function '{name}' is not defined in this query.", pipeline.query.kql)
    arguments = [each for each in called.children[2:-1] if each.text != ","]
    pipeline.become(pipeline.query.call(name, arguments, pipeline.scope, pipeline.cut()))


def parameter(pipeline: Pipeline, node: Node) -> str:
    """Keep `kind=…` as written; drop hints, which only say how Azure shall compute."""
    return "" if node.text.startswith("hint.") else pipeline.query.kql[node.start : node.stop]


def summarize(pipeline: Pipeline, node: Node) -> None:
    """Write `(a, b) = percentiles(x, 50, 90)` as two aggregates."""
    parts = []
    for child in node.children:
        written = pipeline.write(child)
        names = child.children[0].children[0] if child.kind == "NamedExpression" else None
        if names is not None and names.kind == "NamedExpressionNameList":
            values = re.findall(r"\w+\((?:[^()]|\([^()]*\))*\)", pipeline.write(child.children[1]))
            wanted = [pipeline.name(each) for each in names.children[1:-1] if each.text != ","]
            written = ", ".join(f"{kql_name(name)} = {value}" for name, value in zip(wanted, values, strict=False))
        parts.append(written)
    pipeline.finish(node, pipeline.assemble(node, parts))
