"""Rewrite one chain of operators, whose columns are known at each step.

The text of the chain collects KQL for the engine. An operator that needs more than KQL ends a stage: `cut` turns the
text into SQL under a name, and the chain continues from that name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .quoting import kql_name, sql_name
from .scope import Scope
from .translation import Columns, Node

if TYPE_CHECKING:
    from .rewriter import Rewriter


class Pipeline:
    """Hold a chain of operators while it is rewritten."""

    def __init__(self, query: Rewriter, scope: Scope, text: str | None, name: str | None = None) -> None:
        self.query = query
        self.scope = scope
        self.hidden: list[str] = []
        """Columns that the current operator computes for itself."""
        self._text = text
        self._name = name
        self._columns: Columns | None = query.stages.schema[name] if name else None

    @property
    def text(self) -> str:
        """Return the KQL collected since the last stage."""
        return self._text or ""

    def columns(self) -> Columns | None:
        """Return the columns at this point; None outside of a chain, as in a `let` of a value."""
        if self._text is None:
            return None
        if self._columns is None:
            self.cut()
        return self._columns

    def rows(self) -> tuple[str, Columns]:
        """End a stage: return its name in SQL, and its columns."""
        name = self.cut()
        return sql_name(name), self.query.stages.schema[name]

    def cut(self) -> str:
        """End a stage and return its name; the chain continues from there."""
        if self._name is None:
            self._name = self.query.stage(self.text, self._columns)
            self._text = self._name
            self._columns = self.query.stages.schema[self._name]
        return self._name

    def then(self, operator: str, *, same: bool = False) -> None:
        """Append an operator in KQL; `same` says that it leaves the columns as they are."""
        self._text = f"{self.text}\n| {operator}"
        self._name = None
        if not same:
            self._columns = None

    def select(self, sql: str, columns: Columns | None = None) -> None:
        """Continue from a SELECT over stages; without `columns`, the database is asked for them."""
        self._name = self._text = self.query.stages.add(sql, columns)
        self._columns = self.query.stages.schema[self._name]

    def become(self, other: Pipeline) -> None:
        """Continue from the end of another chain."""
        self._text, self._name, self._columns = other._text, other._name, other._columns

    def apply(self, operator: Node) -> None:
        """Append an operator of the query."""
        from .rules import OPERATORS

        OPERATORS.get(operator.kind, Pipeline.plain)(self, operator)

    def plain(self, operator: Node) -> None:
        """Append an operator that the engine knows, with its expressions rewritten."""
        self.finish(operator, self.write(operator))

    def finish(self, operator: Node, written: str) -> None:
        """Append the KQL of an operator, and remove the columns that it computed for itself."""
        hidden, self.hidden = self.hidden, []
        self.then(written, same=operator.kind in _KEEPS_COLUMNS and not hidden)
        if hidden and operator.kind not in {"ProjectOperator", "SummarizeOperator", "DistinctOperator"}:
            self.then("project-away " + ", ".join(hidden))

    def write(self, node: Node) -> str:
        """Return the KQL of a part of the query, rewritten for the engine."""
        from .rules import EXPRESSIONS

        rule = EXPRESSIONS.get(node.kind)
        written = rule(self, node) if rule else None
        return self.write_parts(node) if written is None else written

    def write_parts(self, node: Node) -> str:
        """Return the KQL of a node whose parts are rewritten."""
        return self.assemble(node, [self.write(child) for child in node.children])

    def assemble(self, node: Node, parts: list[str]) -> str:
        """Return the text of a node with other texts in place of its children."""
        written, position = "", node.start
        for child, part in zip(node.children, parts, strict=True):
            written += self.query.kql[position : child.start] + part
            position = child.stop
        return written + self.query.kql[position : node.stop]

    def name(self, node: Node) -> str:
        """Return the column that a node names, as SQL knows it."""
        from .translation import plain_name

        return self.query.names.inside(plain_name(node))

    def inner(self, node: Node) -> str:
        """Return the stage of a table that the chain reads besides its own."""
        return self.query.tabular(node, self.scope).cut()


def listed(columns: Columns) -> str:
    """List columns in KQL."""
    return ", ".join(kql_name(name) for name in columns)


_KEEPS_COLUMNS = frozenset({"WhereOperator", "TakeOperator", "SortOperator", "TopOperator"})
