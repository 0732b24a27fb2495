"""Draw time series as bars: one strip for each series, all on the same axis and scale."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from rich.text import Text

from .._shared.cells import for_display, is_number, printable
from .._shared.console import LEVEL_COLOURS
from .._shared.timespan import duration_text
from .._shared.workspace import Result

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

_BARS = " ▁▂▃▄▅▆▇█"
_ASCII = " .:|#"
_COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "red", "bright_cyan", "bright_green")
_MAX_SERIES = 8
# Height of a strip in lines, by the number of series: one, two, three and so on.
_HEIGHTS = (8, 5, 4, 3, 2)
_MAX_BINS = 100_000
_OVER_TIME = re.compile(r"\bbin(?:_at)?\s*\(|\brender\b|\bmake-series\b")


@dataclass(frozen=True, slots=True)
class Series:
    """Hold the values of one series by time."""

    name: str
    values: dict[dt.datetime, float]


def find_series(result: Result, kql: str) -> list[Series] | None:
    """Read an answer as time series, or return None: series need one time column, numbers, and at most one name."""
    times = [index for index, kind in enumerate(result.kinds) if kind == "datetime"]
    numbers = [index for index, kind in enumerate(result.kinds) if is_number(kind)]
    others = [index for index in range(len(result.kinds)) if index not in (*times, *numbers)]
    if len(times) != 1 or not numbers or len(others) > 1 or not _OVER_TIME.search(kql):
        return None
    if others and len(numbers) > 1:
        return None
    by_name: dict[str, dict[dt.datetime, float]] = {}
    for row in result.rows:
        moment = row[times[0]]
        if not isinstance(moment, dt.datetime):
            continue
        for index in numbers:
            name = for_display(row[others[0]], result.kinds[others[0]]) if others else printable(result.names[index])
            values = by_name.setdefault(name or "(empty)", {})
            if moment in values:
                return None  # several rows for one moment: not summarized by time alone
            if isinstance(row[index], int | float):
                values[moment] = float(row[index])
    series = [Series(name, values) for name, values in by_name.items() if values]
    return series if len({moment for each in series for moment in each.values}) > 1 else None


class Chart:
    """Draw the largest series; a line below says how many were left out."""

    def __init__(self, series: Sequence[Series]) -> None:
        order = list(LEVEL_COLOURS)
        ranked = sorted(series, key=lambda each: -sum(map(abs, each.values.values())))
        self._left_out = ranked[_MAX_SERIES:]
        self._series = ranked[:_MAX_SERIES]
        if all(each.name in LEVEL_COLOURS for each in self._series):
            self._series.sort(key=lambda each: order.index(each.name))
        moments = sorted({moment for each in series for moment in each.values})
        self._first, self._last = moments[0], moments[-1]
        self._step = min(later - earlier for earlier, later in pairwise(moments))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render strips above one axis."""
        names = max(len(each.name) for each in self._series)
        margin = min(names, options.max_width // 4)
        highest = max((value for each in self._series for value in each.values.values()), default=0.0)
        scale = for_display(float(highest), "real")
        width = max(8, options.max_width - margin - len(scale) - 4)
        bins = min((self._last - self._first) // self._step + 1, _MAX_BINS)
        together = -(-bins // width)
        columns = -(-bins // together)
        each_width = max(1, width // columns)
        bars = _ASCII if options.ascii_only else _BARS
        height = _HEIGHTS[min(len(self._series), len(_HEIGHTS)) - 1]
        for number, series in enumerate(self._series):
            colour = LEVEL_COLOURS.get(series.name, _COLOURS[number % len(_COLOURS)])
            values = self._columns(series, columns, together)
            lines = list(_strip(values, highest, height, each_width, bars))
            for line_number, line in enumerate(lines):
                label = series.name if line_number == len(lines) - 1 else ""
                peak = for_display(max(values), "real") if len(self._series) > 1 else scale
                top = peak if line_number == 0 else "0" if line_number == len(lines) - 1 else ""
                yield Text.assemble(
                    (label[:margin].rjust(margin), f"bold {colour}"),
                    "  ",
                    (line, colour),
                    " " * (columns * each_width - len(line)),
                    (f" {top}", "bright_black"),
                )
        yield from self._axis(margin, columns * each_width, together, ascii_only=options.ascii_only)

    def _columns(self, series: Series, columns: int, together: int) -> list[float]:
        values = [0.0] * columns
        for moment, value in series.values.items():
            column = min(int((moment - self._first) / self._step) // together, columns - 1)
            values[column] = max(values[column], value)
        return values

    def _axis(self, margin: int, width: int, together: int, *, ascii_only: bool) -> Iterator[Text]:
        first, last = self._first.astimezone(dt.UTC), self._last.astimezone(dt.UTC)
        pattern = "%H:%M:%S" if first.date() == last.date() else "%Y-%m-%d %H:%M"
        left, right = first.strftime(pattern), last.strftime(pattern)
        line = ("-" if ascii_only else "─") * width
        yield Text(" " * (margin + 2) + line, "bright_black")
        yield Text(" " * (margin + 2) + left + right.rjust(max(len(right) + 1, width - len(left))), "bright_black")
        step = duration_text(self._step)
        bar = step if together == 1 else f"the highest of {together} times {step}"
        notes = [f"{first:%Y-%m-%d} UTC, one bar is {bar}"]
        if self._left_out:
            notes.append(f"{len(self._left_out)} smaller series not drawn (--table shows all)")
        if any(value < 0 for each in self._series for value in each.values.values()):
            notes.append("negative values are drawn as 0")
        yield Text(" " * (margin + 2) + "; ".join(notes), "bright_black")


def _strip(values: Sequence[float], highest: float, height: int, each_width: int, bars: str) -> Iterator[str]:
    """Yield the lines of one strip from the top; every positive value shows, however small."""
    steps = len(bars) - 1
    levels = [max(1, round(value / highest * height * steps)) if value > 0 else 0 for value in values]
    for line in range(height - 1, -1, -1):
        yield "".join(bars[min(max(level - line * steps, 0), steps)] * each_width for level in levels).rstrip()
