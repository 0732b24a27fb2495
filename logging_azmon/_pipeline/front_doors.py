"""Count the handlers and processors that use a pipeline, so that it is closed with the last of them.

Rules: users are known weakly, by the link that a handler or processor holds. A pipeline that one of them made is closed
when its last user is closed or gone. Any other pipeline is closed by its maker, or when the process ends.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any


class Users:
    """The users of one pipeline."""

    def __init__(self, on_last_gone: Callable[[], None]) -> None:
        """Call `on_last_gone`, in a finalizer, when the last user is garbage-collected without having been closed."""
        self._on_last_gone = on_last_gone
        self._users: dict[weakref.ref[Any], None] = {}
        self._has_maker = False

    def __len__(self) -> int:
        return len(self._users)

    def add(self, user: object, *, is_maker: bool) -> None:
        """Add a handler or processor, which may have made the pipeline."""
        self._has_maker |= is_maker
        self._users[weakref.ref(user, self._gone)] = None

    def remove(self, user: object) -> None:
        """Remove a handler or processor that was closed."""
        self._users.pop(weakref.ref(user), None)

    def should_close(self, *, is_ending: bool) -> bool:
        """Return whether the pipeline is no longer used and nothing else will close it."""
        return not self._users and (self._has_maker or is_ending)

    def _gone(self, user: weakref.ref[Any]) -> None:
        self._users.pop(user, None)
        if self.should_close(is_ending=False):
            self._on_last_gone()
