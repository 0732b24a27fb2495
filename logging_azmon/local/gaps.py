"""Fill in what logs need and the KQL engine lacks, on the main pipeline of a query.

The pipeline is read operator by operator. What the engine knows is passed on as it was written. An operator that needs
to know its columns (`project-keep`, `search`) is rewritten into others, and one that needs more than KQL
(`row_number()`, `make-series`) ends a stage: everything before it becomes a common table expression, the operator
another, and the rest of the query reads from that. No thread owns anything here: a `_Filler` lives for one call.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from .kql import Columns, Describe, Node, QueryError, Schema, Translation, located, parse, place, to_sql

_WINDOW = frozenset({"row_number", "prev", "next", "row_cumsum"})
_LOGICAL = frozenset({"LogicalOrExpression", "LogicalAndExpression", "LogicalOrOperation", "LogicalAndOperation"})
_REWRITTEN = frozenset(
    {"SearchOperator", "ProjectKeepOperator", "ProjectReorderOperator", "SampleOperator", "ConsumeOperator"}
)


def translate(kql: str, schema: Schema, describe: Describe, *, now: dt.datetime | None = None) -> Translation:
    """Translate a query; `describe` tells the columns that a finished part of it yields."""
    return _Filler(kql, schema, describe, now).translate()


def quoted(name: str) -> str:
    """Quote a name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def _bracketed(name: str) -> str:
    """Quote a name for KQL."""
    return "['" + name.replace("\\", "\\\\").replace("'", "\\'") + "']"


