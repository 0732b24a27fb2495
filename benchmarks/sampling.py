"""Summarize a few runs: median and spread, quantiles, ratios, and the curve that fits a series of points."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# A figure of the results: the median of the runs, the lowest run and the highest.
Figure = dict[str, float]


class CannotRun(Exception):  # noqa: N818 - not an error: one of the possible results
    """Give the reason why a contender does not take part."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Set how often, how much and what to measure; `share` shrinks all sizes, so that tests take milliseconds."""

    runs: int = 5
    share: float = 1.0
    only: tuple[str, ...] = ()

    def of(self, size: int) -> int:
        """Return a size at this scale."""
        return max(2, round(size * self.share))

    def pick(self, names: Iterable[str]) -> list[str]:
        """Return the contenders that take part: all of them, unless some were named."""
        return [name for name in names if name in self.only or not self.only]


def figure(values: Iterable[float]) -> Figure:
    """Summarize one value of several runs."""
    ordered = sorted(values)
    return {
        "median": significant(statistics.median(ordered)),
        "low": significant(ordered[0]),
        "high": significant(ordered[-1]),
    }


def figures(runs: Sequence[Mapping[str, float]]) -> dict[str, Figure]:
    """Summarize several values of several runs."""
    return {name: figure(run[name] for run in runs) for name in runs[0]}


def ratios(runs: Sequence[float], base: Sequence[float]) -> Figure:
    """Compare run by run, because a disturbance in one round affects every contender in it."""
    return figure(value / of for value, of in zip(runs, base, strict=True))


def significant(value: float, digits: int = 4) -> float:
    """Round to this many significant digits: more would be noise."""
    if not value or not math.isfinite(value):
        return value
    return round(value, digits - 1 - math.floor(math.log10(abs(value))))


def shown(value: float, digits: int = 3) -> str:
    """Write a value with this many significant digits, and its thousands separated."""
    rounded = significant(value, digits)
    return f"{rounded:,.0f}" if abs(rounded) >= 1_000 else f"{rounded:g}"


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value of a sorted series that this share of it does not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def quantiles(values: Iterable[float]) -> dict[str, float]:
    """Describe the costs of single calls."""
    ordered = sorted(values)
    shares = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
    return {name: quantile(ordered, share) for name, share in shares.items()} | {"worst": ordered[-1]}


def line(points: Mapping[float, float]) -> dict[str, float]:
    """Fit ``y = fixed + each * x`` with relative errors, so that small points count as much as large ones.

    `error` is the distance of the worst point from the line, as a share of that point.
    """
    weights = {x: 1 / (y * y) for x, y in points.items()}
    total = sum(weights.values())
    mean_x = sum(weight * x for x, weight in weights.items()) / total
    mean_y = sum(weight * points[x] for x, weight in weights.items()) / total
    across = sum(weight * (x - mean_x) * (points[x] - mean_y) for x, weight in weights.items())
    along = sum(weight * (x - mean_x) ** 2 for x, weight in weights.items())
    each = across / along
    fixed = mean_y - each * mean_x
    error = max(abs(fixed + each * x - y) / y for x, y in points.items())
    return {"fixed": significant(fixed), "each": significant(each), "error": significant(error, 2)}


def exponent(points: Mapping[float, float]) -> float:
    """Fit ``y = c * x ** e`` and return e: 0 is constant, 1 is proportional."""
    slope, _ = statistics.linear_regression([math.log(x) for x in points], [math.log(y) for y in points.values()])
    return significant(slope, 2)


def interleaved(
    names: Sequence[str], runs: int, measure: Callable[[str], Any]
) -> tuple[dict[str, list[Any]], dict[str, str]]:
    """Measure each in turn, round after round, every other round backwards, so that a slow drift favours none.

    Return the runs of the contenders that took part in every round, and the reason of each that could not.
    """
    found: dict[str, list[Any]] = {name: [] for name in names}
    unable: dict[str, str] = {}
    for number in range(runs):
        for name in list(found) if number % 2 == 0 else list(reversed(found)):
            try:
                found[name].append(measure(name))
            except CannotRun as reason:
                unable[name] = str(reason)
                del found[name]
    return found, unable
