"""Takes pipelines to other processes, because structlog's loggers are pickled with all their processors.

What crosses are the settings. In the other process a pipeline is made of them, one however often it comes; in the
process that it comes from, and in its forked children, it is the pipeline itself. Rows never cross.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Mapping

from .._config.settings import Settings
from ..pipeline import Pipeline, pipelines

# What pickle is told: whom to call, and with what.
_Reduced = tuple[Callable[[str, Settings], Pipeline], tuple[str, Settings]]

# By key. They end with their process: who came with them may be gone, and come again.
_arrived: dict[str, Pipeline] = {}


def _reduced(pipeline: Pipeline) -> _Reduced:
    if not isinstance(pipeline.settings.credential, str | Mapping):
        raise TypeError(
            "a pipeline with a credential object cannot go to another process: name the credential, as in"
            " credential='managed_identity', or configure structlog in that process"
        )
    return _revived, (pipeline._key, pipeline.settings)


def _revived(key: str, settings: Settings) -> Pipeline:
    for pipeline in pipelines.alive():
        if pipeline._key == key:
            return pipeline
    pipeline = Pipeline.__new__(Pipeline)
    pipeline._set_up(settings)
    pipeline._key = key
    return _arrived.setdefault(key, pipeline)


def enable() -> None:
    """Let pipelines be pickled, and whatever holds one."""
    copyreg.pickle(Pipeline, _reduced)
