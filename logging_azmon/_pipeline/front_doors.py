"""Count the front doors that use a pipeline, handlers and processors, so that it is closed with the last of them.

Rules: this holds only weak references, to the links that handlers and processors own. A pipeline that a front door made
is closed when its last front door is closed or gone. Any other pipeline is closed by its maker, or when the process
ends.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any


class FrontDoors:
    """The front doors of one pipeline."""

    def __init__(self, on_last_gone: Callable[[], None]) -> None:
        """Call `on_last_gone`, in a finalizer, when the last is garbage-collected without having been closed."""
        self._on_last_gone = on_last_gone
        self._links: dict[weakref.ref[Any], None] = {}
        self._has_maker = False

    def __len__(self) -> int:
        return len(self._links)

    def add(self, front_door: object, *, is_maker: bool) -> None:
        """Add a front door, which may have made the pipeline."""
        self._has_maker |= is_maker
        self._links[weakref.ref(front_door, self._gone)] = None

    def remove(self, front_door: object) -> None:
        """Remove a front door that was closed."""
        self._links.pop(weakref.ref(front_door), None)

    def should_close(self, *, is_ending: bool) -> bool:
        """Return whether the pipeline is no longer used and nothing else will close it."""
        return not self._links and (self._has_maker or is_ending)

    def _gone(self, link: weakref.ref[Any]) -> None:
        self._links.pop(link, None)
        if self.should_close(is_ending=False):
            self._on_last_gone()
