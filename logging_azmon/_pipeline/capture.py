"""Capture the rows of all pipelines for a test, so that they do not enter the queues."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from .._process.registry import Registry
from .._queue.store import Put


class Follower(Protocol):
    """Redirect its rows when a capture begins or ends."""

    def redirect(self, put: Put | None) -> None:
        """Give rows to a capture; with None, to the queue again."""
        ...


followers: Registry[Follower] = Registry()

# Captures may be nested: the last one takes the rows.
_captures: list[Put] = []


def current() -> Put | None:
    """Return the function that takes the rows during a capture, if there is one."""
    return _captures[-1] if _captures else None


@contextmanager
def captured(put: Put) -> Iterator[None]:
    """Give the rows of all pipelines to `put`, including those of pipelines made meanwhile."""
    try:
        _captures.append(put)
        for follower in followers.alive():
            follower.redirect(put)
        yield
    finally:
        _captures.remove(put)
        for follower in followers.alive():
            follower.redirect(current())
