"""Write the figures and tables of the results page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sampling import Figure, shown


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table whose first column is text and whose other columns are figures."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def ratio(found: Figure | None) -> str:
    """Show a ratio with its spread."""
    if found is None:
        return ""
    median, low, high = (shown(found[key], 2) for key in ("median", "low", "high"))
    return f"**{median} ×** ({low} to {high})"


def spread(found: Figure, digits: int = 3) -> str:
    """Show a figure with its spread."""
    median, low, high = (shown(found[key], digits) for key in ("median", "low", "high"))
    return median if low == high else f"{median} ({low} to {high})"


def cannot(reasons: Mapping[str, str]) -> list[str]:
    """List the contenders that did not take part, each with its reason."""
    return ["\n".join(f"- {name} did not take part: {why}." for name, why in reasons.items())] if reasons else []


def plain(text: str) -> str:
    """Remove Markdown's marks."""
    return text.replace("`", "").replace("*", "")
