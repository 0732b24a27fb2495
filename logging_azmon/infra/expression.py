"""What the languages have in common when values are written down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Expression(str):
    """Stand in a value as it is, without quotes."""

    __slots__ = ()


def is_column(value: Mapping[str, Any]) -> bool:
    """Tell what reads best in one line."""
    return set(value) == {"name", "type"}
