"""Front door for the standard library: a logging.Handler that gives records to a pipeline.

Rules: `handle` takes no lock. A flush at exit waits for listeners, whose HTTP library logs; with the handler's lock
held on both sides that would never end. `emit` needs no lock: a pipeline takes rows from many threads.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from threading import get_ident
from typing import Any

from . import guard
from .errors import ConfigurationError
from .pipeline import Pipeline
from .report import Stats

_ARGUMENTS = ("endpoint", "rule_id", "stream", "credential")


class AzureMonitorHandler(logging.Handler):
    """Turn each record into a row of a Log Analytics table, delivered in the background.

    Arguments and settings are in README, "Configuration". `pipeline` shares the pipeline of another handler, given as
    a Pipeline, a handler, or ``"cfg://handlers.NAME"`` in dictConfig; then only `level` may stand beside it.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        rule_id: str | None = None,
        stream: str | None = None,
        credential: Any = None,
        *,
        level: int | str = logging.NOTSET,
        pipeline: Any = None,
        **options: Any,
    ) -> None:
        given = dict(zip(_ARGUMENTS, (endpoint, rule_id, stream, credential), strict=True)) | options
        shared = None if pipeline is None else _shared(pipeline, given)
        try:
            super().__init__(level)
        except (TypeError, ValueError) as error:
            raise ConfigurationError([f"level={level!r} is not accepted; give a level's name or number"]) from error
        self._shared: Pipeline | _Referenced = Pipeline(**given) if shared is None else shared
        self._is_attached = False
        self._is_closed = False
        if isinstance(self._shared, Pipeline):
            self._attach(self._shared)

    def _attach(self, pipeline: Pipeline) -> Pipeline:
        self._pipeline = pipeline.attach()
        self._is_attached = True
        self._read = pipeline.reader.record
        return pipeline

    @property
    def pipeline(self) -> Pipeline:
        """Return the pipeline, to be shared with others."""
        if self._is_attached:
            return self._pipeline
        if isinstance(self._shared, _Referenced):
            self._shared = self._shared.resolve()
        return self._attach(self._shared)

    def handle(self, record: logging.LogRecord) -> bool | logging.LogRecord:  # type: ignore[override]
        """Pass a record on unless a filter refuses it."""
        passed: Any = True
        if self.filters:
            passed = self.filter(record)
            if isinstance(passed, logging.LogRecord):  # from 3.12 on, a filter may replace the record
                record = passed
        if passed:
            self.emit(record)
        return passed  # type: ignore[no-any-return]

    def emit(self, record: logging.LogRecord) -> None:
        """Give a record to the pipeline; never raises. What a delivering thread logs is left out."""
        if get_ident() in guard.depths:
            return
        pipeline = self._pipeline if self._is_attached else self.pipeline
        pipeline.accept(self._read(record, self.formatter))

    def flush(self, timeout: float | None = None) -> bool:  # type: ignore[override]
        """Deliver every row accepted before this call; True if none is left. None waits `close_seconds`."""
        return self.pipeline.flush(timeout)

    def close(self) -> None:
        """Deliver what waits, within `close_seconds`, and take no more rows; twice is fine."""
        if not self._is_closed:
            self._is_closed = True
            self.pipeline.detach()
        super().close()

    def stats(self) -> Stats:
        """Say where every row is."""
        return self.pipeline.stats()


def _shared(pipeline: Any, given: Mapping[str, Any]) -> Pipeline | _Referenced:
    beside = [name for name, value in given.items() if value is not None]
    problems = [f"{name} cannot stand beside pipeline=: the shared pipeline has its own" for name in beside]
    if isinstance(pipeline, AzureMonitorHandler):
        pipeline = pipeline.pipeline
    reference = _Referenced.of(pipeline)
    if not isinstance(pipeline, Pipeline) and reference is None:
        problems.append(
            f"pipeline={pipeline!r} is not accepted; give a Pipeline, an AzureMonitorHandler, or in dictConfig"
            " 'cfg://handlers.NAME'"
        )
    if problems:
        raise ConfigurationError(problems)
    return reference or pipeline


class _Referenced:
    """Stand for a handler that dictConfig has not made yet.

    It makes handlers in the order of their names, and "cfg://handlers.azure" is that handler's configuration until its
    turn comes. The configurator puts the handler in the same place, so it is found there when the first record comes.
    """

    def __init__(self, handlers: Mapping[str, Any], name: str) -> None:
        self._handlers = handlers
        self._name = name

    @classmethod
    def of(cls, configuration: Any) -> _Referenced | None:
        """Find which handler's configuration this is."""
        config = getattr(getattr(configuration, "configurator", None), "config", None)
        handlers = config.get("handlers") if isinstance(config, Mapping) else None
        if not isinstance(handlers, dict):
            return None
        return next((cls(handlers, name) for name, item in dict.items(handlers) if item is configuration), None)

    def resolve(self) -> Pipeline:
        """Return that handler's pipeline."""
        handler = self._handlers[self._name]
        if not isinstance(handler, AzureMonitorHandler):
            raise ConfigurationError([f"pipeline='cfg://handlers.{self._name}' is not an AzureMonitorHandler"])
        return handler.pipeline
