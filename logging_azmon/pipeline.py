"""The object that delivers rows, which handlers and processors can share.

`_pipeline` is its inside: `intake` takes log calls, `lifecycle` sees them through.
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
from ._queue.ledger import Stats


@documented
class Pipeline:
    """Deliver the rows of handlers and processors that share it to one stream.

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
        given = {"endpoint": endpoint, "rule_id": rule_id, "stream": stream, "credential": credential, **options}
        settings = read(given, os.environ)
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
        """Return the settings, as checked."""
        return self._lifecycle.settings

    def flush(self, timeout: float | None = None) -> bool:
        """Deliver every row accepted before this call; True if none of them is left and no row was dropped meanwhile.

        None waits `close_seconds`. On a delivering thread and inside dictConfig, nothing is waited for.
        """
        return self._lifecycle.flush(timeout)

    def close(self, timeout: float | None = None) -> None:
        """Take no more rows, deliver what waits within `close_seconds`, count the rest as lost and report it."""
        self._lifecycle.close(timeout)

    def stats(self) -> Stats:
        """Say where every row is."""
        return self._lifecycle.stats()


_known: Registry[Pipeline] = Registry()


def lifecycle_of(pipeline: Pipeline) -> Lifecycle:
    """Return the inside of a pipeline, for front doors and commands."""
    return pipeline._lifecycle  # noqa: SLF001 - the one door to it


def known_by(key: str) -> Pipeline | None:
    """Return the pipeline of this process that has a key, if there is one."""
    return next((known for known in _known.alive() if lifecycle_of(known).key == key), None)


def made_of(settings: Settings, key: str) -> Pipeline:
    """Make a pipeline of settings that are checked already, under the key of another process's."""
    pipeline = Pipeline.__new__(Pipeline)
    pipeline._lifecycle = Lifecycle(settings, Uploader(settings), SystemClock(), background=True, key=key)  # noqa: SLF001 - it is made here
    _known.add(pipeline)
    return pipeline
