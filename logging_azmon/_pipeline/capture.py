"""Give the rows of all pipelines to a test, instead of to their queues."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from .._process.registry import Registry

Put = Callable[[bytes], bool]


class Follower(Protocol):
    """Put rows somewhere, and follow captures."""

    def redirect(self, put: Put | None) -> None:
        """Give rows to a capture, or to the queue again."""
        ...


followers: Registry[Follower] = Registry()

# Captures may be nested: the last one has the rows.
_captures: list[Put] = []


def current() -> Put | None:
    """Return what takes the rows instead of the queues, if there is a capture."""
    return _captures[-1] if _captures else None


@contextmanager
def captured(put: Put) -> Iterator[None]:
    """Give the rows of all pipelines to `put`, also of pipelines that are made meanwhile."""
    _captures.append(put)
    for follower in followers.alive():
        follower.redirect(put)
    try:
        yield
    finally:
        _captures.remove(put)
        for follower in followers.alive():
            follower.redirect(current())
