"""Describe mistakes in queries, with their positions. Lines and positions count from 1."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from .names import outside


class QueryError(Exception):
    """Describe a mistake in a query, with its position if that is known."""

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


def error_at(offset: int, message: str, kql: str, code: str = "SemanticError") -> QueryError:
    """Build an error that points at an offset."""
    before = kql[:offset]
    line, pos = before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1
    return QueryError(message, code=code, line=line, pos=pos)


def error_at_name(name: str, message: str, kql: str, code: str = "SemanticError") -> QueryError:
    """Build an error that points at the first mention of a name; without one, it points nowhere."""
    found = re.search(rf"(?<![\w]){re.escape(name)}(?![\w])", kql) if name else None
    return error_at(found.start(), message, kql, code) if found else QueryError(message, code=code)


def unknown_name(name: str, kql: str, known: Sequence[str]) -> QueryError:
    """Build the error for a name that does not exist, with the one that was probably meant."""
    written, name, known = name, outside(name), [outside(other) for other in known]
    same = [other for other in known if other.casefold() == name.casefold()]
    near = same or difflib.get_close_matches(name, known, 1)
    why = " Names are case-sensitive: did" if same else " Did"
    hint = f"{why} you mean '{near[0]}'?" if near else ""
    return error_at_name(written, f"Failed to resolve table, column or scalar expression named '{name}'.{hint}", kql)
