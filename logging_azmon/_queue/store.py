"""The contract between a queue and the store that keeps its rows, in memory or on disk."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Protocol

from .batch import Batch
from .ledger import Reason

Put = Callable[[bytes], bool]


class Loaded(Enum):
    """Say what came of loading a batch."""

    READY = "its rows can be sent"
    EMPTY = "there is no row in it"
    LATER = "it cannot be read now; `not_before` says when to try again"
    UNREADABLE = "its rows are lost to this process"


class Store(Protocol):
    """Keep rows until they find their end, in batches that it adds to the backlog.

    1. A row that `append` accepts is in a batch of the backlog, is counted by the ledger, or will be by `catch_up`, and
       a listener was woken for its batch. A refused row leaves no trace.
    2. `append` is called by any thread, and re-entrantly by signal handlers and finalizers. All other methods are
       called without a lock held, except where they say so.
    3. A batch counts against the store's bound until it is released.
    4. A store changes its own state and the backlog under the ledger's lock, and reads, sends and removes nothing
       under it.
    5. `close` may be called more than once.
    """

    @property
    def is_writing(self) -> bool:
        """Tell whether a row is being written: nothing may be taken in the middle of that, on the same thread."""
        ...

    @property
    def is_empty(self) -> bool:
        """Tell whether no batch that this process sends is left."""
        ...

    @property
    def used_bytes(self) -> int:
        """Return how many bytes in memory count against the bound."""
        ...

    @property
    def why_full(self) -> Reason:
        """Say why `append` refused a row."""
        ...

    # The application's side.

    def fast_path(self, put: Put) -> Put:
        """Return what a log call should call: `put`, or a shortcut that falls back to it."""
        ...

    def append(self, line: bytes) -> bool:
        """Take a row; False if there is no room."""
        ...

    def append_notice(self, line: bytes) -> bool:
        """Take a row of the library's own as a batch of one, even after `close`; the ledger's lock is held."""
        ...

    def make_room(self, size: int) -> bool:
        """Drop the oldest rows that wait until so many bytes fit; False if they cannot."""
        ...

    # The delivering side.

    def refresh(self, now: float, *, is_urgent: bool, adopts: bool) -> None:
        """Look for rows that dead processes left, if it is time to or urgent, and report the store's trouble."""
        ...

    def next_refresh(self) -> float | None:
        """Return when `refresh` has something to do, if ever."""
        ...

    def catch_up(self) -> None:
        """Count the rows that came in without the lock; until it is released, none does. The ledger's lock is held."""
        ...

    def open_since(self) -> float | None:
        """Return when the open batch began, if there is one; the ledger's lock is held."""
        ...

    def close_open(self) -> None:
        """Have the next row begin another batch; the ledger's lock is held."""
        ...

    def load(self, batch: Batch) -> Loaded:
        """Bring a taken batch's rows into memory."""
        ...

    def unload(self, batch: Batch) -> None:
        """Prepare a taken batch to wait again."""
        ...

    def divide(self, batch: Batch, parts: list[Batch]) -> None:
        """Note that these parts stand for a taken batch from now on; the ledger's lock is held."""
        ...

    def release(self, batch: Batch) -> None:
        """Keep a batch no longer: its rows have found their end."""
        ...

    def keep_rejected(self, batch: Batch, answer: dict[str, Any]) -> str:
        """Keep the rows that the service rejected with its answer, and return where; "" if that cannot be."""
        ...

    # The end.

    def close(self) -> None:
        """Take no more rows for this process to send; the ledger's lock is held."""
        ...

    def hand_over(self, batch: Batch) -> bool:
        """Leave a waiting batch to the next process; False if it is lost with this one. The ledger's lock is held."""
        ...

    def release_ownership(self) -> None:
        """Let other processes have what is left, once nothing of it is on its way."""
        ...

    def leave_to_parent(self) -> None:
        """Take no more rows, in a forked child; what is there is its parent's."""
        ...
