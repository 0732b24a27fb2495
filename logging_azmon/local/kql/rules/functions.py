"""Rules for functions that the engine lacks, or that must know the columns."""

from __future__ import annotations

import re
from collections.abc import Callable

from ..names import outside
from ..pipeline import Pipeline
from ..quoting import kql_name, kql_string, string_value
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
    written = [pipeline.write(each) for each in bound if each is not None]
    if name not in pipeline.scope.scalars:
        return pipeline.query.expand(function, written)
    return f"{pipeline.scope.scalars[name]}({', '.join(written)})"


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


def _take_any(function: str) -> Rule:
    def rule(pipeline: Pipeline, arguments: list[str]) -> str | None:
        """Take the newest row of the group: any row will do, but column by column would mix rows."""
        if arguments == ["*"] and "TimeGenerated" in (pipeline.columns() or {}):
            return "arg_max(TimeGenerated, *)"
        return ", ".join(f"{function}({each})" for each in arguments) if len(arguments) > 1 else None

    return rule


def _of_spans(name: str) -> Rule:
    """Choose the form of an aggregate that takes timespans."""

    def rule(pipeline: Pipeline, arguments: list[str]) -> str | None:
        kind = (pipeline.columns() or {}).get(arguments[0]) if len(arguments) == 1 else None
        return f"{name}_of_spans({arguments[0]})" if kind == "timespan" else None

    return rule


def _percentiles(_: Pipeline, arguments: list[str]) -> str:
    return ", ".join(f"percentile({arguments[0]}, {each})" for each in arguments[1:])


def _pairwise(name: str) -> Rule:
    """Apply a function of two sets to more of them."""

    def rule(_: Pipeline, arguments: list[str]) -> str | None:
        if len(arguments) < 3:
            return None
        written = arguments[0]
        for each in arguments[1:]:
            written = f"{name}({written}, {each})"
        return written

    return rule


def _any_of(name: str) -> Rule:
    """Ask for each of several values."""
    return lambda _, arguments: "(" + " or ".join(f"{name}({arguments[0]}, {each})" for each in arguments[1:]) + ")"


def _bin_at(_: Pipeline, arguments: list[str]) -> str | None:
    if len(arguments) != 3:
        return None
    value, size, fixed = arguments
    if re.match(r"datetime\b|now\b|ago\b|startof|todatetime", fixed):
        return f"bin_at_time({value}, {size}, {fixed})"
    return f"({fixed} + bin(({value}) - ({fixed}), {size}))"


def _pack_all(pipeline: Pipeline, arguments: list[str]) -> str | None:
    columns = pipeline.columns()
    if not columns or arguments not in ([], ["false"]):
        return None
    return f"bag_pack({', '.join(f'{kql_string(outside(name))}, {kql_name(name)}' for name in columns)})"


def _with_prefix(name: str) -> Rule:
    """Choose the form of an address function that takes a prefix."""
    return lambda _, arguments: f"{name}3({', '.join(arguments)})" if len(arguments) == 3 else None


def _extract_json(_: Pipeline, arguments: list[str]) -> str | None:
    kind = re.fullmatch(r"typeof\(\s*(\w+)\s*\)", arguments[2]) if len(arguments) == 3 else None
    return f"to{kind[1]}(extract_json({arguments[0]}, {arguments[1]}))" if kind else None


def _split(_: Pipeline, arguments: list[str]) -> str | None:
    return f"pack_array(split({arguments[0]}, {arguments[1]})[{arguments[2]}])" if len(arguments) == 3 else None


def _ingestion_time(pipeline: Pipeline, _: list[str]) -> str | None:
    return INGESTED if INGESTED in (pipeline.columns() or {}) else "datetime(null)"


def _renamed(name: str) -> Rule:
    return lambda _, arguments: f"{name}({', '.join(arguments)})"


FUNCTIONS: dict[str, Rule] = {
    "any": _take_any("any"),
    "avg": _of_spans("avg"),
    "base64_decodestring": _renamed("base64_decode_tostring"),
    "base64_encodestring": _renamed("base64_encode_tostring"),
    "bin_at": _bin_at,
    "column_ifexists": _if_exists,
    "columnifexists": _if_exists,
    "extract": _extract,
    "extract_json": _extract_json,
    "extractjson": _extract_json,
    "has_any_ipv4": _any_of("has_ipv4"),
    "has_any_ipv4_prefix": _any_of("has_ipv4_prefix"),
    "ingestion_time": _ingestion_time,
    "ipv4_compare": _with_prefix("ipv4_compare"),
    "ipv4_is_in_any_range": _any_of("ipv4_is_in_any_range"),
    "ipv4_is_match": _with_prefix("ipv4_is_match"),
    "makelist": _renamed("make_list"),
    "makeset": _renamed("make_set"),
    "pack": _renamed("bag_pack"),
    "pack_all": _pack_all,
    "parseurl": _renamed("parse_url"),
    "percentiles": _percentiles,
    "range": lambda _, arguments: f"range_({', '.join([*arguments, '1'][:3])})",
    "set_difference": _pairwise("set_difference"),
    "set_intersect": _pairwise("set_intersect"),
    "set_union": _pairwise("set_union"),
    "split": _split,
    "sum": _of_spans("sum"),
    "take_any": _take_any("take_any"),
}
