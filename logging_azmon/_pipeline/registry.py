"""What a process has: its pipelines, and the lanes that they share.

Rules: pipelines are held weakly, so that one that nobody uses goes; `keep` holds one that still has rows but perhaps no
owner. All of it is used by any thread, and by finalisers, without a lock: it is in dicts, because copying one is a
single step while others add and remove.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from .._delivery.breaker import Lanes

if TYPE_CHECKING:
    from ..pipeline import Pipeline

lanes = Lanes()
_pipelines: dict[weakref.ref[Pipeline], None] = {}
_kept: dict[Pipeline, None] = {}


def register(pipeline: Pipeline) -> None:
    """Include a pipeline in what happens at fork and exit, as long as somebody uses it."""
    _pipelines[weakref.ref(pipeline, _forget)] = None


def _forget(reference: weakref.ref[Pipeline]) -> None:
    _pipelines.pop(reference, None)


def alive() -> list[Pipeline]:
    """Return all pipelines of the process."""
    return [pipeline for reference in list(_pipelines) if (pipeline := reference()) is not None]


def keep(pipeline: Pipeline) -> None:
    """Hold on to a pipeline that nobody else may, until it is released."""
    _kept[pipeline] = None


def release(pipeline: Pipeline) -> None:
    """Let go of it."""
    _kept.pop(pipeline, None)


def renew() -> None:
    """Let go of what is the parent's, in a forked child; each pipeline sees to itself."""
    global lanes  # noqa: PLW0603 - one set a process
    _kept.clear()
    lanes = Lanes()
