"""Front door for structlog: a processor that gives event dicts to a pipeline and passes them on.

Rules: logging does not know of it, so a dictConfig that shuts all handlers down leaves it alone. At exit a handler
takes its place, because logging closes handlers after everybody who may still log.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterator
from typing import Any

from ._config.validators import shown
from ._front import pickling
from ._front.share import ARGUMENTS, Share, level_problems
from ._process import at_exit, feedback
from ._rows.levels import number_of
from .errors import ConfigurationError
from .handler import AzureMonitorHandler
from .pipeline import Pipeline
from .stats import Stats

# A dict, because copying one is a single step.
_alive: dict[weakref.ref[AzureMonitorProcessor], None] = {}


class AzureMonitorProcessor:
    """Turn each event dict into a row of a Log Analytics table, and pass it on as it is.

    Arguments and settings are those of `AzureMonitorHandler`; beside `pipeline` only `level` and `drop` may stand.
    Events below `level` make no row. With ``drop=True`` the chain ends here: every event is dropped, row or not.
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
        drop: bool = False,
        **options: Any,
    ) -> None:
        given = dict(zip(ARGUMENTS, (endpoint, rule_id, stream, credential), strict=True)) | options
        self._share = Share(pipeline, given, [*level_problems(level), *_drop_problems(drop)])
        self.level = level if isinstance(level, int) else logging.getLevelNamesMapping()[level]
        self._end: type[BaseException] | None = None
        if drop:
            from structlog import DropEvent

            self._end = DropEvent
        self._stand_in: AzureMonitorHandler | None = None
        _alive[weakref.ref(self, _forget)] = None

    @property
    def pipeline(self) -> Pipeline:
        """Return the pipeline, to be shared with others."""
        return self._share.pipeline

    def __call__(self, logger: Any, method_name: str, event_dict: Any) -> Any:
        """Give an event dict to the pipeline, and return it."""
        try:
            self._accept(logger, method_name, event_dict)
        except RecursionError as error:
            # So near the end of the stack nothing can be called: the pipeline counts it later.
            error.__traceback__ = error.__context__ = None
            self._share.uncounted[error] = None
        except ConfigurationError as error:
            self._share.tell_useless(error)
        if self._end is not None:
            raise self._end
        return event_dict

    def _accept(self, logger: Any, method_name: str, event_dict: Any) -> None:
        # A record is there in the chains of a ProcessorFormatter, which may run on another thread than the log call.
        if feedback.depths and feedback.is_own(dict.get(event_dict, "_record") if type(event_dict) is dict else None):
            return
        if self.level and _is_below(self.level, event_dict, method_name):
            return
        share = self._share
        pipeline = share.found if share.found is not None else share.pipeline
        pipeline._accept_event(event_dict, method_name, _name_of(logger))

    def flush(self, timeout: float | None = None) -> bool:
        """Deliver every row accepted before this call; True if none of them is left and no row was dropped meanwhile.

        None waits `close_seconds`.
        """
        return self.pipeline.flush(timeout)

    def close(self) -> None:
        """Deliver what waits, within `close_seconds`, and take no more rows; twice is fine."""
        self._share.close()
        if self._stand_in is not None:
            self._stand_in.close()

    def stats(self) -> Stats:
        """Say where every row is."""
        return self.pipeline.stats()

    def _make_way(self) -> None:
        """Leave closing the pipeline to a handler: the process ends."""
        if self._share.found is not None:
            self._stand_in = AzureMonitorHandler(pipeline=self._share.found)
            self._share.close()

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


def _forget(reference: weakref.ref[AzureMonitorProcessor]) -> None:
    _alive.pop(reference, None)


def _at_exit(is_last: bool) -> None:  # noqa: FBT001 - called with it
    if is_last:
        return
    for reference in list(_alive):
        processor = reference()
        if processor is not None:  # pragma: no branch - it may go meanwhile
            processor._make_way()


pickling.enable()
at_exit.register(at_exit.Turn.FRONT_DOORS, _at_exit)
