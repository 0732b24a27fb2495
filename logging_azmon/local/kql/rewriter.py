"""Rewrite the operators and functions that the KQL engine lacks, in the main pipeline of a query.

The pipeline is read operator by operator. An operator that the engine knows is passed on as written. One that must know
its columns (`project-keep`, `search`) is rewritten into others. One that needs more than KQL (`row_number()`,
`make-series`) ends a stage: everything before it becomes a common table expression, the operator becomes another, and
the rest of the query reads from that. No state is shared: each call has a `_Rewriter` of its own.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from .errors import QueryError, error_at, error_at_name
from .quoting import kql_name, kql_string, sql_name
from .search import condition, is_case_sensitive
from .series import AXIS_TYPES, read_series
from .translation import Columns, Describe, Node, Schema, Translation, check_select, parse, plain_name, to_sql

_WINDOW = frozenset({"row_number", "prev", "next", "row_cumsum"})
_RESTARTED = frozenset({"row_number", "row_cumsum"})
_COMBINING = frozenset({"JoinOperator", "LookupOperator", "UnionOperator"})
_STAGED = frozenset(
    {
        "MakeSeriesOperator",
        "SerializeOperator",
        "StringStarOperatorExpression",
        "WildcardedName",
        "DistinctOperatorStarTarget",
        *_COMBINING,
    }
)
_REWRITTEN = frozenset(
    {"SearchOperator", "ProjectKeepOperator", "ProjectReorderOperator", "SampleOperator", "ConsumeOperator"}
)


def translate(kql: str, schema: Schema, describe: Describe, *, now: dt.datetime | None = None) -> Translation:
    """Translate a query; `describe` returns the columns that a translated part of it yields."""

    def checked(part: Translation) -> Columns:
        check_select(part.sql)
        return describe(part)

    translation = _Rewriter(kql, schema, checked, now).translate()
    check_select(translation.sql)
    return translation


class _Rewriter:
    def __init__(self, kql: str, schema: Schema, describe: Describe, now: dt.datetime | None) -> None:
        self._kql = kql
        self._schema: dict[str, Columns] = dict(schema)
        self._describe = describe
        self._now = now
        self._stages: list[str] = []
        self._parameters: dict[str, Any] = {}
        self._lets = ""
        self._pending = ""
        self._hidden = 0

    def translate(self) -> Translation:
        """Translate the last statement; `let` and the like, which precede it, are repeated for each stage."""
        tree = parse(self._kql)
        statements = tree.children if tree.kind == "Query" else (tree,)
        statements = tuple(node for node in statements if node.text not in (";", "<EOF>"))
        main = statements[-1]
        for extra in statements[:-1]:
            if not extra.kind.startswith(("Let", "Set", "Declare")):
                message = "Only one tabular statement can be answered at a time."
                raise error_at(extra.start, message, self._kql, "Unsupported")
        if not self._is_needed(tree):
            return to_sql(self._kql, self._schema, now=self._now)
        self._lets = "".join(f"{self._rewrite(node, None)};\n" for node in statements[:-1])
        self._pipeline(main, tree)
        return self._finish()

    def _is_needed(self, tree: Node) -> bool:
        return any(
            node.kind in _REWRITTEN
            or node.kind in _STAGED
            or (node.kind == "DistinctOperator" and node.children[-1].text == "*")
            or _call_name(node) in {*_WINDOW, *_FUNCTIONS}
            for node in tree.walk()
        )

    def _pipeline(self, main: Node, tree: Node) -> None:
        operators: list[Node] = []
        while main.kind == "PipeExpression":
            operators = [child.children[-1] for child in main.children if child.kind == "PipedOperator"] + operators
            main = main.children[0]
        for node in tree.walk():
            # Elsewhere the engine silently drops the plain names beside a pattern and ignores the pattern.
            if node.kind == "ProjectAwayOperator" and _reads_all_columns(node) and node not in operators:
                message = "project-away with a pattern works in the query's main pipeline only."
                raise error_at(node.start, message, self._kql, "Unsupported")
        if main.kind == "SearchOperator":
            self._pending = self._search_source(main)
        else:
            self._pending = self._rewrite(main, None)
            self._fill_strings(main)
        for operator in operators:
            self._operator(operator)

    def _operator(self, node: Node) -> None:
        if node.kind == "MakeSeriesOperator":
            self._make_series(node)
            return
        if node.kind in _REWRITTEN or _reads_all_columns(node):
            self._pending += f"\n| {self._with_columns(node, self._columns())}"
            return
        if any(_call_name(each) in _WINDOW for each in node.walk()):
            self._windows(node)
            return
        if node.kind == "SerializeOperator":
            self._pending += "\n| extend " + self._kql[node.children[1].start : node.stop]
            return
        columns = self._columns() if any(_call_name(each) in _NEED_COLUMNS for each in node.walk()) else None
        self._pending += f"\n| {self._rewrite(node, columns)}"
        self._fill_strings(node)

    def _fill_strings(self, node: Node) -> None:
        """Make a string empty where an operator found no row or no column for it: Kusto's strings are never null."""
        if node.kind not in _COMBINING:
            return
        combined = self._cut()
        columns = self._schema[combined]
        values = ", ".join(
            f"coalesce({sql_name(name)}, '') AS {sql_name(name)}" if kind == "string" else sql_name(name)
            for name, kind in columns.items()
        )
        self._stage(f"SELECT {values} FROM {combined}", columns)

    def _with_columns(self, node: Node, columns: Columns) -> str:
        if node.kind == "SearchOperator":
            return "where " + self._predicate(node, columns)
        if node.kind in {"ProjectKeepOperator", "ProjectReorderOperator", "ProjectAwayOperator"}:
            chosen = self._chosen(node, columns, in_order=node.kind == "ProjectReorderOperator")
            if node.kind == "ProjectAwayOperator":
                chosen = [name for name in columns if name not in chosen]
            return "project " + ", ".join(kql_name(name) for name in chosen)
        if node.kind == "SampleOperator":
            return "take " + node.children[-1].text
        if node.kind == "ConsumeOperator":
            return "take 0"
        if node.kind == "DistinctOperator":
            return "distinct " + ", ".join(kql_name(name) for name in columns)
        return self._rewrite(node, columns)

    def _chosen(self, node: Node, columns: Columns, *, in_order: bool) -> list[str]:
        """Return the columns that the operator's names and patterns match.

        `in_order` puts them in the order of the patterns, with all other columns behind them.
        """
        picked: list[str] = []
        for target in node.children[1:]:
            if target.kind == "Token" and target.text == ",":
                continue
            ordered = target.kind == "ProjectReorderExpression"
            pattern = plain_name(target.children[0] if ordered else target)
            found = [name for name in columns if fnmatchcase(name, pattern)]
            if ordered:
                found = _in_order(found, target.children[1].text)
            if not found and "*" not in pattern:
                message = f"Failed to resolve table, column or scalar expression named '{pattern}'."
                raise error_at(target.start, message, self._kql)
            picked.extend(name for name in found if name not in picked)
        if in_order:
            return picked + [name for name in columns if name not in picked]
        return [name for name in columns if name in picked]

    def _search_source(self, node: Node) -> str:
        scope = next((child for child in node.children if child.kind == "SearchOperatorInClause"), None)
        patterns = [plain_name(child) for child in scope.children[2:-1] if child.text != ","] if scope else ["*"]
        tables = [name for name in self._schema if any(fnmatchcase(name, pattern) for pattern in patterns)]
        for pattern in patterns:
            if "*" not in pattern and pattern not in tables:
                raise error_at(node.start, f"Failed to resolve table named '{pattern}'.", self._kql)
        arms = []
        for table in tables:
            columns = self._schema[table]
            predicate = self._predicate(node, columns)
            # A table that lacks a column named in the search cannot match.
            if all(name in columns for name in self._named(node)):
                listed = ", ".join(kql_name(name) for name in columns)
                named = f"project ['$table'] = {kql_string(table)}, {listed}"
                arms.append(f"({kql_name(table)} | where {predicate} | {named})")
        if not arms:
            raise error_at(node.start, "No table has all the columns that the search names.", self._kql)
        return arms[0][1:-1] if len(arms) == 1 else "union " + ", ".join(arms)

    def _named(self, node: Node) -> Iterator[str]:
        for child in node.children[-1].walk():
            if child.kind == "IdentifierName" and child.text != "not":
                yield plain_name(child)

    def _predicate(self, node: Node, columns: Columns) -> str:
        rewrite = partial(self._rewrite, columns=columns)
        return condition(node.children[-1], columns, rewrite, case_sensitive=is_case_sensitive(node))

    def _rewrite(self, node: Node, columns: Columns | None) -> str:
        """Return the text of a part of the query, with replacements for functions that the engine lacks."""
        if node.kind == "StringStarOperatorExpression" and columns is not None:
            rest = self._kql[node.children[1].start : node.stop]
            return "(" + " or ".join(f"tostring({kql_name(name)}) {rest}" for name in columns) + ")"
        name = _call_name(node)
        if name in _FUNCTIONS and (columns is not None or name not in _NEED_COLUMNS):
            arguments = [self._rewrite(child, columns) for child in _arguments(node)]
            replaced = _FUNCTIONS[name](arguments, columns or {})
            if replaced is not None:
                return replaced
        written, position = "", node.start
        for child in node.children:
            written += self._kql[position : child.start] + self._rewrite(child, columns)
            position = child.stop
        return written + self._kql[position : node.stop]

    def _finish(self) -> Translation:
        last = self._translated()
        stages = [stage for stage in self._stages if stage]
        sql = f"WITH {', '.join(stages)} SELECT * FROM ({last})" if stages else last
        return Translation(sql, self._parameters)

    def _translated(self) -> str:
        composed = self._lets + self._pending
        try:
            translation = to_sql(composed, self._schema, now=self._now)
        except QueryError as error:
            raise self._relocated(error, composed) from error
        self._parameters.update(translation.parameters)
        return translation.sql

    def _relocated(self, error: QueryError, composed: str) -> QueryError:
        """Point at the same word in the query as the user wrote it."""
        line = composed.split("\n")[(error.line or 1) - 1]
        word = re.compile(r"[\w-]+|\S+").match(line, error.pos - 1) if error.pos else None
        return error_at_name(word[0] if word else "", error.message, self._kql, error.code)

    def _columns(self) -> Columns:
        return self._describe(self._finish())

    def _cut(self) -> str:
        """End a stage: name the part of the query read so far, and continue from that name."""
        columns = self._columns()
        return self._stage(self._translated(), columns)

    def _stage(self, sql: str, columns: Columns) -> str:
        name = f"_stage{len(self._stages)}"
        self._stages.append(f"{name} AS ({sql})")
        self._schema[name] = columns
        self._pending = name
        return name

    def _windows(self, node: Node) -> None:
        """Compute each window call in a hidden column, over the rows in their order at this point."""
        hidden: list[str] = []
        written = self._without_windows(node, hidden)
        self._pending += f"\n| {re.sub('^serialize', 'extend', written)}"
        if node.kind not in {"ProjectOperator", "SummarizeOperator"}:
            self._pending += f"\n| project-away {', '.join(hidden)}"

    def _without_windows(self, node: Node, hidden: list[str]) -> str:
        """Return the text of a part of the query, with a hidden column in place of each window call."""
        if _call_name(node) in _WINDOW:
            return self._window_column(node, hidden)
        written, position = "", node.start
        for child in node.children:
            written += self._kql[position : child.start] + self._without_windows(child, hidden)
            position = child.stop
        return written + self._kql[position : node.stop]

    def _window_column(self, call: Node, hidden: list[str]) -> str:
        function = _call_name(call)
        # A restart may compare with prev(): the inner calls are computed first.
        arguments = [self._without_windows(child, hidden) for child in _arguments(call)]
        if function != "row_number" and not arguments:
            raise error_at(call.start, f"{function}() needs an expression.", self._kql)
        name = f"_window{self._hidden}"
        self._hidden += 1
        restart = arguments[1] if function in _RESTARTED and len(arguments) > 1 else "false"
        value = "" if function == "row_number" else f"{name} = {arguments[0]}, "
        self._pending += f"\n| extend {value}{name}_restart = {restart}"
        rows = self._cut()
        columns = dict(self._schema[rows])
        columns.pop(f"{name}_restart")
        kind = columns.pop(name, "long")
        expression = _window(function, name, arguments, kind)
        kept = ", ".join(map(sql_name, columns))
        part = f"count(*) FILTER (WHERE {name}_restart) OVER (ROWS UNBOUNDED PRECEDING) AS _part"
        numbered = f"SELECT *, {part}, row_number() OVER () AS _at FROM {rows}"
        self._stage(f"SELECT {kept}, {expression} AS {name} FROM ({numbered}) ORDER BY _at", {**columns, name: kind})
        hidden.append(name)
        return name

    def _make_series(self, node: Node) -> None:
        """Aggregate by slot, combine each group with each slot, and fill empty slots with the default."""
        series = read_series(node)
        rows = self._cut()
        if self._schema[rows].get(series.axis) not in AXIS_TYPES:
            message = f"make-series needs a column of type datetime, int or long, and '{series.axis}' is not one."
            raise error_at(node.start, message, self._kql)
        self._pending = series.bounds_kql()
        bounds = self._cut()
        if "from" not in series.bounds:
            self._pending = f"{rows}\n| {series.slot_kql()}"
            rows = self._cut()
        self._stage(*series.slots(rows, self._schema[rows], bounds))
        self._pending += f"\n| {series.summarize_kql()}"
        data = self._cut()
        self._stage(*series.lay_out(data, self._schema[data], bounds))