def _text(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass
class _Series:
    """Hold the clauses of a make-series."""

    aggregates: list[tuple[str, str, str]]  # name, expression, default
    axis: str
    bounds: dict[str, str]  # from, to, step
    keys: list[tuple[str, str]]  # name, expression


class _Filler:
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
        """Read the statements: `let` and its like are repeated for each stage, the last one is the query."""
        tree = parse(self._kql)
        statements = tree.children if tree.kind == "Query" else (tree,)
        statements = tuple(node for node in statements if node.text not in (";", "<EOF>"))
        if not statements:
            raise QueryError("The query is empty.", code="SyntaxError", line=1, pos=1)
        main = statements[-1]
        for extra in statements[:-1]:
            if not extra.kind.startswith(("Let", "Set", "Declare")):
                line, pos = place(self._kql, extra.start)
                raise QueryError("Only one tabular statement is answered here.", code="Unsupported", line=line, pos=pos)
        if not self._needed(tree):
            return to_sql(self._kql, self._schema, now=self._now)
        self._lets = "".join(f"{self._rewrite(node, None)};\n" for node in statements[:-1])
        self._pipeline(main)
        return self._finish()

    def _needed(self, tree: Node) -> bool:
        return any(
            node.kind in _REWRITTEN
            or node.kind in {"MakeSeriesOperator", "SerializeOperator", "StringStarOperatorExpression"}
            or node.kind == "DistinctOperatorStarTarget"
            or (node.kind == "DistinctOperator" and node.children[-1].text == "*")
            or _call_name(node) in {*_WINDOW, *_FUNCTIONS}
            for node in tree.walk()
        )

    def _pipeline(self, main: Node) -> None:
        operators: list[Node] = []
        while main.kind == "PipeExpression":
            operators = [child.children[-1] for child in main.children if child.kind == "PipedOperator"] + operators
            main = main.children[0]
        if main.kind == "SearchOperator":
            self._pending = self._search_source(main)
        else:
            self._pending = self._rewrite(main, None)
        for operator in operators:
            self._operator(operator)

    def _operator(self, node: Node) -> None:
        if node.kind == "MakeSeriesOperator":
            self._make_series(node)
            return
        if node.kind in _REWRITTEN or _reads_all(node):
            self._pending += f"\n| {self._with_columns(node, self._columns())}"
            return
        if any(_call_name(each) in _WINDOW for each in node.walk()):
            self._windows(node)
            return
        if node.kind == "SerializeOperator":
            if len(node.children) > 1:
                self._pending += "\n| extend " + self._kql[node.children[1].start : node.stop]
            return
        columns = self._columns() if any(_call_name(each) in _NEED_COLUMNS for each in node.walk()) else None
        self._pending += f"\n| {self._rewrite(node, columns)}"

    def _with_columns(self, node: Node, columns: Columns) -> str:
        if node.kind == "SearchOperator":
            return "where " + self._predicate(node, columns)
        if node.kind in {"ProjectKeepOperator", "ProjectReorderOperator"}:
            chosen = self._chosen(node, columns, in_order=node.kind == "ProjectReorderOperator")
            return "project " + ", ".join(_bracketed(name) for name in chosen)
        if node.kind == "SampleOperator":
            return "take " + node.children[-1].text
        if node.kind == "ConsumeOperator":
            return "take 0"
        if node.kind == "DistinctOperator":
            return "distinct " + ", ".join(_bracketed(name) for name in columns)
        return self._rewrite(node, columns)

    def _chosen(self, node: Node, columns: Columns, *, in_order: bool) -> list[str]:
        """Match names and patterns; `project-reorder` moves them to the front, `project-keep` leaves the order."""
        picked: list[str] = []
        for target in node.children[1:]:
            pattern = _name(target)
            if target.kind == "Token" and target.text == ",":
                continue
            found = [name for name in columns if fnmatchcase(name, pattern)]
            if not found and "*" not in pattern:
                line, pos = place(self._kql, target.start)
                raise QueryError(
                    f"Failed to resolve table, column or scalar expression named '{pattern}'.", line=line, pos=pos
                )
            picked.extend(name for name in found if name not in picked)
        if in_order:
            return picked + [name for name in columns if name not in picked]
        return [name for name in columns if name in picked]

    # search

    def _search_source(self, node: Node) -> str:
        scope = next((child for child in node.children if child.kind == "SearchOperatorInClause"), None)
        patterns = [_name(child) for child in scope.children[2:-1] if child.text != ","] if scope else ["*"]
        tables = [name for name in self._schema if any(fnmatchcase(name, pattern) for pattern in patterns)]
        for pattern in patterns:
            if "*" not in pattern and pattern not in tables:
                line, pos = place(self._kql, node.start)
                raise QueryError(f"Failed to resolve table named '{pattern}'.", line=line, pos=pos)
        arms = []
        for table in tables:
            columns = self._schema[table]
            predicate = self._predicate(node, columns)
            # A table without a column that the search names has no rows to give.
            if all(name in columns for name in self._named(node)):
                arms.append(f"({_bracketed(table)} | where {predicate} | extend ['$table'] = {_text(table)})")
        if not arms:
            line, pos = place(self._kql, node.start)
            raise QueryError("The search finds no table with these columns.", line=line, pos=pos)
        return arms[0][1:-1] if len(arms) == 1 else "union " + ", ".join(arms)

    def _named(self, node: Node) -> Iterator[str]:
        for child in _condition(node).walk():
            if child.kind == "IdentifierName" and child.text != "not":
                yield _name(child)

    def _predicate(self, node: Node, columns: Columns) -> str:
        case_sensitive = any("case_sensitive" in child.text for child in node.children[1:-1])
        return self._condition(_condition(node), columns, case_sensitive=case_sensitive)

    def _condition(self, node: Node, columns: Columns, *, case_sensitive: bool) -> str:
        """Rewrite a search's condition: a bare string is looked for in every column."""
        if node.kind in _LOGICAL or node.kind == "ParenthesizedExpression" or _call_name(node) == "not":
            parts = [self._condition(child, columns, case_sensitive=case_sensitive) for child in node.children]
            return " ".join(parts)
        if node.kind == "StringLiteralExpression":
            return _anywhere(_string(node), columns, case_sensitive=case_sensitive)
        if node.kind == "StringBinaryOperatorExpression" and node.children[1].children[:1]:
            operation = node.children[1]
            if operation.children[0].text == ":":
                operator, value = _term(_string(operation.children[-1]), case_sensitive=case_sensitive)
                return f"{node.children[0].text} {operator} {value}"
        return self._rewrite(node, columns) if node.kind != "Token" else node.text

    # functions

    def _rewrite(self, node: Node, columns: Columns | None) -> str:
        """Write a part of the query again, with the functions replaced that the engine does not know."""
        if node.kind == "StringStarOperatorExpression" and columns is not None:
            rest = self._kql[node.children[1].start : node.stop]
            return "(" + " or ".join(f"tostring({_bracketed(name)}) {rest}" for name in columns) + ")"
        name = _call_name(node)
        if name in _FUNCTIONS and (columns is not None or name not in _NEED_COLUMNS):
            arguments = [self._rewrite(child, columns) for child in _arguments(node)]
            replaced = _FUNCTIONS[name](arguments, columns or {})
            if replaced is not None:
                return replaced
        text, position = "", node.start
        for child in node.children:
            text += self._kql[position : child.start] + self._rewrite(child, columns)
            position = child.stop
        return text + self._kql[position : node.stop]

    # stages

    def _finish(self) -> Translation:
        last = self._translated()
        stages = [stage for stage in self._stages if stage]
        sql = f"WITH {', '.join(stages)} SELECT * FROM ({last})" if stages else last
        return Translation(sql, self._parameters)

    def _translated(self) -> str:
        text = self._lets + self._pending
        try:
            translation = to_sql(text, self._schema, now=self._now)
        except QueryError as error:
            raise self._relocated(error, text) from error
        self._parameters.update(translation.parameters)
        return translation.sql

    def _relocated(self, error: QueryError, text: str) -> QueryError:
        """Point into the query as it was written, at the same word."""
        if error.line is None or error.pos is None:
            return error
        line = text.split("\n")[error.line - 1]
        word = re.compile(r"[\w-]+|\S+").match(line, error.pos - 1)
        return located(error.message, self._kql, word[0] if word else "", error.code)

    def _columns(self) -> Columns:
        return self._describe(self._finish())

    def _cut(self) -> str:
        """End a stage: give what was read so far a name."""
        columns = self._columns()
        return self._stage(self._translated(), columns)

    def _stage(self, sql: str, columns: Columns) -> str:
        name = f"_stage{len(self._stages)}"
        self._stages.append(f"{name} AS ({sql})")
        self._schema[name] = columns
        self._pending = name
        return name

    def _window_calls(self, node: Node) -> Iterator[Node]:
        if _call_name(node) in _WINDOW:
            yield node
            return
        for child in node.children:
            yield from self._window_calls(child)

    def _windows(self, node: Node) -> None:
        """Put each window call into a hidden column, computed over the rows in the order they have here."""
        calls = list(self._window_calls(node))
        hidden: list[str] = []
        expressions: list[str] = []
        for call in calls:
            name = f"_window{self._hidden}"
            self._hidden += 1
            hidden.append(name)
            arguments = [child.text for child in _arguments(call)]
            function = _call_name(call)
            if function != "row_number":
                if not arguments:
                    line, pos = place(self._kql, call.start)
                    raise QueryError(f"{function}() needs an expression.", line=line, pos=pos)
                self._pending += f"\n| extend {name} = {arguments[0]}"
            expressions.append(_window(function, name, arguments))
        inner = self._cut()
        columns = dict(self._schema[inner])
        kept = ", ".join(quoted(name) for name in columns if name not in hidden)
        computed = ", ".join(f"{expression} AS {name}" for expression, name in zip(expressions, hidden, strict=True))
        types = {name: columns.get(name, "long") for name in hidden}
        self._stage(
            f"SELECT {kept}, {computed} FROM {inner}",
            {**{name: kind for name, kind in columns.items() if name not in hidden}, **types},
        )
        text, position = "", node.start
        for call, name in zip(calls, hidden, strict=True):
            text += self._kql[position : call.start] + name
            position = call.stop
        text += self._kql[position : node.stop]
        self._pending += f"\n| {re.sub('^serialize', 'extend', text)}"
        if node.kind not in {"ProjectOperator", "SummarizeOperator"}:
            self._pending += f"\n| project-away {', '.join(hidden)}"

    def _make_series(self, node: Node) -> None:
        """Sum up by slot, lay the slots out from end to end, and fill what is missing with the default."""
        series = _series(node)
        first, last, step = (series.bounds.get(bound) for bound in ("from", "to", "step"))
        rows = self._cut()
        self._pending = f"print _first = {first or 'int(null)'}, _last = {last or 'int(null)'}, _step = {step}"
        bounds = self._cut()
        self._slots(node, series, rows, bounds)
        by = "".join(f"{_bracketed(name)} = {expression}, " for name, expression in series.keys)
        totals = ", ".join(f"{_bracketed(name)} = {expression}" for name, expression, _ in series.aggregates)
        self._pending += f"\n| summarize {totals} by {by}_slot"
        self._lay_out(series, self._cut(), bounds)

    def _slots(self, node: Node, series: _Series, rows: str, bounds: str) -> None:
        """Give each row the slot it falls in; without a `from`, slots lie where `bin` puts them."""
        kind = self._schema[rows].get(series.axis, "")
        if kind not in {"datetime", "long", "int"}:
            line, pos = place(self._kql, node.start)
            message = f"make-series needs a column of datetime, int or long, and '{series.axis}' is none."
            raise QueryError(message, line=line, pos=pos)
        axis = f"r.{quoted(series.axis)}"
        if "from" in series.bounds:
            binned = "time_bucket(b._step, {axis}, b._first)"
            if kind != "datetime":
                binned = "CAST(b._first + floor(({axis} - b._first) / b._step) * b._step AS BIGINT)"
            binned = binned.format(axis=axis)
        else:
            self._pending = f"{rows}\n| extend _slot = bin({_bracketed(series.axis)}, {series.bounds['step']})"
            rows, binned = self._cut(), "r._slot"
        held = [f"{axis} IS NOT NULL"]
        held += [f"{axis} >= b._first"] * ("from" in series.bounds) + [f"{axis} < b._last"] * ("to" in series.bounds)
        kept = ", ".join(f"r.{quoted(name)}" for name in self._schema[rows] if name != "_slot")
        self._stage(
            f"SELECT {kept}, {binned} AS _slot FROM {rows} r CROSS JOIN {bounds} b WHERE {' AND '.join(held)}",
            {**self._schema[rows], "_slot": kind},
        )

    def _lay_out(self, series: _Series, data: str, bounds: str) -> None:
        keys = [name for name, _ in series.keys]
        known = self._schema[data]
        low = f"(SELECT _first FROM {bounds})" if "from" in series.bounds else f"(SELECT min(_slot) FROM {data})"
        step = f"(SELECT _step FROM {bounds})"
        high = f"(SELECT _last FROM {bounds})" if "to" in series.bounds else f"(SELECT max(_slot) FROM {data}) + {step}"
        slots = f"SELECT unnest(range({low}, {high}, {step})) AS _slot"
        listed = ", ".join(f"d.{quoted(key)}" for key in keys)
        groups = f"SELECT DISTINCT {listed} FROM {data} d" if keys else f"SELECT 1 AS _one FROM {data} LIMIT 1"
        same = ["d._slot = s._slot", *(f"d.{quoted(key)} IS NOT DISTINCT FROM g.{quoted(key)}" for key in keys)]
        shown = "strftime(s._slot, '%Y-%m-%dT%H:%M:%S.%f') || '0Z'" if known["_slot"] == "datetime" else "s._slot"
        series_of = [
            f"to_json(list(coalesce(d.{quoted(name)}, {_number(default)}) ORDER BY s._slot)) AS {quoted(name)}"
            for name, _, default in series.aggregates
        ]
        outputs = [f"g.{quoted(key)}" for key in keys]
        grouping = " GROUP BY " + ", ".join(outputs) if keys else " HAVING count(*) > 0"
        outputs += [*series_of, f"to_json(list({shown} ORDER BY s._slot)) AS {quoted(series.axis)}"]
        lists = [*(name for name, _, _ in series.aggregates), series.axis]
        self._stage(
            f"SELECT {', '.join(outputs)} FROM ({groups}) g CROSS JOIN ({slots}) s"
            f" LEFT JOIN {data} d ON {' AND '.join(same)}{grouping}",
            {**{key: known[key] for key in keys}, **dict.fromkeys(lists, "dynamic")},
        )


def _series(node: Node) -> _Series:
    series = _Series([], "", {}, [])
    for child in node.children[1:]:
        if child.kind == "MakeSeriesOperatorOnClause":
            series.axis = _name(child.children[1])
        elif child.kind == "MakeSeriesOperatorFromToStepClause":
            words = child.children
            series.bounds = {words[i].text: words[i + 1].text for i in range(0, len(words) - 1, 2)}
        elif child.kind == "MakeSeriesOperatorByClause":
            series.keys = [_named(each, "Column") for each in child.children[1:] if each.text != ","]
        elif child.kind == "MakeSeriesOperatorAggregation":
            default = child.children[-1].children[-1].text
            series.aggregates.append((*_named(child.children[0], "series"), default))
        elif child.text != "," and child.kind != "Token":
            series.aggregates.append((*_named(child, "series"), "0"))
    return series


def _named(node: Node, fallback: str) -> tuple[str, str]:
    """Split ``name = expression``; a bare call is named as `summarize` names it."""
    if node.kind == "NamedExpression":
        clause, expression = node.children[0], node.children[1]
        return _name(clause.children[0]), expression.text
    call = re.match(r"(\w+)\s*\(\s*([A-Za-z_]\w*)?", node.text)
    if call is None:
        return _name(node), node.text
    return f"{call[1]}_{call[2] or ''}" if call[1] not in ("bin", "floor") else call[2] or fallback, node.text


def _window(function: str, name: str, arguments: list[str]) -> str:
    if function == "row_number":
        start = arguments[0] if arguments else "1"
        return f"CAST(row_number() OVER () + ({_number(start)}) - 1 AS BIGINT)"
    if function == "row_cumsum":
        return f"sum({name}) OVER (ROWS UNBOUNDED PRECEDING)"
    offset = _number(arguments[1]) if len(arguments) > 1 else 1
    default = ", " + _literal(arguments[2]) if len(arguments) > 2 else ""
    return f"{'lag' if function == 'prev' else 'lead'}({name}, {offset}{default}) OVER ()"


def _number(text: str) -> int:
    if not re.fullmatch(r"-?\d{1,18}", text):
        raise QueryError(f"'{text}' must be a whole number, written out, in the local workspace.", code="Unsupported")
    return int(text)


def _literal(text: str) -> str:
    value = re.fullmatch(r"""(['"])([^'"\\]*)\1""", text)
    return "'" + value[2] + "'" if value else str(_number(text))


def _reads_all(node: Node) -> bool:
    if node.kind == "DistinctOperator":
        return node.children[-1].text == "*"
    return any(each.kind == "StringStarOperatorExpression" for each in node.walk())


def _call_name(node: Node) -> str:
    """Return a call's function name, or nothing."""
    return node.children[0].text if node.kind.endswith("FunctionCallExpression") and node.children else ""


def _arguments(node: Node) -> list[Node]:
    return [child for child in node.children[1:] if child.text not in ("(", ")", ",")]


def _name(node: Node) -> str:
    """Take the quotes off a name."""
    text = node.text.strip()
    return text[2:-2] if text[:2] in ("['", '["') else text


def _condition(node: Node) -> Node:
    return node.children[-1]


def _string(node: Node) -> str:
    text = node.text
    if text[:1] == "@":
        return text[2:-1].replace(text[1] * 2, text[1])
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def _term(value: str, *, case_sensitive: bool) -> tuple[str, str]:
    """Choose the operator for a search term: a star at either end loosens that end."""
    suffix = "_cs" if case_sensitive else ""
    body = value.strip("*")
    if "*" in body:
        pattern = ".*".join(re.escape(part) for part in value.split("*"))
        return "matches regex", _text(pattern if case_sensitive else f"(?i){pattern}")
    if value.startswith("*") and value.endswith("*"):
        return f"contains{suffix}", _text(body)
    if value.endswith("*"):
        return "matches regex", _text(("" if case_sensitive else "(?i)") + rf"\b{re.escape(body)}")
    if value.startswith("*"):
        return "matches regex", _text(("" if case_sensitive else "(?i)") + rf"{re.escape(body)}\b")
    return f"has{suffix}", _text(body)


def _anywhere(value: str, columns: Columns, *, case_sensitive: bool) -> str:
    if not value.strip("*"):
        return "true"
    operator, term = _term(value, case_sensitive=case_sensitive)
    return "(" + " or ".join(f"tostring({_bracketed(name)}) {operator} {term}" for name in columns) + ")"


def _if_exists(arguments: list[str], columns: Columns) -> str | None:
    if len(arguments) != 2:
        return None
    name = arguments[0].strip("\"'")
    return _bracketed(name) if name in columns else arguments[1]


def _extract(arguments: list[str], _: Columns) -> str | None:
    if len(arguments) != 4:
        return None
    kind = re.fullmatch(r"typeof\(\s*(\w+)\s*\)", arguments[3])
    return f"to{kind[1]}(extract({', '.join(arguments[:3])}))" if kind else None


def _renamed(name: str) -> Callable[[list[str], Columns], str]:
    return lambda arguments, _: f"{name}({', '.join(arguments)})"


_NEED_COLUMNS = frozenset({"columnifexists", "column_ifexists"})
_FUNCTIONS: Mapping[str, Callable[[list[str], Columns], str | None]] = {
    "columnifexists": _if_exists,
    "column_ifexists": _if_exists,
    "extract": _extract,
    "base64_encodestring": _renamed("base64_encode_tostring"),
    "base64_decodestring": _renamed("base64_decode_tostring"),
    "pack": _renamed("bag_pack"),
}
