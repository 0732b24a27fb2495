"""The batches that are not settled: the waiting ones in order, and the taken ones.

Rules:
- The queue and its stores share one backlog, under the ledger's lock. A batch is added by a store, taken by the queue,
  and then given back or settled; it may also be removed while it waits.
- Signal handlers and finalizers on the same thread may change it between two lines. Loops therefore run over a copy,
  which is made atomically.
- Watchers get a wake-up whenever a batch is settled; no thread waits under the lock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from .._process.real_threads import SimpleQueue
from .batch import Batch
from .ledger import Place


class Backlog:
    """Hold the batches of one queue."""

    def __init__(self) -> None:
        # In the order of their first rows. Public, because an atomic step of the memory store may call no method.
        self.waiting: deque[Batch] = deque()
        # Each belongs to the thread that took it, until it is settled or given back.
        self._taken: set[Batch] = set()
        self._watchers: list[SimpleQueue[None]] = []

    def __repr__(self) -> str:
        return f"waiting={len(self.waiting)} taken={len(self._taken)}"

    # Moves.

    def append(self, batch: Batch) -> None:
        """Add a batch whose rows come after all others."""
        self.waiting.append(batch)

    def insert(self, batch: Batch) -> None:
        """Insert a batch before the waiting batches whose rows came later."""
        # The fast path: usually all others came later, and no copy is needed.
        if self.waiting and self.waiting[0].first_row >= batch.first_row:
            self.waiting.appendleft(batch)
            return
        others = enumerate(list(self.waiting))
        index = next((index for index, other in others if other.first_row >= batch.first_row), len(self.waiting))
        self.waiting.insert(index, batch)

    def insert_adopted(self, batches: list[Batch]) -> None:
        """Insert adopted batches after the adopted ones that wait, but before the process's own."""
        others = enumerate(list(self.waiting))
        first_own = next((index for index, other in others if not other.is_adopted), len(self.waiting))
        for index, batch in enumerate(batches, first_own):
            self.waiting.insert(index, batch)

    def remove(self, batch: Batch) -> bool:
        """Remove a waiting batch; return False if it does not wait any more."""
        if batch not in self.waiting:
            return False
        self.waiting.remove(batch)
        return True

    def take(self, batch: Batch) -> None:
        """Move a waiting batch to the taken ones."""
        # In this order, so that an interrupted call leaves it in both rather than in none.
        self._taken.add(batch)
        self.waiting.remove(batch)

    def untake(self, batch: Batch) -> None:
        """Remove a batch that was settled, divided or inserted again from the taken ones."""
        self._taken.discard(batch)

    def join(self, members: list[Batch], batch: Batch) -> None:
        """Replace taken batches by the one that was joined of them."""
        self._taken.add(batch)
        self._taken.difference_update(members)

    def divide(self, batch: Batch, parts: Sequence[Batch]) -> None:
        """Replace a taken batch by its parts, which are taken as well."""
        self._taken.update(parts)
        self._taken.discard(batch)

    def take_next(self) -> Batch | None:
        """Remove the oldest waiting batch, and return it; None if none waits."""
        return self.waiting.popleft() if self.waiting else None

    # Questions.

    def is_taken(self, batch: Batch) -> bool:
        """Return whether a thread has taken this batch, and has neither settled it nor given it back."""
        return batch in self._taken

    @property
    def taken(self) -> int:
        """Return how many batches are in flight."""
        return len(self._taken)

    def oldest(self, place: Place) -> Batch | None:
        """Return the oldest waiting batch in this place, memory or disk."""
        for batch in list(self.waiting):
            # A call on this thread that was interrupted in `take` may have added it to the taken ones already.
            if batch.has_rows and batch not in self._taken and batch.place == place:
                return batch
        return None

    def since(self) -> float | None:
        """Return when the oldest row came that waits or is in flight; None if there is none."""
        return min([batch.since for batch in self.all() if batch.has_rows], default=None)

    def has_rows(self) -> bool:
        """Return whether a row waits or is in flight."""
        return any(batch.has_rows for batch in self.all())

    def has(self, place: Place) -> bool:
        """Return whether a batch in this place, memory or disk, is not settled."""
        return any(batch.place == place for batch in self.all())

    def all(self) -> tuple[Batch, ...]:
        """Return all batches, waiting or taken; some may be without rows."""
        return (*self.waiting, *self._taken)

    # Watchers.

    def watch(self, wakeups: SimpleQueue[None]) -> None:
        """Put a wake-up into this queue whenever a batch is settled."""
        self._watchers.append(wakeups)

    def unwatch(self, wakeups: SimpleQueue[None]) -> None:
        """Put no more wake-ups into this queue."""
        self._watchers.remove(wakeups)

    def notify(self) -> None:
        """Wake the watchers."""
        for wakeups in list(self._watchers):
            wakeups.put(None)
