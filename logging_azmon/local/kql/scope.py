"""Hold what the names of a query mean: what `let` binds, and the arguments of functions."""

from __future__ import annotations

from dataclasses import dataclass, field

from .translation import Node


@dataclass(frozen=True, slots=True)
class Parameter:
    """Describe a parameter of a function."""

    name: str
    is_table: bool
    default: Node | None


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """Hold a function that `let` defines."""

    parameters: tuple[Parameter, ...]
    statements: tuple[Node, ...]
    """The `let` statements of its body."""
    value: Node
    scope: Scope


@dataclass(slots=True)
class Scope:
    """Hold names; those of an inner scope hide the outer ones."""

    scalars: dict[str, str] = field(default_factory=dict)
    """The name under which the engine gets each value."""
    tables: dict[str, str] = field(default_factory=dict)
    """The table or stage behind each name."""
    functions: dict[str, Function] = field(default_factory=dict)
    """The functions that yield a table."""
    calls: dict[str, Function] = field(default_factory=dict)
    """The functions that yield a value; the engine expands them."""

    def inner(self) -> Scope:
        """Return a scope for the body of a function."""
        return Scope(dict(self.scalars), dict(self.tables), dict(self.functions), dict(self.calls))

    def hide(self, name: str) -> None:
        """Forget what a name meant, before it is bound again."""
        for names in (self.scalars, self.tables, self.functions, self.calls):
            names.pop(name, None)
