"""The pipeline, which delivers rows and which handlers and processors can share.

`_pipeline` implements it: `intake` turns log calls into rows, and `lifecycle` flushes and closes. How a pipeline is
pickled is defined here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Protocol, Unpack

from ._azure.uploader import Uploader
from ._config.options import Credential, Options, documented
from ._config.settings import Settings, read
from ._delivery.destination import Destination
from ._pipeline.lifecycle import Lifecycle
from ._process.clock import Clock, SystemClock
from ._process.registry import Registry
from .stats import Stats


class HasPipeline(Protocol):
    """A handler or processor, whose pipeline others can share."""

    @property
    def pipeline(self) -> Pipeline:
        """Return the pipeline."""
        ...


@documented
class Pipeline:
    """Deliver rows to one stream, for all handlers and processors that share this pipeline.

    A handler or processor makes its own pipeline unless it is given one: construct a Pipeline only to share it, as in
    ``AzureMonitorHandler(pipeline=pipeline)``. Whoever constructs it closes it; otherwise it is closed when the process
    exits.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        rule_id: str | None = None,
        stream: str | None = None,
        credential: Credential | None = None,
        *,
        destination: Destination | None = None,
        clock: Clock | None = None,
        background: bool = True,
        **options: Unpack[Options],
    ) -> None:
        """Take the arguments that the class documents."""
        arguments = {"endpoint": endpoint, "rule_id": rule_id, "stream": stream, "credential": credential, **options}
        settings = read(arguments, os.environ)
        if destination is None:
            destination = Uploader(settings)
        if clock is None:
            clock = SystemClock()
        self._lifecycle = Lifecycle(settings, destination, clock, background=background)
        _known.add(self)

    def __reduce__(self) -> tuple[Callable[[str, Settings], Pipeline], tuple[str, Settings]]:
        """Pickle the settings, never rows: structlog's loggers are pickled with all their processors.

        Unpickled in this process or a forked child, it is this pipeline. In another process, a new one is made once and
        reused for every later pickle.
        """
        if not isinstance(self.settings.credential, str | Mapping):
            raise TypeError(
                "a pipeline with a credential object cannot be pickled: name the credential, as in"
                " credential='managed_identity', or configure structlog in the other process"
            )
        return _unpickled, (self._lifecycle.key, self.settings)

    def __repr__(self) -> str:
        settings = self.settings
        return f"<Pipeline {settings.stream} of {settings.rule_id}: {self._lifecycle!r}>"

    @property
    def settings(self) -> Settings:
        """Return the validated settings."""
        return self._lifecycle.settings

    def flush(self, timeout: float | None = None) -> bool:
        """Deliver the waiting rows; return True if the service took or refused each, and no row was dropped meanwhile.

        A `timeout` of None means `close_seconds`. On a delivering thread and inside dictConfig it does not wait.
        """
        return self._lifecycle.flush(timeout)

    def close(self, timeout: float | None = None) -> None:
        """Take no more rows, deliver the waiting ones within `timeout` seconds, then count and report the rest as lost.

        A `timeout` of None means `close_seconds`.
        """
        self._lifecycle.close(timeout)

    def stats(self) -> Stats:
        """Return a snapshot of the counters, which account for every row."""
        return self._lifecycle.stats()


_known: Registry[Pipeline] = Registry()
# Pipelines that came from other processes, by key. They are kept until this process ends, because the same pickle may
# arrive again after its processor was garbage-collected.
_arrived: dict[str, Pipeline] = {}


def lifecycle_of(pipeline: Pipeline) -> Lifecycle:
    """Return a pipeline's lifecycle, for front doors and commands."""
    return pipeline._lifecycle  # noqa: SLF001 - the only access to it


def _unpickled(key: str, settings: Settings) -> Pipeline:
    known = next((pipeline for pipeline in _known.alive() if lifecycle_of(pipeline).key == key), None)
    if known is not None:
        return known
    pipeline = Pipeline(**settings.as_arguments())
    lifecycle_of(pipeline).take_key(key)
    return _arrived.setdefault(key, pipeline)
