"""Front door for the standard library: a logging.Handler that gives records to a pipeline.

Rules: there is no handler lock. A flush at exit waits for listeners, whose HTTP library logs; with such a lock held on
both sides that would never end. `emit` needs none: a pipeline takes rows from many threads.
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

    Every argument can be given in Python, in dictConfig and in fileConfig. Constructing a handler touches neither the
    network nor the disk, except for the file that `dcr` names, and starts no thread; the first row does. Unknown
    arguments and bad values raise one `ConfigurationError` that lists them all.
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
        given = {"endpoint": endpoint, "rule_id": rule_id, "stream": stream, "credential": credential, **options}
        self._link = PipelineLink(pipeline, given, level_problems(level))
        # Last, because from here on logging knows the handler, and flushes it at exit.
        super().__init__(level)

    def createLock(self) -> None:
        """Do without a lock, as NullHandler does: `acquire` and `release` do nothing then."""
        self.lock = None

    @property
    def pipeline(self) -> Pipeline:
        """Return the pipeline, to be shared with others."""
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
                # At the end of the stack nothing can be called: the pipeline counts it later.
                error.__traceback__ = error.__context__ = None
                self._link.uncounted[error] = None
            except ConfigurationError as error:
                self._link.complain(error)
        return passed  # type: ignore[no-any-return]

    def emit(self, record: logging.LogRecord) -> None:
        """Give a record to the pipeline. What a delivering thread logs is left out."""
        if feedback.depths and feedback.is_own(record):
            return
        intake = self._link.intake
        if intake is None:
            intake = self._link.resolve()
        intake.accept(record, self.formatter)

    def flush(self, timeout: float | None = None) -> bool:  # type: ignore[override]
        """Deliver every row accepted before this call; True if none of them is left and no row was dropped meanwhile.

        None waits `close_seconds`.
        """
        return self.pipeline.flush(timeout)

    def close(self) -> None:
        """Deliver what waits, within `close_seconds`, and take no more rows; twice is fine."""
        self._link.close()
        super().close()

    def stats(self) -> Stats:
        """Say where every row is."""
        return self.pipeline.stats()
