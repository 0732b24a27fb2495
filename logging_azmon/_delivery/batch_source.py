"""The contract between the scheduler and delivery, and the queue whose batches they send. `BatchQueue` has it.

Rules: any thread calls these methods. A batch belongs to the thread that took it, until that thread settles it or gives
it back.
"""

from __future__ import annotations

from typing import Any, Protocol

from .._queue.batch import Batch
from .._queue.ledger import Reason


class BatchSource(Protocol):
    """Hand out batches, and take them back."""

    # Called by the scheduler.

    @property
    def is_empty(self) -> bool:
        """Return whether no row waits or is in flight."""
        ...

    @property
    def is_flushing(self) -> bool:
        """Return whether a flush or close waits for rows."""
        ...

    def refresh(self, now: float) -> None:
        """Look for rows that other processes left; called before `take`."""
        ...

    def open_since(self) -> float | None:
        """Return when the open batch began, if there is one that this process sends."""
        ...

    def is_ready(self, now: float, *, is_due: bool) -> bool:
        """Return whether `take` would hand out a batch."""
        ...

    def take(self, now: float, *, is_due: bool) -> Batch | None:
        """Hand out the oldest batch that may be sent; the open one only if it is due."""
        ...

    def next_event_at(self) -> float | None:
        """Return when a batch may be ready next, or None if no time is known."""
        ...

    # Called by delivery.

    def give_back(self, batch: Batch) -> None:
        """Return a taken batch to its place in the order."""
        ...

    def replace(self, batch: Batch, parts: list[Batch]) -> None:
        """Replace a taken batch by its parts."""
        ...

    def settle(self, batch: Batch, *, lost: Reason | None = None) -> None:
        """Settle a taken batch as delivered, or as lost for a reason."""
        ...

    def reject(self, batch: Batch, answer: dict[str, Any]) -> str:
        """Settle a batch that the service rejected; return the file that keeps its rows, or ""."""
        ...
