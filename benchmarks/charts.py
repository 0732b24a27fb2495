"""Draw charts as SVG without scripts or fonts of their own, readable on a light page and on a dark one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from sampling import Figure, shown

_WIDTH, _NAMES, _VALUES, _PAD = 860, 330, 90, 20
_TOP, _STEP, _BAR = 70, 30, 16

# A chart has its own background, because a page's theme and the reader's preference may differ.
_STYLE = """
    .page { fill: #ffffff; stroke: #d0d7de } .title { font-weight: 600 } text { fill: #1f2328 }
    .note, .axis { fill: #59636e } .bar { fill: #9aa4af } .ours { fill: #0969da } .mark { stroke: #59636e }
    .goal { stroke: #bf3989; stroke-dasharray: 4 3 } .goal-name { fill: #bf3989 }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117; stroke: #3d444d } text { fill: #f0f6fc }
      .note, .axis { fill: #9198a1 } .bar { fill: #656c76 } .ours { fill: #4493f8 } .mark { stroke: #9198a1 }
      .goal { stroke: #f778ba } .goal-name { fill: #f778ba }
    }"""


@dataclass(frozen=True)
class Bar:
    """Hold one bar of a chart."""

    name: str
    value: Figure
    is_ours: bool = False


@dataclass(frozen=True)
class Goal:
    """Hold a value that all bars are compared with."""

    name: str
    value: float


def bars(
    title: str, note: str, found: Sequence[Bar], *, unit: str = "", logarithmic: bool = False, goal: Goal | None = None
) -> str:
    """Draw horizontal bars of medians, with the lowest and the highest run as whiskers."""
    values = [bar.value for bar in found]
    ends = [value["high"] for value in values] + ([goal.value] if goal else [])
    scale = _Scale(max(ends), min(value["low"] for value in values) if logarithmic else None)
    height = _TOP + _STEP * len(found) + (_PAD + 14 if goal else _PAD)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}"'
            f' height="{height}" role="img" aria-label="{escape(title)}"'
            ' font-family="system-ui, sans-serif" font-size="13">'
        ),
        f"<style>{_STYLE}\n</style>",
        f'<rect class="page" x="0.5" y="0.5" width="{_WIDTH - 1}" height="{height - 1}" rx="8"/>',
        f'<text class="title" x="{_PAD}" y="28" font-size="15">{escape(title)}</text>',
        f'<text class="note" x="{_PAD}" y="48">{escape(note)}{" (logarithmic)" if logarithmic else ""}</text>',
    ]
    for number, bar in enumerate(found):
        top = _TOP + _STEP * number
        middle = top + _BAR / 2
        title = 'class="title" ' if bar.is_ours else ""
        low, median, high = (scale(bar.value[key]) for key in ("low", "median", "high"))
        parts += [
            (f'<text {title}x="{_NAMES - 10}" y="{middle + 4.5:.1f}" text-anchor="end">{escape(bar.name)}</text>'),
            (
                f'<rect class="{"ours" if bar.is_ours else "bar"}" x="{_NAMES}" y="{top}"'
                f' width="{max(1.0, median - _NAMES):.1f}" height="{_BAR}" rx="2"/>'
            ),
            f'<path class="mark" d="M{low:.1f} {middle}H{high:.1f}"/>',
            f'<text x="{high + 8:.1f}" y="{middle + 4.5:.1f}">{shown(bar.value["median"], 2)} {unit}</text>',
        ]
    if goal:
        bottom = _TOP + _STEP * len(found) - 6
        x = scale(goal.value)
        parts += [
            f'<path class="goal" d="M{x:.1f} {_TOP - 8}V{bottom}"/>',
            f'<text class="goal-name" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{escape(goal.name)}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


class _Scale:
    """Map values to positions from left to right; a logarithmic scale begins at half of the smallest value."""

    def __init__(self, high: float, low: float | None) -> None:
        self._room = _WIDTH - _NAMES - _VALUES - _PAD
        self._high = high
        self._low = None if low is None or low <= 0 else low / 2

    def __call__(self, value: float) -> float:
        if self._low is None:
            share = value / self._high if self._high else 0.0
        else:
            share = math.log(max(value, self._low) / self._low) / math.log(self._high / self._low)
        return _NAMES + self._room * max(0.0, share)
