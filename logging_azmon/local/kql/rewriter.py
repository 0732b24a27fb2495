"""Rewrite a query for the KQL engine: the one place where that is done, on the tree.

Each chain of operators is a `Pipeline`, also in `let`, `join`, `union`, `toscalar` and parentheses. A chain within
another becomes a stage of its own, under a name that the outer chain reads like a table. `rules` says for each operator
and function what becomes of it; what has no rule is passed on as written. No state is shared: each query has a
`Rewriter` of its own.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase

from . import grammar
from .errors import QueryError, error_at, error_at_name
from .names import Names, outside
from .pipeline import Pipeline
from .quoting import kql_name, sql_name, string_value
from .scope import Function, Parameter, Scope
from .stages import Fetch, Stages
from .standard import add_standard_columns
from .translation import Columns, Describe, Node, Schema, Translation, parse, plain_name, to_sql

MAX_EXPANDED = 300_000
_WORD = re.compile(r"[^\W\d]\w*")
_TABULAR = frozenset(
    {
        "PipeExpression", "UnionOperator", "DataTableExpression", "PrintOperator", "RangeExpression", "SearchOperator",
        "FindOperator", "ExternalDataExpression",
    }
)  # fmt: skip
_ANY_TABLE = frozenset({"UnionOperator", "SearchOperator", "FindOperator"})


def translate(
    kql: str,
    schema: Schema,
    describe: Describe,
    *,
    now: dt.datetime | None = None,
    fetch: Fetch | None = None,
    seconds: float | None = None,
) -> Translation:
    """Translate a query into one SELECT.

    Args:
        kql: The query.
        schema: The tables that it may read.
        describe: Returns the columns that a SELECT yields.
        now: The query's clock, so that all parts of the query agree.
        fetch: Returns the rows of a SELECT, for operators whose columns depend on the data.
        seconds: Maximum seconds for the translation.

    """
    return Rewriter(kql, Stages(schema, describe, fetch, seconds), now).translate()


class Rewriter:
    """Rewrite one query."""

    def __init__(self, kql: str, stages: Stages, now: dt.datetime | None) -> None:
        self.kql = grammar.mend(kql)
        self.stages = stages
        self.tables: dict[str, Columns] = dict(stages.schema)
        self.words = frozenset(_WORD.findall(self.kql))
        self.names = Names(())
        self._now = now
        self._lets: dict[str, str] = {}
        self._sizes: dict[str, int] = {}
        self._calls: dict[tuple[Function, tuple[str, ...]], str] = {}
        self._hidden = 0

    def translate(self) -> Translation:
        """Translate the last statement; the others are `let` and the like."""
        tree = parse(self.kql)
        self.names = Names(self._spellings(tree))
        statements = [node for node in (tree.children if tree.kind == "Query" else (tree,)) if node.text != ";"]
        scope = Scope()
        for node in statements[:-1]:
            if not node.kind.startswith(("Let", "Set", "Declare")):
                message = "Only one tabular statement can be answered at a time."
                raise error_at(node.start, message, self.kql, "Unsupported")
            self._statement(node, scope)
        return self.stages.finish(self.tabular(statements[-1], scope).cut())

    def _spellings(self, tree: Node) -> Iterator[str]:
        """Yield the names of columns: those of the tables first, so that they keep their spelling."""
        reads_any = any(node.kind in _ANY_TABLE or node.kind == "WildcardedName" for node in tree.walk())
        for table, columns in self.tables.items():
            if reads_any or table in self.words:
                yield from columns
        for node in tree.walk():
            if node.kind in {"IdentifierName", "EscapedName"}:
                yield plain_name(node)

    # Statements

    def _statement(self, node: Node, scope: Scope) -> None:
        if node.kind.startswith("Set"):
            return
        if node.kind.startswith("Declare"):
            self._declare(node, scope)
            return
        name = plain_name(node.children[1])
        if node.kind in {"LetFunctionDeclaration", "LetViewDeclaration"}:
            self._function(node, name, scope)
            return
        value = node.children[5 if node.kind == "LetMaterializeDeclaration" else 3]
        if self.is_tabular(value, scope):
            table = self.tabular(value, scope).cut()
            scope.hide(name)
            scope.tables[name] = table
        else:
            written = Pipeline(self, scope, None).write(value)
            scope.hide(name)
            scope.scalars[name] = self.let(name, written)

    def _declare(self, node: Node, scope: Scope) -> None:
        for parameter in node.children:
            if parameter.kind == "DeclareQueryParametersStatementParameter":
                name, default = plain_name(parameter.children[0]), parameter.children[-1]
                if default.kind != "ScalarParameterDefault":
                    message = f"The query parameter '{name}' has no value: give it a default."
                    raise error_at(parameter.start, message, self.kql)
                scope.scalars[name] = self.let(name, default.children[1].text)

    def let(self, name: str, written: str, parameters: str = "") -> str:
        """Bind a value for the engine, and return the name that it got."""
        inside, number = name, 1
        while inside in self._lets:
            number += 1
            inside = f"{name}_{number}"
        self._lets[inside] = f"let {inside} = {parameters}{written}"
        self._sizes[inside] = self._size(written)
        return inside

    def _size(self, written: str) -> int:
        """Estimate the length of KQL after the engine has put each value in the place of its name."""
        return sum(self._sizes.get(word, len(word)) for word in _WORD.findall(written))

    def bound(self, name: str) -> str | None:
        """Return the KQL of a value that is bound to a name; None if there is none."""
        statement = self._lets.get(name.strip())
        return statement.partition("=")[2].strip() if statement else None

    def _function(self, node: Node, name: str, scope: Scope) -> None:
        body = node.children[-1]
        statements = [each for each in body.children[1:-1] if each.text != ";"]
        nodes = [each for each in node.walk() if each.kind in {"ScalarParameter", "TabularParameter"}]
        nodes = [each for each in nodes if each.stop <= body.start]
        parameters = tuple(_parameter(each) for each in nodes)
        function = Function(parameters, tuple(statements[:-1]), statements[-1], scope.inner())
        inner = scope.inner()
        for parameter in parameters:
            inner.hide(parameter.name)
            if parameter.is_table:
                inner.tables[parameter.name] = ""
            else:
                inner.scalars[parameter.name] = parameter.name
        for each in statements[:-1]:
            if self.is_tabular(each.children[-1], inner):
                inner.tables[plain_name(each.children[1])] = ""
        scope.hide(name)
        if self.is_tabular(statements[-1], inner):
            scope.functions[name] = function
        elif any(each.kind == "ToScalarExpression" for each in body.walk()):
            # The table within may depend on the arguments: `expand` computes it for each call.
            scope.calls[name] = function
        else:
            inner.tables = {key: table for key, table in inner.tables.items() if table}
            written = Pipeline(self, inner, None).write(body)
            listed = ", ".join(each.text for each in nodes)
            scope.calls[name] = function
            scope.scalars[name] = self.let(name, " " + written, f"({listed})")

    # Tables

    def is_tabular(self, node: Node, scope: Scope) -> bool:
        """Return whether an expression yields a table."""
        if node.kind == "ParenthesizedExpression":
            return self.is_tabular(node.children[1], scope)
        if node.kind in {"IdentifierName", "EscapedName"}:
            name = plain_name(node)
            known = name in scope.tables or name in scope.functions
            return known or (name in self.tables and name not in scope.scalars)
        if node.kind.endswith("FunctionCallExpression"):
            return node.children[0].text in scope.functions or node.children[0].text == grammar.TABLE
        return node.kind in _TABULAR

    def tabular(self, node: Node, scope: Scope) -> Pipeline:
        """Rewrite an expression that yields a table."""
        self.stages.check()
        operators: list[Node] = []
        while node.kind in {"PipeExpression", "ParenthesizedExpression"}:
            if node.kind == "ParenthesizedExpression":
                node = node.children[1]
                continue
            operators = [child.children[-1] for child in node.children if child.kind == "PipedOperator"] + operators
            node = node.children[0]
        if any(operator.kind == "AsOperator" for operator in operators):
            scope = scope.inner()
        pipeline = self._source(node, scope)
        for operator in operators:
            pipeline.apply(operator)
        return pipeline

    def _source(self, node: Node, scope: Scope) -> Pipeline:
        from .rules import SOURCES

        if node.kind in SOURCES:
            return SOURCES[node.kind](self, node, scope)
        if node.kind in {"IdentifierName", "EscapedName"}:
            return self.table(node, scope)
        if node.kind.endswith("FunctionCallExpression"):
            name = node.children[0].text
            if name in scope.functions:
                return self.call(name, [each for each in node.children[2:-1] if each.text != ","], scope)
            if name == grammar.TABLE:
                return self._named_table(node, scope)
        written = Pipeline(self, scope, None).write(node)
        return Pipeline(self, scope, written)

    def table(self, node: Node, scope: Scope) -> Pipeline:
        """Read a table, or what `let` binds to a name."""
        name = plain_name(node)
        if name in scope.functions:
            return self.call(name, [], scope)
        name = scope.tables.get(name, name)
        if name in self.tables:
            return self.stored(name, scope)
        if name in self.stages.schema:
            return Pipeline(self, scope, name, name)
        return Pipeline(self, scope, node.text)

    def stored(self, name: str, scope: Scope) -> Pipeline:
        """Read a table of the workspace, with the standard columns that the query mentions."""
        columns = self.tables[name]
        renamed = {column: self.names.inside(column) for column in columns}
        values = [
            f"{sql_name(column)} AS {sql_name(inside)}" if column != inside else sql_name(column)
            for column, inside in renamed.items()
        ]
        found = {renamed[column]: kind for column, kind in columns.items()}
        extra = add_standard_columns(name, columns, self.words)
        if not extra and all(column == inside for column, inside in renamed.items()):
            return Pipeline(self, scope, kql_name(name) if not _WORD.fullmatch(name) else name, name)
        values += [f"{sql} AS {sql_name(column)}" for column, (sql, _) in extra.items()]
        found |= {column: kind for column, (_, kind) in extra.items()}
        stage = self.stages.add(f"SELECT {', '.join(values)} FROM {sql_name(name)}", found)
        return Pipeline(self, scope, stage, stage)

    def matching(self, pattern: str) -> list[str]:
        """Return the tables whose names match a pattern."""
        return [name for name in self.tables if fnmatchcase(name, pattern)]

    def _named_table(self, node: Node, scope: Scope) -> Pipeline:
        written = node.children[2].text
        name = string_value(self.bound(scope.scalars.get(written, "")) or written)
        if name not in self.tables:
            raise error_at(node.start, f"table() needs the name of a table, and '{name}' is not one.", self.kql)
        return self.stored(name, scope)

    def call(self, name: str, arguments: list[Node], scope: Scope, first: str | None = None) -> Pipeline:
        """Expand a function that yields a table; `first` is the stage that `invoke` gives it."""
        function = scope.functions[name]
        inner = function.scope.inner()
        given = list(function.parameters)
        key: list[str] = []
        if first is not None and given:
            inner.hide(given[0].name)
            inner.tables[given.pop(0).name] = first
            key.append(first)
        for parameter, node in bind(tuple(given), arguments):
            if node is None:
                raise error_at_name(name, f"{name}() needs an argument for '{parameter.name}'.", self.kql)
            inner.hide(parameter.name)
            if parameter.is_table:
                inner.tables[parameter.name] = self.tabular(node, scope).cut()
                key.append(inner.tables[parameter.name])
            else:
                written = Pipeline(self, scope, None).write(node)
                inner.scalars[parameter.name] = self.let(parameter.name, written)
                key.append(written)
        call = (function, tuple(key))
        if call not in self._calls:
            for statement in function.statements:
                self._statement(statement, inner)
            self._calls[call] = self.tabular(function.value, inner).cut()
        stage = self._calls[call]
        return Pipeline(self, scope, stage, stage)

    def expand(self, function: Function, arguments: list[str]) -> str:
        """Return the KQL of a call of a function that yields a value."""
        inner = function.scope.inner()
        for parameter, written in zip(function.parameters, arguments, strict=True):
            inner.hide(parameter.name)
            inner.scalars[parameter.name] = f"({written})"
        for statement in function.statements:
            self._statement(statement, inner)
        return f"({Pipeline(self, inner, None).write(function.value)})"

    # The engine

    def stage(self, text: str, columns: Columns | None) -> str:
        """Let the engine translate KQL, and return the stage with its SQL."""
        if self._size(text) > MAX_EXPANDED:
            message = "The values that `let` binds are used in each other too often: the query becomes too long."
            raise QueryError(message, code="LimitExceeded")
        needed = ""
        words = set(_WORD.findall(text))
        for name, statement in reversed(self._lets.items()):
            if name in words:
                words.update(_WORD.findall(statement))
                needed = f"{statement};\n{needed}"
        composed = needed + text
        try:
            translation = to_sql(composed, self.stages.schema, now=self._now)
            return self.stages.add(translation.sql, columns, translation.parameters)
        except QueryError as error:
            raise self._relocated(error, composed) from error

    def _relocated(self, error: QueryError, composed: str) -> QueryError:
        """Point at the same word in the query as the user wrote it."""
        message = outside(error.message)
        if error.line is None:
            return QueryError(message, code=error.code)
        line = composed.split("\n")[error.line - 1]
        word = re.compile(r"[\w-]+|\S+").match(line, error.pos - 1) if error.pos else None
        return error_at_name(outside(word[0]) if word else "", message, self.kql, error.code)

    def hidden(self) -> str:
        """Return a name for a column of our own."""
        self._hidden += 1
        return f"_hidden{self._hidden}"


def bind(parameters: tuple[Parameter, ...], arguments: list[Node]) -> Iterator[tuple[Parameter, Node | None]]:
    """Yield each parameter with its argument, given by name or by position, or its default."""
    named: dict[str, Node] = {}
    rest = []
    for node in arguments:
        if node.kind == "NamedExpression":
            named[plain_name(node.children[0].children[0])] = node.children[1]
        else:
            rest.append(node)
    for parameter in parameters:
        if parameter.name in named:
            yield parameter, named[parameter.name]
        else:
            yield parameter, rest.pop(0) if rest else parameter.default


def _parameter(node: Node) -> Parameter:
    last = node.children[-1]
    default = last.children[1] if last.kind == "ScalarParameterDefault" else None
    return Parameter(plain_name(node.children[0]), node.kind == "TabularParameter", default)


Source = Callable[[Rewriter, Node, Scope], Pipeline]
