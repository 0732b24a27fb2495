"""Write the results page, one section for each measurement, and its charts.

A section is replaced when its measurement has figures on this machine; the other sections stay as published. The goals
need all measurements, so their section is replaced only when all have figures.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import goals
import machine

NAME = "results.md"
_INTRODUCTION = """\
# Benchmark results

`python -m tox run -e bench` writes this page; do not edit it by hand. Each contender runs in a process of its own,
alternating with the others, round after round. Compare the ratios: absolute times are those of one machine. A figure is
the median of the runs, followed by the lowest and the highest run in parentheses.
"""


def publish(figures: Mapping[str, Any], measurements: Mapping[str, ModuleType], directory: Path) -> None:
    """Write a section and the charts of each measurement that has figures, and the goals if all have."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / NAME
    sections = parsed(path.read_text("utf-8")) if path.exists() else {}
    if figures.keys() == measurements.keys():
        sections[goals.TITLE] = goals.describe(figures)
    for name, found in figures.items():
        measurement = measurements[name]
        charts = measurement.draw(found["result"])
        for chart, svg in charts.items():
            (directory / f"{chart}.svg").write_text(svg, "utf-8")
        sections[measurement.TITLE] = "\n\n".join(
            [
                f"<sub>{machine.described(found['taken'])}</sub>",
                *(f"![{measurement.TITLE}]({chart}.svg)" for chart in charts),
                measurement.describe(found["result"]),
            ]
        )
    titles = [goals.TITLE, *(measurement.TITLE for measurement in measurements.values())]
    parts = [f"## {title}\n\n{sections[title]}\n" for title in titles if title in sections]
    path.write_text("\n".join([_INTRODUCTION, *parts]), "utf-8")


def parsed(text: str) -> dict[str, str]:
    """Split a page into its sections, by title."""
    _, *parts = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)
    return {title: body.strip() for title, body in zip(parts[::2], parts[1::2], strict=True)}
