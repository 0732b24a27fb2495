"""Record on which machine, when, and with which versions a measurement was taken."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = (
    "logging-azmon", "azure-monitor-ingestion", "isal", "orjson", "structlog", "opentelemetry-sdk", "watchtower",
    "google-cloud-logging", "python-logstash-async", "sentry-sdk", "flask", "gunicorn",
)  # fmt: skip


def facts() -> dict[str, Any]:
    """Return the time, the machine, and the installed version of each package that takes part."""
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


def described(taken: dict[str, Any]) -> str:
    """Write the facts of a measurement in one line."""
    versions = ", ".join(f"{name} {version}" for name, version in taken["versions"].items())
    return (
        f"{taken['at']}; runs: {taken['runs']}; load average before: {taken['load_before']}; {taken['processor']},"
        f" {taken['cores']} cores; {taken['system']}; {taken['python']}; {versions}."
    )


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or sys.platform
