"""The contracts between a queue and the store that keeps its rows, in memory or on disk."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Protocol

from .batch import Batch
from .ledger import Reason

Put = Callable[[bytes], bool]


class Loaded(Enum):
    """Say how loading a batch ended."""

    READY = "its rows can be sent"
    EMPTY = "it holds no rows"
    LATER = "it cannot be read now; `not_before` says when to try again"
    UNREADABLE = "its rows are lost to this process"


class Store(Protocol):
    """Keep rows until they are settled, in batches that the store adds to the backlog.

    1. When `append` accepts a row, the row is in a batch of the backlog and a listener was woken for that batch. The
       ledger has counted the row, or its `catch_up` will count it. A refused row changes nothing.
    2. Any thread calls `append`, and signal handlers and finalizers do so re-entrantly. All other methods are called
       without a lock held, except where they say so.
    3. A batch counts against the store's bound until it is released.
    4. A store changes its own state and the backlog under the ledger's lock. It reads, sends and removes no rows under
       that lock.
    5. `close` may be called more than once.
    """

    @property
    def is_writing(self) -> bool:
        """Return whether this thread interrupted the write of a row: no batch may be taken then."""
        ...

    @property
    def why_full(self) -> Reason:
        """Return the reason for which `append` refused a row."""
        ...

    # The application's side.

    def fast_path(self, put: Put) -> Put:
        """Return the function that log calls use: `put`, or a faster one that falls back to it."""
        ...

    def append(self, line: bytes) -> bool:
        """Take a row; return False if there is no room."""
        ...

    def append_notice(self, line: bytes) -> bool:
        """Take a row of the library's own as a batch of one, even after `close`; the ledger's lock is held."""
        ...

    def make_room(self, size: int) -> bool:
        """Drop the oldest waiting rows until this many bytes fit; return False if that is not possible."""
        ...

    # The delivering side.

    def open_since(self) -> float | None:
        """Return when the open batch began, if there is one; the ledger's lock is held."""
        ...

    def close_open(self) -> None:
        """Make the next row begin another batch; the ledger's lock is held."""
        ...

    def load(self, batch: Batch) -> Loaded:
        """Bring a taken batch's rows into memory."""
        ...

    def unload(self, batch: Batch) -> None:
        """Prepare a taken batch to wait again."""
        ...

    def divide(self, batch: Batch, parts: list[Batch]) -> None:
        """Replace a taken batch by these parts; the ledger's lock is held."""
        ...

    def release(self, batch: Batch) -> None:
        """Free the space of a batch, because its rows are settled; the lock may be held if the batch is in memory."""
        ...

    # The end.

    def close(self) -> None:
        """Take no more rows for this process to send; the ledger's lock is held."""
        ...

    def leave_to_parent(self) -> None:
        """Take no more rows, in a forked child; the rows in the store are its parent's."""
        ...


class Durable(Protocol):
    """Exchange rows with other processes; a store whose rows survive the process has these methods as well.

    They are called without a lock held, except where they say so.
    """

    def refresh(self, now: float, *, is_urgent: bool, adopts: bool) -> float | None:
        """Adopt orphans, if that is due or urgent and `adopts` allows it, and report the store's trouble.

        Return when that is due next, or None if never.
        """
        ...

    def companions(self, batch: Batch, now: float) -> list[Batch]:
        """Return the waiting batches that fit into one request with a loaded one. The ledger's lock is held."""
        ...

    def keep_rejected(self, batch: Batch, answer: dict[str, Any]) -> str:
        """Keep rejected rows with the service's answer, and return the file; "" if that is not possible."""
        ...

    def hand_over(self, batch: Batch) -> bool:
        """Leave a waiting batch to the next process; False if it is lost with this one. The ledger's lock is held."""
        ...

    def release_ownership(self) -> None:
        """Let other processes adopt the rows that are left, once none of them is in flight."""
        ...
