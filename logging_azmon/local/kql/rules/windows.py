"""Rules for functions that look at the rows before or behind: row_number, row_cumsum, prev, next."""

from __future__ import annotations

import re

from ..errors import QueryError, error_at
from ..pipeline import Pipeline
from ..quoting import sql_name
from ..translation import Node

WINDOW = frozenset({"row_number", "prev", "next", "row_cumsum"})
_RESTARTED = frozenset({"row_number", "row_cumsum"})


def window(pipeline: Pipeline, function: str, node: Node, arguments: list[str]) -> str | None:
    """Compute the call in a hidden column, over the rows in their order at this point, and return its name."""
    if pipeline.columns() is None:
        return None
    if function != "row_number" and not arguments:
        raise error_at(node.start, f"{function}() needs an expression.", pipeline.query.kql)
    name = pipeline.query.hidden()
    restart = arguments[1] if function in _RESTARTED and len(arguments) > 1 else "false"
    value = "" if function == "row_number" else f"{name} = {arguments[0]}, "
    pipeline.then(f"extend {value}{name}_restart = {restart}")
    rows, found = pipeline.rows()
    columns = dict(found)
    columns.pop(f"{name}_restart")
    kind = columns.pop(name, "long")
    expression = _expression(function, name, arguments, kind)
    kept = ", ".join(map(sql_name, columns))
    part = f"count(*) FILTER (WHERE {name}_restart) OVER (ROWS UNBOUNDED PRECEDING) AS _hidden_part"
    numbered = f"SELECT *, {part}, row_number() OVER () AS _hidden_at FROM {rows}"
    pipeline.select(
        f"SELECT {kept}, {expression} AS {name} FROM ({numbered}) ORDER BY _hidden_at", {**columns, name: kind}
    )
    pipeline.hidden.append(name)
    return name


def _expression(function: str, name: str, arguments: list[str], kind: str) -> str:
    over = "OVER (PARTITION BY _hidden_part ORDER BY _hidden_at ROWS UNBOUNDED PRECEDING)"
    if function == "row_number":
        start = arguments[0] if arguments else "1"
        return f"CAST(row_number() {over} + ({integer(start)}) - 1 AS BIGINT)"
    if function == "row_cumsum":
        return f"sum({name}) {over}"
    offset = integer(arguments[1]) if len(arguments) > 1 else 1
    default = _literal(arguments[2]) if len(arguments) > 2 else "''" if kind == "string" else "NULL"
    return f"{'lag' if function == 'prev' else 'lead'}({name}, {offset}, {default}) OVER (ORDER BY _hidden_at)"


def integer(written: str) -> int:
    """Return a literal number, which becomes SQL."""
    if not re.fullmatch(r"-?\d{1,18}", written):
        raise QueryError(f"'{written}' must be an integer literal in the local workspace.", code="Unsupported")
    return int(written)


def _literal(written: str) -> str:
    value = re.fullmatch(r"""(['"])([^'"\\]*)\1""", written)
    return "'" + value[2] + "'" if value else str(integer(written))
