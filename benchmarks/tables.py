"""Words and tables of the results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sampling import Figure, shown


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Make a table: the first column text, the others figures."""
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
    """Say who did not take part, and why."""
    return ["\n".join(f"- {name} did not take part: {why}." for name, why in reasons.items())] if reasons else []


def plain(text: str) -> str:
    """Take Markdown's marks off."""
    return text.replace("`", "").replace("*", "")
