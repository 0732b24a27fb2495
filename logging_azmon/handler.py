"""Front door for the standard library: a logging.Handler that gives records to a pipeline.

Rules: the handler has no lock. A flush at exit waits for listeners, whose HTTP library logs: if the flush held a
handler lock, both would wait for ever. `emit` needs no lock, because any number of threads may give rows to a pipeline.
"""

from __future__ import annotations

import logging
from typing import Any, Unpack

from ._config.options import Credential, Options, documented
from ._front.pipeline_link import PipelineLink, level_problems
from ._process import feedback
from .errors import ConfigurationError
from .pipeline import Pipeline
from .stats import Stats


@documented
class AzureMonitorHandler(logging.Handler):
    """Turn each log record into a row of a Log Analytics table, and deliver it in the background.

    Every argument can be given in Python, in dictConfig and in fileConfig. Constructing a handler starts no thread
    and touches neither the network nor the disk, except to read the file that `dcr` names; the first row starts all
    that. Unknown arguments and bad values raise one `ConfigurationError` that lists them all.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        rule_id: str | None = None,
        stream: str | None = None,
        credential: Credential | None = None,
        *,
        level: int | str = logging.NOTSET,
        pipeline: object = None,
        **options: Unpack[Options],
    ) -> None:
        """Take the arguments that the class documents."""
        arguments = {"endpoint": endpoint, "rule_id": rule_id, "stream": stream, "credential": credential, **options}
        self._link = PipelineLink(pipeline, arguments, level_problems(level))
        # Last, because this registers the handler with logging, which flushes it at exit.
        super().__init__(level)

    def createLock(self) -> None:
        """Do without a lock, as NullHandler does: `acquire` and `release` do nothing then."""
        self.lock = None

    @property
    def pipeline(self) -> Pipeline:
        """Return the pipeline, so that other handlers and processors can share it."""
        return self._link.pipeline

    def handle(self, record: logging.LogRecord) -> bool | logging.LogRecord:  # type: ignore[override]
        """Pass a record on unless a filter refuses it."""
        passed: Any = True
        if self.filters:
            passed = self.filter(record)
            if isinstance(passed, logging.LogRecord):
                record = passed  # pragma: no cover - from 3.12 on, a filter may replace the record
        if passed:
            try:
                self.emit(record)
            except RecursionError as error:
                # The stack is exhausted, so nothing can be called here: the pipeline counts the row later.
                error.__traceback__ = error.__context__ = None
                self._link.uncounted[error] = None
            except ConfigurationError as error:
                self._link.complain(error)
        return passed  # type: ignore[no-any-return]

    def emit(self, record: logging.LogRecord) -> None:
        """Give a record to the pipeline, unless a delivering thread logged it."""
        if feedback.depths and feedback.is_own(record):
            return
        intake = self._link.intake
        if intake is None:
            intake = self._link.resolve()
        intake.accept(record, self.formatter)

    def flush(self, timeout: float | None = None) -> bool:  # type: ignore[override]
        """Deliver the waiting rows; return True if the service took or refused each, and no row was dropped meanwhile.

        A `timeout` of None means `close_seconds`.
        """
        return self.pipeline.flush(timeout)

    def close(self) -> None:
        """Take no more rows, and deliver the waiting ones within `close_seconds`; further calls do nothing."""
        self._link.close()
        super().close()

    def stats(self) -> Stats:
        """Return a snapshot of the counters, which account for every row."""
        return self.pipeline.stats()
