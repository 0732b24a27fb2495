"""Turn KQL into SQL: the only module that touches duckdb_kql, which is young and may have to be replaced.

It is used from any thread and keeps no state. What comes out is one SELECT over tables of the given schema: a name
that is not in it is refused here, so that neither the catalogue nor the file system can be read through a query.
Operators that the engine lacks are filled in by `gaps` on the way; the rest is refused by name and position.
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

MAX_LENGTH = 100_000
MAX_REPEATS = 1_024

_NO_COMMANDS = "Control commands are not for this endpoint: it answers queries only."
_MISTAKES = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)

Columns = Mapping[str, str]
"""Column name to Kusto type, in order."""
Schema = Mapping[str, Columns]


class QueryError(Exception):
    """Say what is wrong with a query, and where if that is known; line and position count from 1."""

    def __init__(
        self, message: str, *, code: str = "SemanticError", line: int | None = None, pos: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.line = line
        self.pos = pos

    def __str__(self) -> str:
        return self.message if self.line is None else f"{self.message} [line {self.line}, position {self.pos}]"


@dataclass(frozen=True, slots=True)
class Node:
    """Mirror a node of the syntax tree; chains of nodes with one child are folded into the last."""

    kind: str
    start: int
    stop: int
    text: str
    children: tuple[Node, ...] = field(default=(), repr=False)

    def walk(self) -> Iterator[Node]:
        """Yield this node and all below it, in the order of the text."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class Translation:
    """Hold a SELECT and the values of its placeholders."""

    sql: str
    parameters: Mapping[str, Any]


def parse(kql: str) -> Node:
    """Return the syntax tree, or raise the first mistake with its position."""
    import duckdb_kql

    if len(kql) > MAX_LENGTH:
        raise QueryError(
            f"The query has {len(kql):,} characters; at most {MAX_LENGTH:,} are read here.", code="SyntaxError"
        )
    if not kql.strip():
        raise QueryError("The query is empty.", code="SyntaxError", line=1, pos=1)
    with _explained(kql):
        tree = duckdb_kql.parse(kql).tree
        if tree is None:
            raise QueryError(_NO_COMMANDS, code="SyntaxError", line=1, pos=1)
        return _node(tree, kql)


def to_sql(kql: str, schema: Schema, *, now: dt.datetime | None = None) -> Translation:
    """Translate what `gaps` has made whole; raise a `QueryError` for what cannot be.

    With `now` the query's clock stands still there, so that several translations of one query agree.
    """
    import duckdb_kql

    names = {table: list(columns) for table, columns in schema.items()}
    with _explained(kql):
        _check_names(kql, names)
        result = duckdb_kql.to_sql(kql, schema=names, allow_write=False, query_now=now)
    return Translation(_streamed(str(result)), dict(result.parameters))


@contextmanager
def _explained(kql: str) -> Iterator[None]:
    """Turn the engine's errors into ours."""
    import duckdb_kql

    try:
        yield
    except duckdb_kql.KqlSyntaxError as error:
        raise _syntax_error(kql, error.diagnostics[0]) from error
    except duckdb_kql.KqlUnsupportedError as error:
        raise _unsupported(kql, error) from error
    except duckdb_kql.KqlError as error:
        name = getattr(error, "name", "")
        raise located(str(getattr(error, "hint", None) or error), kql, str(name)) from error
    except RecursionError as error:
        raise QueryError("The query is nested too deeply.", code="SyntaxError") from error
    except _MISTAKES as error:  # pragma: no cover - a mistake in the engine, none of which is known
        raise QueryError(f"The local engine cannot translate this query ({error}).", code="Unsupported") from error


def kusto_type(duckdb_type: object) -> str:
    """Name the Kusto type of a DuckDB type, in the query API's spelling."""
    from duckdb_kql.types import kusto_type as name_of

    # An untyped null; Kusto has none, and dynamic is what holds anything.
    return "dynamic" if str(duckdb_type).upper() in ('"NULL"', "NULL") else str(name_of(str(duckdb_type)))


def plain_name(node: Node) -> str:
    """Take the quotes off a name."""
    text = node.text.strip()
    return text[2:-2] if text[:2] in ("['", '["') else text


