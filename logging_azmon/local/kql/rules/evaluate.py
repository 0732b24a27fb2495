"""Rules for the plugins of `evaluate`, whose columns depend on the data: bag_unpack, pivot, narrow."""

from __future__ import annotations

import re

from ..errors import error_at
from ..pipeline import Pipeline
from ..quoting import kql_name, kql_string, sql_name, string_value
from ..translation import Node, plain_name

MAX_COLUMNS = 500
_TYPES = {"VARCHAR": "string", "BIGINT": "long", "UBIGINT": "long", "DOUBLE": "real", "BOOLEAN": "bool"}


def evaluate(pipeline: Pipeline, node: Node) -> None:
    """Apply the rule of a plugin."""
    called = next(child for child in node.children if child.kind == "NamedFunctionCallExpression")
    name = called.children[0].text
    if name not in _PLUGINS:
        message = f"'{name}' is not available in the local workspace; bag_unpack, pivot and narrow are."
        raise error_at(node.start, message, pipeline.query.kql, "Unsupported")
    _PLUGINS[name](pipeline, called, [each for each in called.children[2:-1] if each.text != ","])


def _bag_unpack(pipeline: Pipeline, node: Node, arguments: list[Node]) -> None:
    """Make a column of each key of a bag, with the type that its values have."""
    bag = pipeline.name(arguments[0])
    options = dict(
        zip(("prefix", "columnsConflict", "ignoredProperties"), (each.text for each in arguments[1:]), strict=False)
    )
    for argument in arguments[1:]:
        if argument.kind == "NamedExpression":
            options = {name: text for name, text in options.items() if text != argument.text}
            options[plain_name(argument.children[0].children[0])] = argument.children[1].text
    prefix, conflict = string_value(options.get("prefix", "")), string_value(options.get("columnsConflict", "'error'"))
    ignored = [string_value(each) for each in re.findall(r"'[^']*'|\"[^\"]*\"", options.get("ignoredProperties", ""))]
    rows, columns = pipeline.rows()
    if columns.get(bag) != "dynamic":
        raise error_at(node.start, f"bag_unpack needs a dynamic column, and '{bag}' is not one.", pipeline.query.kql)
    found = pipeline.query.stages.fetch(
        f"SELECT key, list(DISTINCT kind) FROM (SELECT unnest(json_keys({sql_name(bag)})) AS key,"
        f" json_type({sql_name(bag)}, '$.\"' || unnest(json_keys({sql_name(bag)})) || '\"') AS kind FROM {rows}"
        f" WHERE json_type({sql_name(bag)}) = 'OBJECT') GROUP BY key ORDER BY key LIMIT {MAX_COLUMNS}"
    )
    others = {name: kind for name, kind in columns.items() if name != bag}
    values = []
    for key, kinds in found:
        known = {_TYPES.get(kind, "dynamic") for kind in kinds if kind != "NULL"}
        kind = known.pop() if len(known) == 1 else "real" if known == {"long", "real"} else "dynamic"
        name = pipeline.query.names.inside(prefix + key)
        if key in ignored or (name in others and conflict == "keep_source"):
            continue
        if name.casefold() in {each.casefold() for each in others} and conflict == "error":
            message = f"bag_unpack finds the key '{key}', and there is a column of this name: give a prefix."
            raise error_at(node.start, message, pipeline.query.kql)
        others[name] = kind
        value = f"{kql_name(bag)}[{kql_string(key)}]"
        values.append(f"{kql_name(name)} = {value if kind == 'dynamic' else f'to{kind}({value})'}")
    if not others:
        raise error_at(node.start, "bag_unpack finds no key, and there is no other column.", pipeline.query.kql)
    if values:
        pipeline.then("extend " + ", ".join(values))
    pipeline.then(f"project-away {kql_name(bag)}")


def _pivot(pipeline: Pipeline, node: Node, arguments: list[Node]) -> None:
    """Make a column of each value of a column, with an aggregate of its rows."""
    column = pipeline.name(arguments[0])
    aggregate = pipeline.write(arguments[1]) if len(arguments) > 1 else "count()"
    rows, columns = pipeline.rows()
    if column not in columns:
        raise error_at(node.start, f"pivot needs a column, and '{column}' is not one.", pipeline.query.kql)
    used = {each.text for argument in arguments[1:2] for each in argument.walk()}
    keys = [pipeline.name(each) for each in arguments[2:]]
    keys = keys or [name for name in columns if name != column and name not in used]
    found = pipeline.query.stages.fetch(
        f"SELECT DISTINCT CAST({sql_name(column)} AS VARCHAR) AS value FROM {rows}"
        f" WHERE value IS NOT NULL ORDER BY value LIMIT {MAX_COLUMNS}"
    )
    hidden = pipeline.query.hidden()
    value = pipeline.query.hidden()
    listed = f"{', '.join(kql_name(key) for key in keys)}, " if keys else ""
    pipeline.then(f"summarize {value} = {aggregate} by {listed}{hidden} = tostring({kql_name(column)})")
    rows, _ = pipeline.rows()
    empty = "0" if aggregate.startswith(("count", "sum", "dcount")) else "NULL"
    values = [sql_name(key) for key in keys]
    for (text,) in found:
        literal = "'" + text.replace("'", "''") + "'"
        chosen = f"first({value}) FILTER (WHERE {hidden} = {literal})"
        values.append(f"coalesce({chosen}, {empty}) AS {sql_name(pipeline.query.names.inside(text or 'Column'))}")
    grouped = f" GROUP BY {', '.join(sql_name(key) for key in keys)}" if keys else ""
    order = f" ORDER BY {', '.join(sql_name(key) for key in keys)}" if keys else ""
    pipeline.select(f"SELECT {', '.join(values)} FROM {rows}{grouped}{order}")


def _narrow(pipeline: Pipeline, _: Node, __: list[Node]) -> None:
    """Make a row of each value: its row's number, its column, and its text."""
    rows, columns = pipeline.rows()
    numbered = f"SELECT *, row_number() OVER () - 1 AS _row FROM {rows}"
    arms = [
        f'SELECT _row AS "Row", \'{name.replace(chr(39), chr(39) * 2)}\' AS "Column",'
        f" coalesce(CAST({sql_name(name)} AS VARCHAR), '') AS \"Value\" FROM ({numbered})"
        for name in columns
    ]
    pipeline.select(" UNION ALL ".join(arms), {"Row": "long", "Column": "string", "Value": "string"})


_PLUGINS = {"bag_unpack": _bag_unpack, "pivot": _pivot, "narrow": _narrow}
