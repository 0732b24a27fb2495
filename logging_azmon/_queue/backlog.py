"""All batches whose rows have not found their end: in order while they wait, and aside once they were taken.

Rules:
- The queue and its stores share one backlog, under the ledger's lock.
- Signal handlers and finalizers on the same thread may change it between two lines. A loop therefore runs over a copy,
  which is made in one atomic step.
- Watchers get a token whenever a batch finds its end; nothing waits under the lock.
"""

from __future__ import annotations

from collections import deque
from queue import SimpleQueue

from .batch import Batch
from .ledger import Place


class Backlog:
    """Hold the batches of one queue."""

    def __init__(self) -> None:
        # In the order of their first rows.
        self.waiting: deque[Batch] = deque()
        # A batch belongs to the thread that took it, until it is settled or given back.
        self.taken: set[Batch] = set()
        self._watchers: list[SimpleQueue[None]] = []

    def insert(self, batch: Batch) -> None:
        """Have a batch wait before the batches whose rows came later."""
        # Usually all others came later, and need not be copied.
        if self.waiting and self.waiting[0].first_row >= batch.first_row:
            self.waiting.appendleft(batch)
            return
        others = enumerate(list(self.waiting))
        index = next((index for index, other in others if other.first_row >= batch.first_row), len(self.waiting))
        self.waiting.insert(index, batch)

    def insert_adopted(self, batches: list[Batch]) -> None:
        """Have adopted batches wait behind others of their kind, but before the process's own."""
        others = enumerate(list(self.waiting))
        first_own = next((index for index, other in others if other.first_row >= 0), len(self.waiting))
        for index, batch in enumerate(batches, first_own):
            self.waiting.insert(index, batch)

    def oldest(self, place: Place) -> Batch | None:
        """Return the oldest batch that waits in memory or on disk."""
        for batch in list(self.waiting):
            # An interrupted call on this thread may be just about to take it.
            if batch.has_rows and batch not in self.taken and batch.place == place:
                return batch
        return None

    def unsettled(self) -> list[Batch]:
        """Return all batches with rows, waiting or taken."""
        return [batch for batch in (*self.waiting, *self.taken) if batch.has_rows]

    def watch(self, tokens: SimpleQueue[None]) -> None:
        """Put a token into this queue whenever a batch finds its end."""
        self._watchers.append(tokens)

    def unwatch(self, tokens: SimpleQueue[None]) -> None:
        """Put no more tokens into this queue."""
        self._watchers.remove(tokens)

    def notify(self) -> None:
        """Wake the watchers."""
        for tokens in list(self._watchers):
            tokens.put(None)
