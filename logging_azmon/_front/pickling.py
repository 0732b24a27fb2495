"""Pickle pipelines, because structlog's loggers are pickled with all their processors.

A pickle holds a pipeline's key and settings, never rows. In another process, all pickles of one pipeline are loaded as
one pipeline made from the settings; in the original process and its forked children, as the pipeline itself.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Mapping

from .._config.settings import Settings
from ..pipeline import Pipeline, find_by_key, from_settings, lifecycle_of

# Pipelines made from pickles, by key. Held until the process ends, because a front door that was pickled with one may
# be dropped and unpickled again.
_arrived: dict[str, Pipeline] = {}


def _reduced(pipeline: Pipeline) -> tuple[Callable[[str, Settings], Pipeline], tuple[str, Settings]]:
    if not isinstance(pipeline.settings.credential, str | Mapping):
        raise TypeError(
            "a pipeline with a credential object cannot go to another process: name the credential, as in"
            " credential='managed_identity', or configure structlog in that process"
        )
    return _revived, (lifecycle_of(pipeline).key, pipeline.settings)


def _revived(key: str, settings: Settings) -> Pipeline:
    return find_by_key(key) or _arrived.setdefault(key, from_settings(settings, key))


def enable() -> None:
    """Make pipelines picklable, and with them any object that holds one."""
    copyreg.pickle(Pipeline, _reduced)
