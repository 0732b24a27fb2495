"""Take the log calls of a pipeline that is switched off: nothing is encoded or counted, unless a test captures rows."""

from __future__ import annotations

import logging
from typing import Any

from . import capture
from .intake import Intake


class Off:
    """Ignore log calls, in place of an `Intake`; during a capture, pass them to it."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def accept(self, record: logging.LogRecord, formatter: logging.Formatter | None) -> None:
        """Ignore a record."""
        if capture.current() is not None:
            self._intake.accept(record, formatter)

    def accept_event(self, event: Any, method: Any, logger_name: str | None) -> None:
        """Ignore an event dict."""
        if capture.current() is not None:
            self._intake.accept_event(event, method, logger_name)
