"""Front door for the standard library: a logging.Handler that gives records to a pipeline.

Rules: there is no handler lock. A flush at exit waits for listeners, whose HTTP library logs; with such a lock held on
both sides that would never end. `emit` needs none: a pipeline takes rows from many threads.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from os import getpid
from threading import get_ident
from typing import Any

from . import guard
from .checks import shown
from .errors import ConfigurationError
from .pipeline import Pipeline
from .report import Stats, print_line

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
        problems = list(_level_problems(level))
        shared: Any = None
        try:
            shared = Pipeline(**given) if pipeline is None else _shared(pipeline, given)
        except ConfigurationError as error:
            problems.extend(error.problems)
        if problems:
            raise ConfigurationError(problems)
        # Last, because from here on logging knows the handler, and flushes it at exit.
        super().__init__(level)
        # None until the handler that `pipeline` names has been made.
        self._pipeline: Pipeline | None = None
        self._uncounted: dict[Any, None] = {}
        self._is_useless = False
        if isinstance(shared, Pipeline):
            self._attach(shared, is_maker=pipeline is None)
        else:
            self._reference: _Referenced = shared

    def _attach(self, pipeline: Pipeline, *, is_maker: bool = False) -> Pipeline:
        pipeline.uncounted.update(self._uncounted)
        self._uncounted = pipeline.uncounted
        self._pipeline = pipeline.attach(self, is_maker=is_maker)
        return pipeline

    def createLock(self) -> None:
        """Do without a lock, as NullHandler does: `acquire` and `release` do nothing then."""
        self.lock = None

    @property
    def pipeline(self) -> Pipeline:
        """Return the pipeline, to be shared with others."""
        if self._pipeline is not None:
            return self._pipeline
        seen: list[AzureMonitorHandler] = []
        found: Any = self
        while isinstance(found, AzureMonitorHandler):
            if found in seen:
                raise ConfigurationError(["pipeline: these handlers name each other, and none has a pipeline"])
            seen.append(found)
            found = found.shares()
        return self._attach(found)

    def shares(self) -> Pipeline | AzureMonitorHandler:
        """Return the pipeline, or the handler whose pipeline this one will share."""
        return self._pipeline if self._pipeline is not None else self._reference.handler()

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
                # So near the end of the stack nothing can be called: the pipeline counts it later.
                error.__traceback__ = None
                self._uncounted[error] = None
            except ConfigurationError as error:
                # What `pipeline` names came out of a factory as something else: too late to raise that.
                if not self._is_useless:
                    self._is_useless = True
                    print_line(f"rows are lost: {error}")
        return passed  # type: ignore[no-any-return]

    def emit(self, record: logging.LogRecord) -> None:
        """Give a record to the pipeline. What a delivering thread logs is left out."""
        depths = guard.depths
        if depths:
            if get_ident() in depths:
                return
            try:
                # It may have come round by a queue. Another process may have threads of the same number.
                if record.thread in depths and record.process == getpid():
                    return
            except (AttributeError, TypeError):
                pass  # set or deleted by hand
        pipeline = self._pipeline if self._pipeline is not None else self.pipeline
        pipeline.accept(record, self.formatter)

    def flush(self, timeout: float | None = None) -> bool:  # type: ignore[override]
        """Deliver every row accepted before this call; True if none of them is left and no row was dropped meanwhile.

        None waits `close_seconds`.
        """
        return self.pipeline.flush(timeout)

    def close(self) -> None:
        """Deliver what waits, within `close_seconds`, and take no more rows; twice is fine."""
        if self._pipeline is not None:
            self._pipeline.detach(self)
        super().close()

    def stats(self) -> Stats:
        """Say where every row is."""
        return self.pipeline.stats()


def _level_problems(level: Any) -> Iterator[str]:
    if not isinstance(level, int) and (not isinstance(level, str) or level not in logging.getLevelNamesMapping()):
        yield f"level={shown(level)} is not accepted; give a level's name or number"


def _shared(pipeline: Any, given: Mapping[str, Any]) -> Pipeline | _Referenced:
    beside = [name for name, value in given.items() if value is not None]
    problems = [f"{name} cannot stand beside pipeline=: the shared pipeline has its own" for name in beside]
    if isinstance(pipeline, AzureMonitorHandler):
        pipeline = pipeline._pipeline or pipeline._reference  # noqa: SLF001 - of this very class
    reference = pipeline if isinstance(pipeline, _Referenced) else _Referenced.of(pipeline)
    if not isinstance(pipeline, Pipeline) and (reference is None or not reference.is_promising()):
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

    def is_promising(self) -> bool:
        """Tell whether a handler of ours may come of it: only its factory knows, if it has one."""
        configuration = self._handlers[self._name]
        made_by = dict.get(configuration, "()", dict.get(configuration, "class"))
        if isinstance(made_by, str):
            made_by = configuration.configurator.resolve(made_by)
        return not isinstance(made_by, type) or issubclass(made_by, AzureMonitorHandler)

    def handler(self) -> AzureMonitorHandler:
        """Return that handler."""
        handler = self._handlers[self._name]
        if not isinstance(handler, AzureMonitorHandler):
            raise ConfigurationError([f"pipeline='cfg://handlers.{self._name}' is not an AzureMonitorHandler"])
        return handler
