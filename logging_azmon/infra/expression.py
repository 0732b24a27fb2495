"""Distinguish expressions and columns from plain values, for the languages that render them differently."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Expression(str):
    """Mark text to be rendered unchanged, without quotes."""

    __slots__ = ()


def is_column(value: Mapping[str, Any]) -> bool:
    """Return whether a mapping is a column, which is rendered on one line."""
    return set(value) == {"name", "type"}
