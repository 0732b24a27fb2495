"""The link from a handler or processor to its pipeline: its own, a shared one, or one that dictConfig has yet to make.

Rules: a pipeline knows its links weakly, as long as their handlers and processors hold them, and is closed with the
last of them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .._config import environment
from .._config.validators import shown
from .._delivery.reporter import print_line
from .._pipeline.intake import Intake
from .._pipeline.off import Off
from ..errors import ConfigurationError
from ..pipeline import Pipeline, lifecycle_of
from .dictconfig_reference import DictConfigReference


def level_and_problems(given: Any) -> tuple[Any, list[str]]:
    """Return the level of a handler or processor, which the environment may give, and what is wrong with it."""
    level = environment.level(given, os.environ)
    origin = "" if level is given else f" (it comes from {environment.LEVEL})"
    return level, [f"{problem}{origin}" for problem in _level_problems(level)]


def _level_problems(level: Any) -> Iterator[str]:
    names = logging.getLevelNamesMapping()
    if isinstance(level, int) or (isinstance(level, str) and level in names):
        return
    if isinstance(level, str) and level.upper() in names:
        yield f"level={shown(level)} is not accepted; did you mean {level.upper()!r}?"
    else:
        yield f"level={shown(level)} is not accepted; give a level's name, such as 'INFO', or number"


class PipelineLink:
    """Make or find the pipeline that a handler or processor gives its rows to."""

    def __init__(self, pipeline: Any, arguments: Mapping[str, Any], problems: Iterable[str]) -> None:
        """Check the arguments; `problems` that the caller has found are reported with the others."""
        # None until the handler that `pipeline` names has been made.
        self.intake: Intake | Off | None = None
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
            self._source: PipelineLink | DictConfigReference = shared

    def __repr__(self) -> str:
        return "without a pipeline yet" if self._pipeline is None else repr(self._pipeline)

    def _attach(self, pipeline: Pipeline, *, is_maker: bool = False) -> Pipeline:
        lifecycle = lifecycle_of(pipeline)
        lifecycle.attach(self, is_maker=is_maker)
        lifecycle.intake.uncounted.update(self.uncounted)
        self.uncounted = lifecycle.intake.uncounted
        self._pipeline = pipeline
        self.intake = lifecycle.front
        return pipeline

    @property
    def is_resolved(self) -> bool:
        """Return whether the pipeline is known."""
        return self._pipeline is not None

    @property
    def pipeline(self) -> Pipeline:
        """Return the pipeline; find it first if dictConfig made it after this front door."""
        if self._pipeline is not None:
            return self._pipeline
        seen: list[PipelineLink] = []
        link = self
        while not link.is_resolved:
            if link in seen:
                raise ConfigurationError(["pipeline: these handlers name each other, and none has a pipeline"])
            seen.append(link)
            source = link._source
            link = _linked(source) if isinstance(source, DictConfigReference) else source
        return self._attach(link.pipeline)

    def resolve(self) -> Intake | Off:
        """Find the pipeline, and return what takes its log calls."""
        return lifecycle_of(self.pipeline).front

    def complain(self, error: ConfigurationError) -> None:
        """Report, once, that a factory made something other than a front door, so that `pipeline` names no pipeline.

        The application is running by then, so nothing can be raised.
        """
        if not self._has_complained:
            self._has_complained = True
            print_line(f"rows are lost: {error}")

    def close(self) -> None:
        """End the link; a pipeline that a handler or processor made is closed with the last link."""
        if self._pipeline is not None:
            lifecycle_of(self._pipeline).detach(self)


def _shared(pipeline: Any, arguments: Mapping[str, Any]) -> Pipeline | PipelineLink | DictConfigReference:
    combined = [name for name, value in arguments.items() if value is not None]
    problems = [f"{name}= cannot be combined with pipeline=: the shared pipeline has its own" for name in combined]
    found: Any = pipeline if isinstance(pipeline, Pipeline) else _link_of(pipeline) or DictConfigReference.of(pipeline)
    if found is None or (isinstance(found, DictConfigReference) and not found.may_have_pipeline()):
        problems.append(
            f"pipeline={pipeline!r} is not accepted; give a Pipeline, an AzureMonitorHandler, or in dictConfig"
            " 'cfg://handlers.NAME'"
        )
    if problems:
        raise ConfigurationError(problems)
    if isinstance(found, PipelineLink) and found.is_resolved:
        return found.pipeline
    return found  # type: ignore[no-any-return]


def _link_of(front_door: Any) -> PipelineLink | None:
    link = getattr(front_door, "_link", None)
    return link if isinstance(link, PipelineLink) else None


def _linked(reference: DictConfigReference) -> PipelineLink:
    link = _link_of(reference.made())
    if link is None:
        raise ConfigurationError([f"pipeline='cfg://handlers.{reference.name}' is not an AzureMonitorHandler"])
    return link
