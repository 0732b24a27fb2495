"""The pipeline, which delivers rows and which handlers and processors can share.

`_pipeline` implements it: `intake` turns log calls into rows, and `lifecycle` flushes and closes.
"""

from __future__ import annotations

import os
from typing import Any, Unpack

from ._azure.uploader import Uploader
from ._config.options import Options, documented
from ._config.settings import Settings, read
from ._delivery.destination import Destination
from ._pipeline.lifecycle import Lifecycle
from ._process.clock import Clock, SystemClock
from ._process.registry import Registry
from .stats import Stats


@documented
class Pipeline:
    """Deliver rows to one stream, for all handlers and processors that share this pipeline.

    A handler or processor makes its own pipeline unless it is given one: construct a Pipeline only to share it, as in
    ``AzureMonitorHandler(pipeline=pipeline)``. It is closed by its maker, or when the process exits.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        rule_id: str | None = None,
        stream: str | None = None,
        credential: Any = None,
        *,
        destination: Destination | None = None,
        clock: Clock | None = None,
        background: bool = True,
        **options: Unpack[Options],
    ) -> None:
        arguments = {"endpoint": endpoint, "rule_id": rule_id, "stream": stream, "credential": credential, **options}
        settings = read(arguments, os.environ)
        if destination is None:
            destination = Uploader(settings)
        if clock is None:
            clock = SystemClock()
        self._lifecycle = Lifecycle(settings, destination, clock, background=background)
        _known.add(self)

    def __repr__(self) -> str:
        settings = self.settings
        return f"<Pipeline {settings.stream} of {settings.rule_id}: {self._lifecycle!r}>"

    @property
    def settings(self) -> Settings:
        """Return the validated settings."""
        return self._lifecycle.settings

    def flush(self, timeout: float | None = None) -> bool:
        """Deliver every row accepted before this call; return True if none is left and no row was dropped meanwhile.

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


def lifecycle_of(pipeline: Pipeline) -> Lifecycle:
    """Return a pipeline's lifecycle, for front doors and commands."""
    return pipeline._lifecycle  # noqa: SLF001 - the only access to it


def find_by_key(key: str) -> Pipeline | None:
    """Return this process's pipeline with this key, if there is one."""
    return next((known for known in _known.alive() if lifecycle_of(known).key == key), None)


def from_settings(settings: Settings, key: str) -> Pipeline:
    """Make a pipeline from validated settings, with the key of the pipeline in another process that it stands for."""
    pipeline = Pipeline.__new__(Pipeline)
    pipeline._lifecycle = Lifecycle(settings, Uploader(settings), SystemClock(), background=True, key=key)  # noqa: SLF001 - it is made here
    _known.add(pipeline)
    return pipeline
