"""A registry of the objects of one kind that are alive in this process.

Rules: objects are held weakly, so that unused ones are garbage-collected; `keep` holds an object that has work left but
perhaps no user. Any thread and any finalizer may call every method, without a lock: the references are in dicts, and
copying a dict is atomic while other threads add and remove.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Registry(Generic[T]):
    """Hold objects weakly, and those that are kept strongly."""

    def __init__(self) -> None:
        self._known: dict[weakref.ref[T], None] = {}
        self._kept: dict[T, None] = {}
        # Replaced, never changed.
        self._watchers: tuple[Callable[[T], object], ...] = ()

    def add(self, known: T) -> None:
        """Register an object for as long as it is alive."""
        self._known[weakref.ref(known, self._forget)] = None
        self.changed(known)

    def _forget(self, reference: weakref.ref[T]) -> None:
        self._known.pop(reference, None)

    def alive(self) -> list[T]:
        """Return all objects that are alive."""
        return [known for reference in list(self._known) if (known := reference()) is not None]

    def watch(self, watcher: Callable[[T], object]) -> None:
        """Call this, on any thread, whenever an object is added, released or changed; it must not raise."""
        self._watchers = (*self._watchers, watcher)

    def changed(self, known: T) -> None:
        """Tell the watchers that an object has changed."""
        for watcher in self._watchers:
            watcher(known)

    def keep(self, known: T) -> None:
        """Hold an object strongly until it is released."""
        self._kept[known] = None

    def release(self, known: T) -> None:
        """Hold an object only weakly again."""
        self._kept.pop(known, None)
        self.changed(known)

    def release_all(self) -> None:
        """Hold all objects only weakly again, as in a forked child: they were kept for the parent's rows."""
        self._kept.clear()
