"""Parse the numbers that options take, and format counts with their nouns."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable


def whole_number(what: str, least: int = 0, most: int | None = None) -> Callable[[str], int]:
    """Return an argparse type for whole numbers; `what` names the number in error messages."""

    def read(text: str) -> int:
        try:
            value = int(text) if text.isdecimal() else None
        except ValueError:  # more digits than Python reads
            value = None
        if value is None or value < least or (most is not None and value > most):
            raise _refusal(text, what, least, most)
        return value

    return read


def number(what: str, least: float, most: float = math.inf) -> Callable[[str], float]:
    """Return an argparse type for finite numbers; `what` names the number in error messages."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (least <= value <= most and math.isfinite(value)):
            raise _refusal(text, what, least, None if most == math.inf else most)
        return value

    return read


def _refusal(text: str, what: str, least: float, most: float | None) -> argparse.ArgumentTypeError:
    bounds = "" if most is None else f" from {least:,} to {most:,}"
    return argparse.ArgumentTypeError(f"{text!r} is not a {what}{bounds}")


def pluralize(number: int, noun: str) -> str:
    """Return a count with its noun, as in "1 row" or "1,200 rows"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
