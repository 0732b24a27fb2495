"""Take pipelines to other processes, because structlog's loggers are pickled with all their processors.

What crosses are the settings. In the other process a pipeline is made of them, one however often it comes; in the
process that it comes from, and in its forked children, it is the pipeline itself. Rows never cross.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Mapping

from .._config.settings import Settings
from ..pipeline import Pipeline, known_by, lifecycle_of, made_of

# By key. They end with their process: the front door that came with one may be gone, and come again.
_arrived: dict[str, Pipeline] = {}


def _reduced(pipeline: Pipeline) -> tuple[Callable[[str, Settings], Pipeline], tuple[str, Settings]]:
    if not isinstance(pipeline.settings.credential, str | Mapping):
        raise TypeError(
            "a pipeline with a credential object cannot go to another process: name the credential, as in"
            " credential='managed_identity', or configure structlog in that process"
        )
    return _revived, (lifecycle_of(pipeline).key, pipeline.settings)


def _revived(key: str, settings: Settings) -> Pipeline:
    return known_by(key) or _arrived.setdefault(key, made_of(settings, key))


def enable() -> None:
    """Let pipelines be pickled, and whatever holds one."""
    copyreg.pickle(Pipeline, _reduced)
