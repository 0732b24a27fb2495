"""All pipelines of this process: what a fork and the exit of the process do with them.

Rules: a pipeline is known here as long as it is alive, and is kept alive while it has work left but no front door. A
fork holds the locks of all pipelines. At exit, all pipelines share one time limit.
"""

from __future__ import annotations

import threading

from .._process import at_exit, at_fork, heir
from .._process.registry import Registry
from .._queue.pipeline_state import State
from .lifecycle import Lifecycle

pipelines: Registry[Lifecycle] = Registry()


def _fork_locks() -> list[threading.RLock]:
    return [pipeline.fork_lock for pipeline in pipelines.alive()]


def restart() -> None:
    """Restart each pipeline in a forked child; none is kept alive for its parent's rows."""
    alive = pipelines.alive()
    pipelines.release_all()
    is_heir = heir.is_heir()
    for pipeline in alive:
        pipeline.restart(is_heir=is_heir)


def flush() -> None:
    """Deliver the waiting rows of all pipelines.

    The first call begins the exit: the longest `close_seconds` is the limit for all waits from then on.
    """
    unfinished = _unfinished()
    if at_exit.seconds_left() is None:
        at_exit.limit_waits(max((pipeline.settings.close_seconds for pipeline in unfinished), default=0.0))
    for pipeline in unfinished:
        pipeline.make_all_due()
    # A pipeline that hangs must leave time for the others: this thread may be the only one that delivers their rows.
    for number, pipeline in enumerate(unfinished):
        pipeline.flush((at_exit.seconds_left() or 0.0) / (len(unfinished) - number))


def finish(*, is_last: bool) -> None:
    """Deliver the last rows at exit, and close the pipelines that nothing else will close."""
    flush()
    for pipeline in _unfinished():
        pipeline.finish_at_exit(is_last=is_last)


def _unfinished() -> list[Lifecycle]:
    return [pipeline for pipeline in pipelines.alive() if pipeline.state is not State.CLOSED]


at_fork.register(at_fork.Turn.PIPELINES, locks=_fork_locks, restart=restart)
at_exit.register(at_exit.Turn.PIPELINES, finish)
at_exit.register_flush(flush)
