"""One kind of what is redacted, and how it is replaced in text."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

# Return what is kept before the mark; None to keep the whole.
Keep = Callable[[re.Match[str]], str | None]


def nothing(_: re.Match[str]) -> str:
    """Keep nothing."""
    return ""


def head(found: re.Match[str]) -> str:
    """Keep what comes before the value."""
    return found["head"]


class Kind(NamedTuple):
    """Describe one kind: its name, a string without which text has none, the expression, and what is kept."""

    name: str
    needs: str
    pattern: re.Pattern[str]
    keep: Keep = nothing

    def replace(self, text: str) -> tuple[str, int]:
        """Return text with each occurrence replaced, and how many there were."""
        parts: list[str] = []
        end = times = 0
        for found in self.pattern.finditer(text):
            kept = self.keep(found)
            if kept is not None:
                parts += (text[end : found.start()], kept, f"[redacted: {self.name}]")
                end = found.end()
                times += 1
        return ("".join([*parts, text[end:]]), times) if times else (text, 0)
