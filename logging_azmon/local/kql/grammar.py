"""Mend what the engine's grammar cannot read, without moving a character: positions in errors stay right."""

from __future__ import annotations

import re
from collections.abc import Callable

_OPAQUE = re.compile(
    r"""//[^\n]*|[hH]?@"(?:[^"]|"")*"|[hH]?@'(?:[^']|'')*'|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'""", re.DOTALL
)
TABLE = "tabl_"
"""`table()` under a name that the grammar takes for a function."""
_MENDS: list[tuple[re.Pattern[str], Callable[[str], str]]] = [
    # A bare `serialize` only marks the order of rows, which is kept here anyway.
    (re.compile(r"\bserialize(?=\s*(?:[|;)]|$))"), lambda _: "as _kept_"),
    (re.compile(r"\btable(?=\s*\()"), lambda _: TABLE),
    (re.compile(r"(?<=\|)\s*project-smart\b"), lambda found: " project".ljust(len(found))),
]


def mend(kql: str) -> str:
    """Return a query of the same length that the grammar can read."""
    masked = _OPAQUE.sub(_blank, kql)
    for pattern, replacement in _MENDS:
        for found in pattern.finditer(masked):
            kql = kql[: found.start()] + replacement(found[0]) + kql[found.end() :]
    return kql


def _blank(found: re.Match[str]) -> str:
    return (" " if found[0].startswith("//") else "_") * len(found[0])
