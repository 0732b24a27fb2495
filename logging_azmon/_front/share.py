"""A front door's share in a pipeline: one of its own, another front door's, or one that dictConfig has yet to make.

Rules: a share is known to the pipeline as long as its front door has it, and with the last of them the pipeline goes.
`uncounted` is filled at the end of the stack, where no function can be called, and counted by the pipeline later.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .._config.validators import shown
from .._delivery.reporter import print_line
from ..errors import ConfigurationError
from ..pipeline import Pipeline


def level_problems(level: Any) -> Iterator[str]:
    """Check a front door's level."""
    if not isinstance(level, int) and (not isinstance(level, str) or level not in logging.getLevelNamesMapping()):
        yield f"level={shown(level)} is not accepted; give a level's name or number"


class Share:
    """Make or find the pipeline that a front door gives its rows to."""

    def __init__(self, pipeline: Any, given: Mapping[str, Any], problems: Iterable[str]) -> None:
        """Check what a front door was given; what it has found wrong itself is reported together with the rest."""
        # None until the front door that was named has been made.
        self.found: Pipeline | None = None
        self.uncounted: dict[Any, None] = {}
        self._has_told = False
        problems = list(problems)
        shared: Any = None
        try:
            shared = Pipeline(**given) if pipeline is None else _shared(pipeline, given)
        except ConfigurationError as error:
            problems.extend(error.problems)
        if problems:
            raise ConfigurationError(problems)
        if isinstance(shared, Pipeline):
            self._attach(shared, is_maker=pipeline is None)
        else:
            self._source: Share | _Referenced = shared

    def _attach(self, pipeline: Pipeline, *, is_maker: bool = False) -> Pipeline:
        pipeline._uncounted.update(self.uncounted)
        self.uncounted = pipeline._uncounted
        self.found = pipeline._attach(self, is_maker=is_maker)
        return pipeline

    @property
    def pipeline(self) -> Pipeline:
        """Return the pipeline."""
        if self.found is not None:
            return self.found
        seen: list[Share] = []
        share = self
        while share.found is None:
            if share in seen:
                raise ConfigurationError(["pipeline: these handlers name each other, and none has a pipeline"])
            seen.append(share)
            source = share._source
            share = source.share() if isinstance(source, _Referenced) else source
        return self._attach(share.found)

    def tell_useless(self, error: ConfigurationError) -> None:
        """Say once that what `pipeline` names came out of a factory as something else: too late to raise that."""
        if not self._has_told:
            self._has_told = True
            print_line(f"rows are lost: {error}")

    def close(self) -> None:
        """Give it back; a pipeline is closed with the last share of those who made it."""
        if self.found is not None:
            self.found._detach(self)


def _shared(pipeline: Any, given: Mapping[str, Any]) -> Pipeline | Share | _Referenced:
    beside = [name for name, value in given.items() if value is not None]
    problems = [f"{name} cannot stand beside pipeline=: the shared pipeline has its own" for name in beside]
    found: Any = pipeline if isinstance(pipeline, Pipeline) else _share_of(pipeline) or _Referenced.of(pipeline)
    if found is None or (isinstance(found, _Referenced) and not found.is_promising()):
        problems.append(
            f"pipeline={pipeline!r} is not accepted; give a Pipeline, an AzureMonitorHandler, or in dictConfig"
            " 'cfg://handlers.NAME'"
        )
    if problems:
        raise ConfigurationError(problems)
    if isinstance(found, Share) and found.found is not None:
        return found.found
    return found  # type: ignore[no-any-return]


def _share_of(front_door: Any) -> Share | None:
    share = getattr(front_door, "_share", None)
    return share if isinstance(share, Share) else None


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
        return not isinstance(made_by, type) or hasattr(made_by, "pipeline")

    def share(self) -> Share:
        """Return that handler's."""
        share = _share_of(self._handlers[self._name])
        if share is None:
            raise ConfigurationError([f"pipeline='cfg://handlers.{self._name}' is not an AzureMonitorHandler"])
        return share
