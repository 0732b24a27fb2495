"""Turn KQL into SQL. Only `engine` touches duckdb_kql besides, which is young and may have to be replaced.

Any thread may call in; the module has no state. The result is one SELECT over the tables of the given schema. A name
outside the schema is refused here, so that a query can read neither the catalogue nor the file system. `rewriter`
replaces some operators that the engine lacks; the others are refused here, by name and position.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from .engine import mend
from .errors import QueryError, error_at, error_at_name, unknown_name
from .quoting import string_value

MAX_LENGTH = 100_000
MAX_REPEATS = 1_024
MAX_SQL = 500_000

_NO_COMMANDS = "Control commands are refused: this endpoint answers queries only."
# Raised by a bug in the engine rather than by a mistake in the query.
_ENGINE_BUGS = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)

Columns = Mapping[str, str]
"""Column name to Kusto type, in order."""
Schema = Mapping[str, Columns]


@dataclass(frozen=True, slots=True)
class Node:
    """Mirror a node of the syntax tree; a chain of nodes with one child each is folded into its last node."""

    kind: str
    start: int
    stop: int
    text: str
    children: tuple[Node, ...] = field(default=(), repr=False)

    def walk(self) -> Iterator[Node]:
        """Yield this node and all nodes below it, in the order of the text."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class Translation:
    """Hold a SELECT and the values of its placeholders."""

    sql: str
    parameters: Mapping[str, Any]


Describe = Callable[[Translation], Columns]
"""Return the columns that a translated query yields."""


def parse(kql: str) -> Node:
    """Return the syntax tree; raise a `QueryError` that points at the first mistake."""
    import duckdb_kql

    if len(kql) > MAX_LENGTH:
        raise QueryError(
            f"The query has {len(kql):,} characters; the limit here is {MAX_LENGTH:,}.", code="SyntaxError"
        )
    if not kql.strip():
        raise QueryError("The query is empty.", code="SyntaxError", line=1, pos=1)
    with _explained(kql):
        tree = duckdb_kql.parse(kql).tree
        if tree is None:
            raise QueryError(_NO_COMMANDS, code="SyntaxError", line=1, pos=1)
        return _node(tree, kql)


def to_sql(kql: str, schema: Schema, *, now: dt.datetime | None = None) -> Translation:
    """Translate a query that the engine understands; raise a `QueryError` for one that it does not.

    `now` fixes the query's clock, so that several translations of one query agree.
    """
    import duckdb_kql

    mend()
    names = {table: list(columns) for table, columns in schema.items()}
    with _explained(kql):
        _check_names(kql, names)
        result = duckdb_kql.to_sql(kql, schema=names, allow_write=False, query_now=now)
    sql = str(result)
    if len(sql) > MAX_SQL:
        message = f"The query becomes more than {MAX_SQL:,} characters of SQL: make it shorter, or nest it less."
        raise QueryError(message, code="LimitExceeded")
    return Translation(sql, dict(result.parameters))


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
        raise error_at_name(str(name), str(getattr(error, "hint", None) or error), kql) from error
    except RecursionError as error:
        raise QueryError("The query is nested too deeply.", code="SyntaxError") from error
    except _ENGINE_BUGS as error:  # pragma: no cover - no such bug is known
        raise QueryError(f"The local engine cannot translate this query ({error}).", code="Unsupported") from error


def kusto_type(duckdb_type: object) -> str:
    """Name the Kusto type of a DuckDB type, in the query API's spelling."""
    from duckdb_kql.types import kusto_type as name_of

    # Kusto has no untyped null; dynamic can hold any value.
    return "dynamic" if str(duckdb_type).upper() in ('"NULL"', "NULL") else str(name_of(str(duckdb_type)))


LIST = "list"
TIMES = "list of datetime"


def stage_type(duckdb_type: object) -> str:
    """Name the type of a column inside a query: as Kusto does, but lists, which are no JSON yet, as such."""
    text = str(duckdb_type).upper()
    if text.startswith("TIMESTAMP") and text.endswith("[]"):
        return TIMES
    return LIST if text.endswith("[]") or text.startswith(("STRUCT", "MAP")) else kusto_type(duckdb_type)


def plain_name(node: Node) -> str:
    """Return a name without its KQL quotes."""
    text = node.text.strip()
    return string_value(text[1:-1]) if text[:2] in ("['", '["') else text


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
    # When the grammar does not know the word after a bar, it reports the position of the bar.
    word = re.compile(r"\|\s*([\w-]+)").match(kql, offset)
    if word:
        message = f"'{word[1]}' cannot be parsed: it is not an operator, or there is a mistake after it."
        return error_at(word.start(1), message, kql, "SyntaxError")
    token = kql[offset : offset + 20].partition("\n")[0]
    message = f"Query could not be parsed at '{token}'" if token else "Query could not be parsed: it ends too early"
    return QueryError(
        f"{message}: {first.message[:200]}.", code="SyntaxError", line=first.span.line, pos=first.span.column + 1
    )