def place(kql: str, offset: int) -> tuple[int, int]:
    """Return line and position, counted from 1, of an offset."""
    before = kql[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def located(message: str, kql: str, name: str, code: str = "SemanticError") -> QueryError:
    """Build an error that points at the first mention of a name."""
    found = re.search(rf"(?<![\w]){re.escape(name)}(?![\w])", kql) if name else None
    line, pos = place(kql, found.start()) if found else (None, None)
    return QueryError(message, code=code, line=line, pos=pos)


def unresolved(kql: str, name: str, known: Sequence[str]) -> QueryError:
    """Build the error for a name that is not there, with the one that was probably meant."""
    same = [other for other in known if other.casefold() == name.casefold()]
    near = same or difflib.get_close_matches(name, known, 1)
    why = " Names are case-sensitive: did" if same else " Did"
    hint = f"{why} you mean '{near[0]}'?" if near else ""
    return located(f"Failed to resolve table, column or scalar expression named '{name}'.{hint}", kql, name)


def _node(context: Any, kql: str) -> Node:
    while context.getChildCount() == 1 and hasattr(context.getChild(0), "start"):
        context = context.getChild(0)
    symbol = getattr(context, "symbol", None)
    if symbol is not None:
        return Node("Token", symbol.start, symbol.stop + 1, symbol.text)
    children = tuple(_node(context.getChild(i), kql) for i in range(context.getChildCount()))
    children = tuple(child for child in children if child.text != "<EOF>")
    start = context.start.start
    stop = children[-1].stop if children else start
    return Node(type(context).__name__.removesuffix("Context"), start, stop, kql[start:stop], children)


def _syntax_error(kql: str, first: Any) -> QueryError:
    lines = kql.split("\n")
    offset = sum(len(line) + 1 for line in lines[: first.span.line - 1]) + first.span.column
    # The grammar stops before a bar when it does not know the word behind it.
    word = re.compile(r"\|\s*([\w-]+)").match(kql, offset)
    if word:
        line, pos = place(kql, word.start(1))
        return QueryError(
            f"'{word[1]}' cannot be read: it is no operator, or there is a mistake in what follows.",
            code="SyntaxError",
            line=line,
            pos=pos,
        )
    token = kql[offset : offset + 20].partition("\n")[0]
    message = f"Query could not be parsed at '{token}'" if token else "Query could not be parsed: it ends too early"
    return QueryError(
        f"{message}: {first.message[:200]}.", code="SyntaxError", line=first.span.line, pos=first.span.column + 1
    )


_SERIES = "SELECT UNNEST(generate_series("


def _streamed(sql: str) -> str:
    """Let a `range` come row by row: as a list it is built in one piece, which neither a limit nor a timer stops."""
    start = sql.find(_SERIES)
    if start < 0:
        return sql
    arguments = start + len(_SERIES)
    depth, end, quote = 1, arguments, ""
    while depth:
        sign = sql[end]
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        else:
            depth += (sign == "(") - (sign == ")")
        end += 1
    named = re.compile(r'\) AS ("(?:[^"]|"")*")(?! FROM)').match(sql, end)
    if named is None:  # pragma: no cover - mv-expand's index is written so, but never first
        return sql[:arguments] + _streamed(sql[arguments:])
    source = f"SELECT {named[1]} FROM generate_series({sql[arguments : end - 1]}) AS _range({named[1]})"
    return sql[:start] + source + _streamed(sql[named.end() :])


def _unsupported(kql: str, error: Any) -> QueryError:
    construct = str(error.construct)
    hint = str(error.hint or "")
    if construct.startswith("function:"):
        name = construct.removeprefix("function:")
        return located(f"The function '{name}' is not available in the local workspace.", kql, name, "Unsupported")
    if error.span is None:
        reason = f" ({hint})" if hint and "wave" not in hint else ""
        return located(f"'{construct}' is not available in the local workspace{reason}.", kql, construct, "Unsupported")
    lines = kql.split("\n")
    offset = sum(len(line) + 1 for line in lines[: error.span.line - 1]) + error.span.column
    written = re.compile(r"[\w-]+|\S").match(kql, offset)
    name = written[0] if written else construct
    line, pos = place(kql, offset)
    reason = f" ({hint})" if hint and "wave" not in hint else ""
    return QueryError(
        f"'{name}' is not available in the local workspace{reason}.", code="Unsupported", line=line, pos=pos
    )


def _check_names(kql: str, schema: dict[str, list[str]]) -> None:
    """Refuse what DuckDB would resolve and Kusto would not: other catalogues, and names in another case."""
    from duckdb_kql.lower import lower

    _Names(kql).query(lower(kql), schema)


class _Names:
    """Walk a lowered query, with the columns that each operator sees."""

    def __init__(self, kql: str) -> None:
        self._kql = kql

    def query(self, query: Any, schema: dict[str, list[str]]) -> None:
        from duckdb_kql import ir

        schema = dict(schema)
        tables = [(name, bound) for name, bound in query.lets if isinstance(bound, ir.Query)]
        for name, bound in tables:
            self.query(bound, schema)
            schema[name] = self._columns(bound, schema) or []
        self._source(query.source, schema)
        columns = self._source_columns(query.source, schema)
        for operator in query.operators:
            for nested in _nested(operator):
                self.query(nested, schema)
            columns = self._operator(operator, columns, schema)

    def _source(self, source: Any, schema: dict[str, list[str]]) -> None:
        from duckdb_kql import ir

        if isinstance(source, ir.TableRef):
            if source.database is not None or source.cluster is not None:
                raise located(
                    "Only this workspace's tables can be queried: no other database or cluster.",
                    self._kql,
                    str(source.cluster or source.database),
                )
            if source.name not in schema:
                raise unresolved(self._kql, source.name, list(schema))
        _check_repeats(source, self._kql)
        for nested in _nested(source):
            self.query(nested, schema)

    def _operator(self, operator: Any, columns: list[str] | None, schema: dict[str, list[str]]) -> list[str] | None:
        from duckdb_kql import KqlError, ir
        from duckdb_kql.schema import _operator_columns
        from duckdb_kql.translate import _referenced_columns

        _check_repeats(operator, self._kql)
        if columns is None:
            return None
        if not isinstance(operator, ir.Join | ir.Lookup | ir.Union):
            for name in sorted(_referenced_columns(operator)):
                if name not in columns:
                    raise unresolved(self._kql, name, columns)
        try:
            return list(_operator_columns(operator, columns, schema))
        except KqlError:
            return None

    def _source_columns(self, source: Any, schema: dict[str, list[str]]) -> list[str] | None:
        from duckdb_kql.schema import source_columns_or_none

        found = source_columns_or_none(source, schema)
        return list(found) if found is not None else None

    def _columns(self, query: Any, schema: dict[str, list[str]]) -> list[str] | None:
        from duckdb_kql import KqlError
        from duckdb_kql.schema import output_columns

        try:
            return list(output_columns(query, schema))
        except KqlError:
            return None


def _walk(node: Any) -> Iterator[Any]:
    """Yield an operator's or a source's parts, down to the queries inside it and not into them."""
    from duckdb_kql import ir

    stack, seen = [node], {id(node)}
    while stack:
        current = stack.pop()
        if isinstance(current, list | tuple):
            parts = list(current)
        elif isinstance(current, ir.Query) and current is not node:
            yield current
            continue
        elif is_dataclass(current):
            yield current
            parts = [getattr(current, member.name) for member in fields(current)]
        else:
            continue
        # What a `let` binds is shared by those who read it.
        fresh = [part for part in parts if id(part) not in seen]
        seen.update(map(id, fresh))
        stack.extend(fresh)


def _nested(node: Any) -> Iterator[Any]:
    """Yield the queries directly inside an operator or a source: a join's other side, a toscalar's body."""
    from duckdb_kql import ir

    return (part for part in _walk(node) if isinstance(part, ir.Query))


def _check_repeats(node: Any, kql: str) -> None:
    """Hold `strrep` to Kusto's limit: one short query could ask for all the memory there is."""
    from duckdb_kql import ir

    for part in _walk(node):
        if isinstance(part, ir.FunctionCall) and part.name == "strrep":
            times = part.args[1] if len(part.args) > 1 else None
            value = times.value if isinstance(times, ir.Literal) else None
            if not isinstance(value, int) or value > MAX_REPEATS:
                raise located(f"strrep repeats at most {MAX_REPEATS} times, written out.", kql, "strrep")


Describe = Callable[[Translation], Columns]
