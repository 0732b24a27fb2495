"""Render reports, counts, query results and the ledger for a terminal, even one that has no colours or only ASCII."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.padding import Padding
from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from ...stats import Stats
from ...trouble import Trouble
from .._shared.console import LEVEL_COLOURS

# Types of the values that are right-aligned.
_NUMBERS = (int, float)
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_MOMENTS = 24


def heading(title: str) -> Rule:
    """Return a heading."""
    return Rule(Text(title, style="bold"), align="left", style="bright_black")


def troubles(reports: Sequence[Trouble]) -> Padding:
    """Show the reports by kind: the first of each, and how many there were."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    for kind, count in Counter(trouble.kind for trouble in reports).items():
        first = next(str(trouble) for trouble in reports if trouble.kind == kind)
        more = f" (and {count - 1} more like this)" if count > 1 else ""
        style = "bold green" if kind == "recovered" else "bold yellow"
        grid.add_row(Text(kind, style), Text.assemble(first, (more, "bright_black")))
    return Padding(grid, (1, 0, 1, 2))


class Levels:
    """Show for each level a bar and a sparkline over time; `counts` has Level, Time and Rows."""

    def __init__(self, counts: Sequence[Mapping[str, Any]]) -> None:
        times = list(dict.fromkeys(count["Time"] for count in counts))
        together = -(-len(times) // _MOMENTS)
        self._over_time = {level: [0] * _MOMENTS for level in LEVEL_COLOURS}
        for count in counts:
            self._over_time[count["Level"]][times.index(count["Time"]) // together] += count["Rows"]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render; the longest bar takes the remaining width."""
        sums = {level: sum(counts) for level, counts in self._over_time.items() if any(counts)}
        most = max(sums.values(), default=1)
        width = max(10, min(48, options.max_width - _MOMENTS - 24))
        grid = Table.grid(padding=(0, 2, 0, 0))
        for name, count in sums.items():
            bar = ("#" if options.ascii_only else "▆") * max(1, round(width * count / most))
            when = "" if options.ascii_only else _spark(self._over_time[name])
            style = LEVEL_COLOURS[name]
            grid.add_row(
                Text(name, f"bold {style}"), Text(f"{count:,}", justify="right"), Text(bar, style), Text(when, style)
            )
        yield Padding(grid, (1, 0, 1, 2))


def _spark(counts: Sequence[int]) -> str:
    most = max(counts, default=0) or 1
    # Round up, so that a small count still shows.
    return "".join(_EIGHTHS[-(-count * 8 // most)] for count in counts)


def answer(kql: str, rows: Sequence[Mapping[str, Any]]) -> Group:
    """Show a query and its result."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name, value in (rows[0] if rows else {}).items():
        table.add_column(name, justify="right" if isinstance(value, _NUMBERS) else "left", overflow="ellipsis")
    for row in rows:
        table.add_row(*(_cell(name, value) for name, value in row.items()))
    code = Syntax(kql, "kusto", theme="ansi_dark", background_color="default")
    return Group(Padding(code, (1, 0, 0, 2)), Padding(table, (0, 0, 0, 2)))


def _cell(name: str, value: Any) -> Text:
    if isinstance(value, float):
        return Text(f"{value:,.1f}")
    return Text("" if value is None else str(value), style=LEVEL_COLOURS.get(value, "") if name == "Level" else "")


def ledger(stats: Stats, stored: int) -> Padding:
    """Show the outcome of every row; the counts add up."""
    dropped = sum(stats.dropped.values())
    parts = {
        "delivered": (stats.delivered, "green"),
        "waiting": (stats.queued + stats.in_flight, ""),
        "rejected": (stats.rejected, "red" if stats.rejected else ""),
        "dropped": (dropped, "red" if dropped else ""),
    }
    sum_of = [Text.assemble((f"{count:,}", f"bold {style}"), f" {name}") for name, (count, style) in parts.items()]
    line = Text.assemble((f"{stats.accepted:,}", "bold"), " accepted = ", Text(" + ").join(sum_of))
    sent = f"{stats.requests:,} uploads, {stats.retries:,} of them retries; {stored:,} rows in App_CL"
    return Padding(Group(line, Text(sent)), (1, 0, 1, 2))
