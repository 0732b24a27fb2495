"""Takes the rows of all pipelines aside, while a test looks at them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from .._process.registry import Registry

Put = Callable[[bytes], bool]


class Follower(Protocol):
    """Give rows away while a capture wants them."""

    def _redirect(self, put: Put | None) -> None: ...


followers: Registry[Follower] = Registry()

# The last one takes the rows.
_takers: list[Put] = []


def current() -> Put | None:
    """Return who takes the rows instead of the buffers, if anybody does."""
    return _takers[-1] if _takers else None


@contextmanager
def captured(put: Put) -> Iterator[None]:
    """Give the rows of all pipelines, also of those made meanwhile, to somebody else."""
    _takers.append(put)
    for pipeline in followers.alive():
        pipeline._redirect(put)
    try:
        yield
    finally:
        _takers.remove(put)
        for pipeline in followers.alive():
            pipeline._redirect(current())
