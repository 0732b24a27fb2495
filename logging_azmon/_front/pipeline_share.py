"""A front door's share in a pipeline: in its own, in another front door's, or in one that dictConfig has yet to make.

Rules: a pipeline refers to shares weakly: a share lives as long as its front door. The pipeline is closed with its last
share, if a front door made it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .._config.validators import shown
from .._delivery.reporter import print_line
from .._pipeline.intake import Intake
from ..errors import ConfigurationError
from ..pipeline import Pipeline, lifecycle_of


def level_problems(level: Any) -> Iterator[str]:
    """Yield a sentence if a front door's level is not valid."""
    if not isinstance(level, int) and (not isinstance(level, str) or level not in logging.getLevelNamesMapping()):
        yield f"level={shown(level)} is not accepted; give a level's name or number"


class Share:
    """Make or find the pipeline that a front door gives its rows to."""

    def __init__(self, pipeline: Any, arguments: Mapping[str, Any], problems: Iterable[str]) -> None:
        """Check a front door's arguments; `problems` that it has found itself are reported with the others."""
        # None until the handler that `pipeline` names has been made.
        self.intake: Intake | None = None
        # RecursionErrors of log calls, stored without a call; the pipeline counts them later.
        self.uncounted: dict[Any, None] = {}
        self._pipeline: Pipeline | None = None
        self._has_complained = False
        problems = list(problems)
        shared: Any = None
        try:
            shared = Pipeline(**arguments) if pipeline is None else _shared(pipeline, arguments)
        except ConfigurationError as error:
            problems.extend(error.problems)
        if problems:
            raise ConfigurationError(problems)
        if isinstance(shared, Pipeline):
            self._attach(shared, is_maker=pipeline is None)
        else:
            self._source: Share | _Referenced = shared

    def _attach(self, pipeline: Pipeline, *, is_maker: bool = False) -> Pipeline:
        lifecycle = lifecycle_of(pipeline)
        lifecycle.attach(self, is_maker=is_maker)
        lifecycle.intake.uncounted.update(self.uncounted)
        self.uncounted = lifecycle.intake.uncounted
        self._pipeline = pipeline
        self.intake = lifecycle.intake
        return pipeline

    @property
    def is_found(self) -> bool:
        """Tell whether the pipeline has been made."""
        return self._pipeline is not None

    @property
    def pipeline(self) -> Pipeline:
        """Return the pipeline; find it first if dictConfig made it after this front door."""
        if self._pipeline is not None:
            return self._pipeline
        seen: list[Share] = []
        share = self
        while not share.is_found:
            if share in seen:
                raise ConfigurationError(["pipeline: these handlers name each other, and none has a pipeline"])
            seen.append(share)
            source = share._source
            share = source.share() if isinstance(source, _Referenced) else source
        return self._attach(share.pipeline)

    def find_intake(self) -> Intake:
        """Find the pipeline, and return its intake."""
        return lifecycle_of(self.pipeline).intake

    def complain(self, error: ConfigurationError) -> None:
        """Report, once, that a factory made something other than a front door, so that `pipeline` names no pipeline.

        The application is running by then, so nothing can be raised.
        """
        if not self._has_complained:
            self._has_complained = True
            print_line(f"rows are lost: {error}")

    def close(self) -> None:
        """Give the share back; this closes the pipeline if it was the last share and a front door made the pipeline."""
        if self._pipeline is not None:
            lifecycle_of(self._pipeline).detach(self)


def _shared(pipeline: Any, arguments: Mapping[str, Any]) -> Pipeline | Share | _Referenced:
    combined = [name for name, value in arguments.items() if value is not None]
    problems = [f"{name}= cannot be combined with pipeline=: the shared pipeline has its own" for name in combined]
    found: Any = pipeline if isinstance(pipeline, Pipeline) else _share_of(pipeline) or _Referenced.of(pipeline)
    if found is None or (isinstance(found, _Referenced) and not found.may_be_front_door()):
        problems.append(
            f"pipeline={pipeline!r} is not accepted; give a Pipeline, an AzureMonitorHandler, or in dictConfig"
            " 'cfg://handlers.NAME'"
        )
    if problems:
        raise ConfigurationError(problems)
    if isinstance(found, Share) and found.is_found:
        return found.pipeline
    return found  # type: ignore[no-any-return]


def _share_of(front_door: Any) -> Share | None:
    share = getattr(front_door, "_share", None)
    return share if isinstance(share, Share) else None


class _Referenced:
    """Stand for a handler that dictConfig has not made yet.

    dictConfig makes handlers in the order of their names. Until it has made a handler, "cfg://handlers.NAME" is that
    handler's configuration. The configurator then replaces it by the handler, which is found there at the first record.
    """

    def __init__(self, handlers: Mapping[str, Any], name: str) -> None:
        self._handlers = handlers
        self._name = name

    @classmethod
    def of(cls, configuration: Any) -> _Referenced | None:
        """Find the handler that has this configuration; return None if no handler has."""
        config = getattr(getattr(configuration, "configurator", None), "config", None)
        handlers = config.get("handlers") if isinstance(config, Mapping) else None
        if not isinstance(handlers, dict):
            return None
        return next((cls(handlers, name) for name, item in dict.items(handlers) if item is configuration), None)

    def may_be_front_door(self) -> bool:
        """Tell whether the handler may be one of this package; assume so if a factory function makes it."""
        configuration = self._handlers[self._name]
        made_by = dict.get(configuration, "()", dict.get(configuration, "class"))
        if isinstance(made_by, str):
            made_by = configuration.configurator.resolve(made_by)
        return not isinstance(made_by, type) or hasattr(made_by, "pipeline")

    def share(self) -> Share:
        """Return the handler's share."""
        share = _share_of(self._handlers[self._name])
        if share is None:
            raise ConfigurationError([f"pipeline='cfg://handlers.{self._name}' is not an AzureMonitorHandler"])
        return share
