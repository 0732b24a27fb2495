"""Helpers of most tests of a pipeline: an address, a limit for waits, a pipeline without threads, messages of rows."""

import itertools
import threading
from collections.abc import Iterable
from typing import Any

from logging_azmon import Pipeline
from logging_azmon.testing import FakeDestination, ManualClock

# How long a test waits for an event that must happen. No test takes that long unless it fails.
LIMIT_SECONDS = 60
# Nothing listens on this port.
NOWHERE = "http://127.0.0.1:9"
_rules = itertools.count()


def address(stream: str = "Custom-App_CL") -> tuple[str, str, str]:
    """Return an endpoint, a rule that no other test uses, and a stream; pipelines of one rule share their pauses."""
    return NOWHERE, f"dcr-test-{next(_rules)}", stream


def manual_pipeline(destination: FakeDestination, **options: Any) -> Pipeline:
    """Make a pipeline without threads, which delivers in `flush`, on a clock that jumps."""
    return Pipeline(
        *address(), **{"destination": destination, "clock": ManualClock(jumps=True), "background": False} | options
    )


def listeners() -> list[threading.Thread]:
    """Return the threads that deliver."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("logging_azmon")]


def messages(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Return the messages of rows, in the order of the rows."""
    return [row["Message"] for row in rows]


def sorted_messages(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Return the messages of rows that may have arrived in any order."""
    return sorted(messages(rows))
