"""Run measurements, keep what they found in results.json, and tell it in results.md and in charts."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import goals
import growth
import instructions
import interference
import log_call
import outage
import to_acknowledged
import web
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
_PACKAGES = (
    "logging-azmon", "azure-monitor-ingestion", "isal", "orjson", "structlog", "opentelemetry-sdk", "watchtower",
    "google-cloud-logging", "python-logstash-async", "sentry-sdk", "flask", "gunicorn",
)  # fmt: skip


def run(names: list[str], scale: Scale, directory: Path) -> bool:
    """Measure what is named, and tell whether all of it could be; what was found before of the others stays."""
    is_complete = True
    found = read(directory)
    for name in names:
        print(f"{name} …", end=" ", flush=True)
        start = time.perf_counter()
        load = os.getloadavg()[0]
        before = found.get(name, {}).get("result", {})
        measurement = MEASUREMENTS[name]
        try:
            result = measurement.measure(scale)
        except CannotRun as reason:
            print(f"broke off: {reason}")
            is_complete = False
            continue
        if hasattr(measurement, "keep"):
            result = measurement.keep(before, result)
        found[name] = {"taken": {**machine(), "load_before": round(load, 2), "runs": scale.runs}, "result": result}
        print(f"{time.perf_counter() - start:.0f} s")
        # After each, so that an interruption costs one.
        write(found, directory)
    return is_complete


def read(directory: Path) -> dict[str, Any]:
    """Return what was found before."""
    path = directory / "results.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def write(found: dict[str, Any], directory: Path) -> None:
    """Write the results, and what is made of them."""
    directory.mkdir(parents=True, exist_ok=True)
    ordered = {name: found[name] for name in MEASUREMENTS if name in found}
    (directory / "results.json").write_text(json.dumps(ordered, indent=1) + "\n", "utf-8")
    for name, text in told(ordered).items():
        (directory / name).write_text(text, "utf-8")


def told(found: dict[str, Any]) -> dict[str, str]:
    """Turn results into files: one page of Markdown, and charts."""
    files = {}
    parts = [
        "# Benchmarks",
        (
            "Written by `python -m tox -e bench`; the figures are in `results.json`. Every contender runs in a"
            " process of its own, in turn with the others, round after round. Compare ratios: absolute times"
            " are those of one machine."
        ),
    ]
    machines = {_machine_of(section["taken"]) for section in found.values()}
    if len(machines) == 1:
        parts += machines
    parts += goals.tell(found)
    for name, section in found.items():
        measurement = MEASUREMENTS[name]
        taken = section["taken"]
        parts += [f"## {measurement.TITLE}", *([_machine_of(taken)] if len(machines) > 1 else [])]
        parts.append(
            f"<sub>{taken['at']}, {taken['runs']} runs, the machine's load before: {taken['load_before']}</sub>"
        )
        for chart, text in measurement.draw(section["result"]).items():
            files[f"{chart}.svg"] = text
            parts.append(f"![{measurement.TITLE}]({chart}.svg)")
        parts.append(measurement.tell(section["result"]))
    files["results.md"] = "\n\n".join(parts) + "\n"
    return files


def machine() -> dict[str, Any]:
    """Say where and when, and with what."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "versions": versions,
    }


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or sys.platform


def _machine_of(taken: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in taken["versions"].items())
    return f"{taken['processor']}, {taken['cores']} cores; {taken['system']}; {taken['python']}; {versions}."
