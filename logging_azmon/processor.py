"""Front door for structlog: a processor that gives event dicts to a pipeline and passes them on.

Rules: the processor is not registered with logging, so dictConfig, which closes all handlers, leaves it alone. At exit
a handler takes its place, because logging closes handlers after all code that may still log.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Unpack

from ._config.options import Credential, Options, documented
from ._config.validators import shown
from ._front.pipeline_link import PipelineLink, level_problems
from ._process import at_exit, feedback
from ._process.registry import Registry
from ._rows.levels import number_of
from .errors import ConfigurationError
from .handler import AzureMonitorHandler
from .pipeline import HasPipeline, Pipeline
from .stats import Stats


class _StandIn:
    """Replace a processor by a handler at exit, because logging closes handlers after all code that may still log."""

    def __init__(self, link: PipelineLink) -> None:
        self._link = link
        self._handler: AzureMonitorHandler | None = None
        _stand_ins.add(self)

    def take_over(self) -> None:
        """Give the pipeline to a new handler, which `logging.shutdown` will close."""
        if self._link.is_resolved:
            self._handler = AzureMonitorHandler(pipeline=self._link.pipeline)
            self._link.close()

    def close(self) -> None:
        """Close the handler, if there is one."""
        if self._handler is not None:
            self._handler.close()


_stand_ins: Registry[_StandIn] = Registry()


@documented
class AzureMonitorProcessor:
    """Turn each structlog event into a row of a Log Analytics table, and pass the event on unchanged.

    Place it after the processors that add to the event, and before the one that renders it. It takes the arguments of
    `AzureMonitorHandler`, and `drop`, which ends the chain after it.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        rule_id: str | None = None,
        stream: str | None = None,
        credential: Credential | None = None,
        *,
        level: int | str = logging.NOTSET,
        pipeline: Pipeline | HasPipeline | None = None,
        drop: bool = False,
        **options: Unpack[Options],
    ) -> None:
        """Take the arguments that the class documents."""
        arguments = {"endpoint": endpoint, "rule_id": rule_id, "stream": stream, "credential": credential, **options}
        self._link = PipelineLink(pipeline, arguments, [*level_problems(level), *_drop_problems(drop)])
        self.level = level if isinstance(level, int) else logging.getLevelNamesMapping()[level]
        self._drop_event: type[BaseException] | None = None
        if drop:
            from structlog import DropEvent

            self._drop_event = DropEvent
        self._stand_in = _StandIn(self._link)

    @property
    def pipeline(self) -> Pipeline:
        """Return the pipeline, so that other handlers and processors can share it."""
        return self._link.pipeline

    def __call__(self, logger: Any, method_name: str, event_dict: Any) -> Any:
        """Give an event dict to the pipeline, and return it."""
        try:
            self._accept(logger, method_name, event_dict)
        except RecursionError as error:
            # The stack is exhausted, so nothing can be called here: the pipeline counts the row later.
            error.__traceback__ = error.__context__ = None
            self._link.uncounted[error] = None
        except ConfigurationError as error:
            self._link.complain(error)
        if self._drop_event is not None:
            raise self._drop_event
        return event_dict

    def _accept(self, logger: Any, method_name: str, event_dict: Any) -> None:
        # A ProcessorFormatter's chain may run on another thread than the log call did; its event dicts hold the record.
        if feedback.depths and feedback.is_own(dict.get(event_dict, "_record") if type(event_dict) is dict else None):
            return
        if self.level and _is_below(self.level, event_dict, method_name):
            return
        intake = self._link.intake
        if intake is None:
            intake = self._link.resolve()
        intake.accept_event(event_dict, method_name, _name_of(logger))

    def flush(self, timeout: float | None = None) -> bool:
        """Deliver the waiting rows; return True if the service took or refused each, and no row was dropped meanwhile.

        A `timeout` of None means `close_seconds`.
        """
        return self.pipeline.flush(timeout)

    def close(self) -> None:
        """Take no more rows, and deliver the waiting ones within `close_seconds`; further calls do nothing."""
        self._link.close()
        self._stand_in.close()

    def stats(self) -> Stats:
        """Return a snapshot of the counters, which account for every row."""
        return self.pipeline.stats()

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self.pipeline, self.level, self._drop_event is not None)


def _unpickled(pipeline: Pipeline, level: int, drop: bool) -> AzureMonitorProcessor:  # noqa: FBT001 - pickle's way
    return AzureMonitorProcessor(pipeline=pipeline, level=level, drop=drop)


def _drop_problems(drop: Any) -> Iterator[str]:
    if not isinstance(drop, bool):
        yield f"drop={shown(drop)} is not accepted; give True or False"


def _is_below(level: int, event: Any, method: str) -> bool:
    try:
        return number_of(event, method) < level
    except Exception:  # noqa: BLE001 - not a mapping, or an unusual one: a row too many is better than one lost
        return False


def _name_of(logger: Any) -> str | None:
    try:
        name = logger.name
    except Exception:  # noqa: BLE001 - most loggers have no name
        return None
    return name if issubclass(type(name), str) else None


def _at_exit(is_last: bool) -> None:  # noqa: FBT001 - at_exit's signature
    # If nothing runs later, logging will close no handlers, so a stand-in would never be closed.
    for stand_in in [] if is_last else _stand_ins.alive():
        stand_in.take_over()


at_exit.register(at_exit.Turn.FRONT_DOORS, _at_exit)
