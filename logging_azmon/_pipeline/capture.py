"""Capture the rows of all pipelines for a test, so that they do not enter the queues."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from .._process.registry import Registry
from .._queue.store import Put

# Returns the function that takes the rows of a stream.
Capture = Callable[[str], Put]


class Follower(Protocol):
    """Redirect its rows when a capture begins or ends."""

    def redirect(self, capture: Capture | None) -> None:
        """Give rows to a capture; with None, to the queue again."""
        ...


followers: Registry[Follower] = Registry()

# Captures may be nested: the last one takes the rows.
_captures: list[Capture] = []


def current() -> Capture | None:
    """Return the capture that takes the rows, if there is one."""
    return _captures[-1] if _captures else None


@contextmanager
def captured(capture: Capture) -> Iterator[None]:
    """Give the rows of all pipelines to a capture, including those of pipelines made meanwhile."""
    try:
        _captures.append(capture)
        for follower in followers.alive():
            follower.redirect(capture)
        yield
    finally:
        _captures.remove(capture)
        for follower in followers.alive():
            follower.redirect(current())
