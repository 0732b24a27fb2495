"""Know the objects of one kind that are alive in this process.

Rules: objects are held weakly, so that one that is no longer used goes; `keep` holds one that still has work but
perhaps no user. All of it is used by any thread, and by finalizers, without a lock: the references are in dicts,
because copying one is atomic while other threads add and remove.
"""

from __future__ import annotations

import weakref
from typing import Generic, TypeVar

T = TypeVar("T")


class Registry(Generic[T]):
    """Hold objects weakly, and some of them on purpose."""

    def __init__(self) -> None:
        self._known: dict[weakref.ref[T], None] = {}
        self._kept: dict[T, None] = {}

    def add(self, known: T) -> None:
        """Know an object as long as it is used."""
        self._known[weakref.ref(known, self._forget)] = None

    def _forget(self, reference: weakref.ref[T]) -> None:
        self._known.pop(reference, None)

    def alive(self) -> list[T]:
        """Return all objects that are alive."""
        return [known for reference in list(self._known) if (known := reference()) is not None]

    def keep(self, known: T) -> None:
        """Hold an object until it is released."""
        self._kept[known] = None

    def release(self, known: T) -> None:
        """Hold an object no longer."""
        self._kept.pop(known, None)

    def release_all(self) -> None:
        """Hold nothing, as a forked child does: what was kept is its parent's."""
        self._kept.clear()
