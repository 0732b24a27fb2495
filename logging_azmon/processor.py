"""Front door for structlog: a processor that gives event dicts to a pipeline and passes them on.

Rules: logging does not know of it, so a dictConfig that shuts all handlers down leaves it alone. At exit a handler
takes its place, because logging closes handlers after all code that may still log.
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
from .pipeline import Pipeline
from .stats import Stats


class _StandIn:
    """Take a processor's place when the process ends, as a handler: logging closes handlers after all that may log."""

    def __init__(self, link: PipelineLink) -> None:
        self._link = link
        self._handler: AzureMonitorHandler | None = None
        _stand_ins.add(self)

    def take_over(self) -> None:
        """Leave closing the pipeline to a handler."""
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

    Its place in the chain is after the processors that add to the event, and before the one that renders it. The
    arguments are those of `AzureMonitorHandler`, and `drop`.
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
        drop: bool = False,
        **options: Unpack[Options],
    ) -> None:
        """Take the arguments that the class documents."""
        given = {"endpoint": endpoint, "rule_id": rule_id, "stream": stream, "credential": credential, **options}
        self._link = PipelineLink(pipeline, given, [*level_problems(level), *_drop_problems(drop)])
        self.level = level if isinstance(level, int) else logging.getLevelNamesMapping()[level]
        self._end: type[BaseException] | None = None
        if drop:
            from structlog import DropEvent

            self._end = DropEvent
        self._stand_in = _StandIn(self._link)

    @property
    def pipeline(self) -> Pipeline:
        """Return the pipeline, to be shared with others."""
        return self._link.pipeline

    def __call__(self, logger: Any, method_name: str, event_dict: Any) -> Any:
        """Give an event dict to the pipeline, and return it."""
        try:
            self._accept(logger, method_name, event_dict)
        except RecursionError as error:
            # At the end of the stack nothing can be called: the pipeline counts it later.
            error.__traceback__ = error.__context__ = None
            self._link.uncounted[error] = None
        except ConfigurationError as error:
            self._link.complain(error)
        if self._end is not None:
            raise self._end
        return event_dict

    def _accept(self, logger: Any, method_name: str, event_dict: Any) -> None:
        # A record is there in the chains of a ProcessorFormatter, which may run on another thread than the log call.
        if feedback.depths and feedback.is_own(dict.get(event_dict, "_record") if type(event_dict) is dict else None):
            return
        if self.level and _is_below(self.level, event_dict, method_name):
            return
        intake = self._link.intake
        if intake is None:
            intake = self._link.resolve()
        intake.accept_event(event_dict, method_name, _name_of(logger))

    def flush(self, timeout: float | None = None) -> bool:
        """Deliver every row accepted before this call; True if none of them is left and no row was dropped meanwhile.

        None waits `close_seconds`.
        """
        return self.pipeline.flush(timeout)

    def close(self) -> None:
        """Deliver what waits, within `close_seconds`, and take no more rows; twice is fine."""
        self._link.close()
        self._stand_in.close()

    def stats(self) -> Stats:
        """Say where every row is."""
        return self.pipeline.stats()

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self.pipeline, self.level, self._end is not None)


def _unpickled(pipeline: Pipeline, level: int, drop: bool) -> AzureMonitorProcessor:  # noqa: FBT001 - pickle's way
    return AzureMonitorProcessor(pipeline=pipeline, level=level, drop=drop)


def _drop_problems(drop: Any) -> Iterator[str]:
    if not isinstance(drop, bool):
        yield f"drop={shown(drop)} is not accepted; give True or False"


def _is_below(level: int, event: Any, method: str) -> bool:
    try:
        return number_of(event, method) < level
    except Exception:  # noqa: BLE001 - no mapping, or an odd one: a row tells more than none
        return False


def _name_of(logger: Any) -> str | None:
    try:
        name = logger.name
    except Exception:  # noqa: BLE001 - most have none
        return None
    return name if issubclass(type(name), str) else None


def _at_exit(is_last: bool) -> None:  # noqa: FBT001 - at_exit's signature
    # Where nothing comes later, logging closes no handlers.
    for stand_in in [] if is_last else _stand_ins.alive():
        stand_in.take_over()


at_exit.register(at_exit.Turn.FRONT_DOORS, _at_exit)
