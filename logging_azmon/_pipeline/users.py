"""The front doors that log to a pipeline, known so that it can be closed with the last of them.

Rules: a front door is represented by its share, which is referenced weakly. A pipeline that a front door made is closed
when the last front door that uses it is closed or garbage-collected. Any other pipeline is closed by its maker, or when
the process ends.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any


class Users:
    """Hold the front doors of one pipeline."""

    def __init__(self, on_last_gone: Callable[[], None]) -> None:
        """Call `on_last_gone`, in a finalizer, when the last user is garbage-collected without having been closed."""
        self._on_last_gone = on_last_gone
        self._users: dict[weakref.ref[Any], None] = {}
        self._is_made_by_one = False

    def __len__(self) -> int:
        return len(self._users)

    def add(self, user: object, *, is_maker: bool) -> None:
        """Register a front door; `is_maker` says that it made the pipeline."""
        self._is_made_by_one |= is_maker
        self._users[weakref.ref(user, self._gone)] = None

    def remove(self, user: object) -> None:
        """Forget a front door that was closed."""
        self._users.pop(weakref.ref(user), None)

    def are_done(self, *, is_ending: bool) -> bool:
        """Tell whether the pipeline has no user left and nothing else will close it."""
        return not self._users and (self._is_made_by_one or is_ending)

    def _gone(self, user: weakref.ref[Any]) -> None:
        self._users.pop(user, None)
        if self.are_done(is_ending=False):
            self._on_last_gone()