def _in_order(names: list[str], order: str) -> list[str]:
    """Sort names as `project-reorder` asks; the granny orders compare the digits in a name as numbers."""

    def granny(name: str) -> list[tuple[bool, int, str]]:
        parts = re.findall(r"\d+|\D+", name)
        return [(not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]

    return sorted(names, key=granny if order.startswith("granny") else None, reverse=order.endswith("desc"))


def _window(function: str, name: str, arguments: list[str], kind: str) -> str:
    over = "OVER (PARTITION BY _part ORDER BY _at ROWS UNBOUNDED PRECEDING)"
    if function == "row_number":
        start = arguments[0] if arguments else "1"
        return f"CAST(row_number() {over} + ({_number(start)}) - 1 AS BIGINT)"
    if function == "row_cumsum":
        return f"sum({name}) {over}"
    offset = _number(arguments[1]) if len(arguments) > 1 else 1
    default = _literal(arguments[2]) if len(arguments) > 2 else "''" if kind == "string" else "NULL"
    return f"{'lag' if function == 'prev' else 'lead'}({name}, {offset}, {default}) OVER (ORDER BY _at)"


def _number(written: str) -> int:
    if not re.fullmatch(r"-?\d{1,18}", written):
        raise QueryError(f"'{written}' must be an integer literal in the local workspace.", code="Unsupported")
    return int(written)


def _literal(written: str) -> str:
    value = re.fullmatch(r"""(['"])([^'"\\]*)\1""", written)
    return "'" + value[2] + "'" if value else str(_number(written))


def _reads_all_columns(node: Node) -> bool:
    if node.kind == "DistinctOperator":
        return node.children[-1].text == "*"
    if node.kind == "ProjectAwayOperator":
        return any(each.kind == "WildcardedName" for each in node.walk())
    return any(each.kind == "StringStarOperatorExpression" for each in node.walk())


def _call_name(node: Node) -> str:
    """Return the name of the function that a node calls, or an empty string."""
    return node.children[0].text if node.kind.endswith("FunctionCallExpression") and node.children else ""


def _arguments(node: Node) -> list[Node]:
    return [child for child in node.children[1:] if child.text not in ("(", ")", ",")]


def _if_exists(arguments: list[str], columns: Columns) -> str | None:
    if len(arguments) != 2:
        return None
    name = arguments[0].strip("\"'")
    return kql_name(name) if name in columns else arguments[1]


def _extract(arguments: list[str], _: Columns) -> str | None:
    if len(arguments) != 4:
        return None
    kind = re.fullmatch(r"typeof\(\s*(\w+)\s*\)", arguments[3])
    return f"to{kind[1]}(extract({', '.join(arguments[:3])}))" if kind else None


def _take_any(arguments: list[str], columns: Columns) -> str | None:
    """Take the newest row of the group: any row will do, but column by column would mix rows."""
    return "arg_max(TimeGenerated, *)" if arguments == ["*"] and "TimeGenerated" in columns else None


def _renamed(name: str) -> Callable[[list[str], Columns], str]:
    return lambda arguments, _: f"{name}({', '.join(arguments)})"


_NEED_COLUMNS = frozenset({"columnifexists", "column_ifexists", "take_any"})
_FUNCTIONS: Mapping[str, Callable[[list[str], Columns], str | None]] = {
    "columnifexists": _if_exists,
    "column_ifexists": _if_exists,
    "extract": _extract,
    "take_any": _take_any,
    "base64_encodestring": _renamed("base64_encode_tostring"),
    "base64_decodestring": _renamed("base64_decode_tostring"),
    "pack": _renamed("bag_pack"),
}
