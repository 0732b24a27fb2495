"""Calls that mypy accepts, and calls that it refuses: mypy reports every ignore comment below that is not needed."""

from __future__ import annotations

import logging
from pathlib import Path

from logging_azmon import AzureMonitorHandler, AzureMonitorProcessor, Column, Pipeline, Table
from logging_azmon.testing import FakeDestination, ManualClock

COLUMNS = {"TimeGenerated": "time", "Text": "message:string", "Release": {"value": "1.4.2"}}


def accepted() -> None:
    """Take every form of an argument that is documented."""
    handler = AzureMonitorHandler(
        "https://dce.example.org", "dcr-1", "Custom-App", "managed_identity", level="INFO", columns=COLUMNS
    )
    AzureMonitorHandler(pipeline=handler, level=logging.INFO)
    AzureMonitorHandler(dcr=Path("rule.json"), batch_seconds=1, overflow="block", spool=Path("spool"), cloud="china")
    AzureMonitorHandler(dcr={"properties": {}}, columns="lean", give_up_seconds=None, report=print)
    AzureMonitorProcessor(pipeline=handler.pipeline, drop=True)
    AzureMonitorProcessor(columns=Table((Column("Text", "string", "message"),)), uploads=2)
    Pipeline(destination=FakeDestination(), clock=ManualClock(), background=False, queue_bytes=1_000_000)


def refused() -> None:
    """Make calls with a typo, a wrong type and an unknown word, at every front door."""
    AzureMonitorHandler(batch_secondz=1)  # type: ignore[call-arg]
    AzureMonitorHandler(batch_seconds="1")  # type: ignore[arg-type]
    AzureMonitorHandler(uploads=1.5)  # type: ignore[arg-type]
    AzureMonitorHandler(overflow="drop")  # type: ignore[arg-type]
    AzureMonitorHandler(drop=True)  # type: ignore[call-arg]
    AzureMonitorHandler(pipeline=7)  # type: ignore[arg-type]
    AzureMonitorProcessor(colums="lean")  # type: ignore[call-arg]
    AzureMonitorProcessor(cloud="germany")  # type: ignore[arg-type]
    Pipeline(level=10)  # type: ignore[call-arg]
    Pipeline(spool=True)  # type: ignore[arg-type]


class Ours(AzureMonitorHandler):
    """Pass options on from a constructor of its own."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream=stream, columns="lean", close_seconds=2.5)
