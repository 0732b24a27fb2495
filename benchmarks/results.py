"""Run measurements; keep their raw figures, the baseline of the gate, and the page that is published."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import growth
import instructions
import interference
import log_call
import machine
import outage
import page
import to_acknowledged
import web
import workers
from sampling import CannotRun, Scale

MEASUREMENTS: dict[str, ModuleType] = {
    "log_call": log_call,
    "to_acknowledged": to_acknowledged,
    "outage": outage,
    "growth": growth,
    "interference": interference,
    "web": web,
    "instructions": instructions,
}


@dataclass(frozen=True, kw_only=True)
class Files:
    """Name the files that are written."""

    # The directory of the page and its charts.
    page: Path
    # Every figure of the runs on this machine; Git ignores it.
    figures: Path
    # The instructions that `--check` compares with.
    baseline: Path

    @classmethod
    def in_directory(cls, directory: Path) -> Self:
        """Put everything into one directory."""
        return cls(page=directory, figures=directory / "figures.json", baseline=directory / "baseline.json")


PUBLISHED = Files(
    page=workers.HERE.parent / "docs" / "charts",
    figures=workers.HERE / "figures.json",
    baseline=workers.HERE / "baseline.json",
)


def run(names: list[str], scale: Scale, files: Files) -> bool:
    """Run the named measurements and return whether all succeeded; earlier figures of the others stay."""
    is_complete = True
    figures = read(files.figures)
    for name in names:
        print(f"{name} …", end=" ", flush=True)
        start = time.perf_counter()
        load = os.getloadavg()[0]
        measurement = MEASUREMENTS[name]
        try:
            result = measurement.measure(scale)
        except CannotRun as reason:
            print(f"broke off: {reason}")
            is_complete = False
            continue
        if measurement is instructions:
            result = instructions.record(result, figures.get(name, {}).get("result", {}), files.baseline)
        taken = {**machine.facts(), "load_before": round(load, 2), "runs": scale.runs}
        figures[name] = {"taken": taken, "result": result}
        print(f"{time.perf_counter() - start:.0f} s")
        # After each one, so that an interruption costs only the measurement it hits.
        write(figures, files)
    return is_complete


def read(path: Path) -> dict[str, Any]:
    """Return the figures of earlier runs."""
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def write(figures: dict[str, Any], files: Files) -> None:
    """Write the figures, and the page and charts made of them."""
    ordered = {name: figures[name] for name in MEASUREMENTS if name in figures}
    files.figures.parent.mkdir(parents=True, exist_ok=True)
    files.figures.write_text(json.dumps(ordered, indent=1) + "\n", "utf-8")
    page.publish(ordered, MEASUREMENTS, files.page)