def check_select(sql: str) -> None:
    """Let the database itself say that the SQL is one SELECT; a mistake of ours must never become a command."""
    import duckdb

    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        message = "The local engine cannot translate this query: it became malformed SQL."
        raise QueryError(message, code="Unsupported") from error
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise QueryError("The query did not become one SELECT, so it is not run.", code="Unsupported")


def _unsupported(kql: str, error: Any) -> QueryError:
    construct = str(error.construct)
    hint = str(error.hint or "")
    kind, _, name = construct.partition(":")
    if kind in {"function", "aggregate"}:
        message = f"The {kind} '{name}' is not available in the local workspace."
        return error_at_name(name, message, kql, "Unsupported")
    # Hints about the engine's waves of development mean nothing to a user.
    reason = f" ({hint})" if hint and "wave" not in hint else ""
    if error.span is None:
        message = f"'{construct}' is not available in the local workspace{reason}."
        return error_at_name(construct, message, kql, "Unsupported")
    lines = kql.split("\n")
    offset = sum(len(line) + 1 for line in lines[: error.span.line - 1]) + error.span.column
    written = re.compile(r"[\w-]+|\S").match(kql, offset)
    name = written[0] if written else construct
    return error_at(offset, f"'{name}' is not available in the local workspace{reason}.", kql, "Unsupported")


def _check_names(kql: str, schema: dict[str, list[str]]) -> None:
    """Refuse names that DuckDB would resolve and Kusto would not: other catalogues, and names in another case."""
    from duckdb_kql.lower import lower

    _NameCheck(kql).query(lower(kql), schema)


class _NameCheck:
    """Walk a lowered query, keeping track of the columns that each operator sees."""

    def __init__(self, kql: str) -> None:
        self._kql = kql

    def query(self, query: Any, schema: dict[str, list[str]]) -> None:
        from duckdb_kql.schema import source_columns_or_none

        self._source(query.source, schema)
        columns = list(source_columns_or_none(query.source, schema) or [])
        for operator in query.operators:
            for nested in _nested(operator):
                self.query(nested, schema)
            columns = self._operator(operator, columns, schema)

    def _source(self, source: Any, schema: dict[str, list[str]]) -> None:
        from duckdb_kql import ir

        if isinstance(source, ir.TableRef):
            if source.database is not None or source.cluster is not None:
                message = "Only this workspace's tables can be queried: no other database or cluster."
                raise error_at_name(str(source.cluster or source.database), message, self._kql)
            if source.name not in schema:
                raise unknown_name(source.name, self._kql, list(schema))
        _check_repeats(source, self._kql)
        for nested in _nested(source):
            self.query(nested, schema)

    def _operator(self, operator: Any, columns: list[str], schema: dict[str, list[str]]) -> list[str]:
        from duckdb_kql import ir
        from duckdb_kql.schema import _operator_columns
        from duckdb_kql.translate import _referenced_columns

        _check_repeats(operator, self._kql)
        if not isinstance(operator, ir.Join | ir.Lookup):
            for name in sorted(_referenced_columns(operator)):
                if name not in columns:
                    raise unknown_name(name, self._kql, columns)
        return list(_operator_columns(operator, columns, schema))


def _walk(node: Any) -> Iterator[Any]:
    """Yield the parts of an operator or a source; yield a nested query, but not its parts."""
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
        # A value bound by `let` is one object, shared by all its uses.
        fresh = [part for part in parts if id(part) not in seen]
        seen.update(map(id, fresh))
        stack.extend(fresh)


def _nested(node: Any) -> Iterator[Any]:
    """Yield the queries directly inside an operator or a source, such as the right side of a join."""
    from duckdb_kql import ir

    return (part for part in _walk(node) if isinstance(part, ir.Query))


def _check_repeats(node: Any, kql: str) -> None:
    """Hold `strrep` to Kusto's limit: otherwise one short query could claim all memory."""
    from duckdb_kql import ir

    for part in _walk(node):
        if isinstance(part, ir.FunctionCall) and part.name == "strrep":
            times = part.args[1] if len(part.args) > 1 else None
            value = times.value if isinstance(times, ir.Literal) else None
            if not isinstance(value, int) or value > MAX_REPEATS:
                message = f"strrep repeats at most {MAX_REPEATS} times, and the number must be a literal."
                raise error_at_name("strrep", message, kql)
