"""Keep apart the names that differ only in case, which SQL cannot: all but one spelling get a mark inside the query."""

from __future__ import annotations

import re
from collections.abc import Iterable

_MARK = "__case"
_MARKED = re.compile(rf"{_MARK}\d+\b")


class Names:
    """Translate between the names of the user and those in SQL."""

    def __init__(self, spellings: Iterable[str]) -> None:
        groups: dict[str, list[str]] = {}
        for name in dict.fromkeys(spellings):
            groups.setdefault(name.casefold(), []).append(name)
        self._marked = {
            name: f"{name}{_MARK}{number}" for group in groups.values() for number, name in enumerate(group) if number
        }

    def inside(self, name: str) -> str:
        """Return the name to use in SQL."""
        return self._marked.get(name, name)


def outside(text: str) -> str:
    """Return a name, or a message, as the user knows it."""
    return _MARKED.sub("", text) if _MARK in text else text
