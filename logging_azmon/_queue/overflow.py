"""Overflow policies: a row for which there is no room is dropped, replaces older rows, or waits for room.

Rules: any thread calls a policy, and so do signal handlers and finalizers that interrupt a log call on the same thread.
Otherwise no lock is held. Only `Block` waits, with a limit.
"""

from __future__ import annotations

from threading import RLock
from typing import Protocol

from .._process import feedback
from .._process.may_wait import holds, runs_event_loop


class FullQueue(Protocol):
    """The methods of a queue that a policy may call; `BatchQueue` has them."""

    # Held by the current thread if it interrupted a log call of its own.
    lock: RLock
    # How many batches were settled so far.
    settled_batches: int

    def offer(self, line: bytes) -> bool:
        """Take a row if there is room; otherwise return False, and count nothing."""
        ...

    def put_within(self, line: bytes, seconds: float) -> bool:
        """Take a row as soon as there is room; return False, and count nothing, if there is none within this time."""
        ...

    def drop_oldest(self, size: int) -> bool:
        """Drop the oldest rows until this many bytes fit; return False if that is not possible."""
        ...


class Overflow(Protocol):
    """Decide about a row for which there is no room."""

    def put(self, line: bytes, queue: FullQueue) -> bool:
        """Get the row into the queue; return False if it must be dropped."""
        ...


class DropNew:
    """Drop the row."""

    def put(self, line: bytes, queue: FullQueue) -> bool:  # noqa: ARG002 - as Overflow has it
        """Return False: the rows in the queue are kept."""
        return False


class DropOld:
    """Drop the oldest rows in favour of the new one."""

    def put(self, line: bytes, queue: FullQueue) -> bool:
        """Drop as many rows as necessary; rows in flight cannot be dropped."""
        return queue.drop_oldest(len(line)) and queue.offer(line)


class Block:
    """Wait for room; after a wait has timed out, drop rows without waiting until a batch is settled."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        # How many batches were settled when the last wait timed out.
        self._timed_out_at = -1

    def put(self, line: bytes, queue: FullQueue) -> bool:
        """Wait for room, unless this thread interrupted a log call, delivers, or runs an event loop."""
        is_busy = holds(queue.lock) or feedback.is_delivering() or runs_event_loop()
        if is_busy or queue.settled_batches == self._timed_out_at:
            return False
        is_in = queue.put_within(line, self._seconds)
        if not is_in:
            self._timed_out_at = queue.settled_batches
        return is_in
