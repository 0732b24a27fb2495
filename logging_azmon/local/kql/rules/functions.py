"""Rules for functions that the engine lacks, or that must know the columns."""

from __future__ import annotations

import re
from collections.abc import Callable

from ..pipeline import Pipeline
from ..quoting import kql_name, string_value
from ..scope import Function
from ..standard import INGESTED
from ..translation import Node
from .windows import WINDOW, window

Rule = Callable[[Pipeline, list[str]], str | None]


def call(pipeline: Pipeline, node: Node) -> str | None:
    """Apply the rule of a function."""
    function = node.children[0].text
    nodes = [child for child in node.children[2:-1] if child.text != ","]
    if function in pipeline.scope.calls:
        return _own(pipeline, function, pipeline.scope.calls[function], nodes)
    if function in WINDOW:
        # A restart may compare with prev(): the inner calls are computed first.
        return window(pipeline, function, node, [pipeline.write(each) for each in nodes])
    arguments = [pipeline.write(each) for each in nodes]
    rule = FUNCTIONS.get(function)
    written = rule(pipeline, arguments) if rule else None
    if written is not None:
        return written
    rest = iter(arguments)
    parts = [child.text if child.kind == "Token" else next(rest) for child in node.children[1:]]
    return pipeline.assemble(node, [function, *parts])


def _own(pipeline: Pipeline, name: str, function: Function, nodes: list[Node]) -> str | None:
    """Put the arguments of a function of the query in order: the engine does not know them by name."""
    from ..rewriter import bind

    bound = [given for _, given in bind(function.parameters, nodes)]
    if None in bound:
        return None
    written = ", ".join(pipeline.write(each) for each in bound if each is not None)
    return f"{pipeline.scope.scalars[name]}({written})"


def _if_exists(pipeline: Pipeline, arguments: list[str]) -> str | None:
    columns = pipeline.columns()
    if len(arguments) != 2 or columns is None:
        return None
    name = pipeline.query.names.inside(string_value(arguments[0]) or arguments[0])
    return kql_name(name) if name in columns else arguments[1]


def _extract(_: Pipeline, arguments: list[str]) -> str | None:
    if len(arguments) != 4:
        return None
    kind = re.fullmatch(r"typeof\(\s*(\w+)\s*\)", arguments[3])
    return f"to{kind[1]}(extract({', '.join(arguments[:3])}))" if kind else None


def _take_any(pipeline: Pipeline, arguments: list[str]) -> str | None:
    """Take the newest row of the group: any row will do, but column by column would mix rows."""
    if arguments == ["*"] and "TimeGenerated" in (pipeline.columns() or {}):
        return "arg_max(TimeGenerated, *)"
    if len(arguments) > 1:
        return ", ".join(f"take_any({each})" for each in arguments)
    return None


def _split(_: Pipeline, arguments: list[str]) -> str | None:
    return f"pack_array(split({arguments[0]}, {arguments[1]})[{arguments[2]}])" if len(arguments) == 3 else None


def _ingestion_time(pipeline: Pipeline, _: list[str]) -> str | None:
    return INGESTED if INGESTED in (pipeline.columns() or {}) else "datetime(null)"


def _renamed(name: str) -> Rule:
    return lambda _, arguments: f"{name}({', '.join(arguments)})"


FUNCTIONS: dict[str, Rule] = {
    "any": lambda pipeline, arguments: _take_any(pipeline, arguments) or f"take_any({', '.join(arguments)})",
    "base64_decodestring": _renamed("base64_decode_tostring"),
    "base64_encodestring": _renamed("base64_encode_tostring"),
    "column_ifexists": _if_exists,
    "columnifexists": _if_exists,
    "extract": _extract,
    "ingestion_time": _ingestion_time,
    "makelist": _renamed("make_list"),
    "makeset": _renamed("make_set"),
    "pack": _renamed("bag_pack"),
    "split": _split,
    "take_any": _take_any,
}
