"""Overflow policies: a row that finds no room is dropped, or taken at the cost of older rows or of some time.

Rules: a policy is asked without a lock held, by any thread, also by signal handlers and finalizers in the middle of
another log call on the same thread. Only `Block` waits, with a limit.
"""

from __future__ import annotations

from threading import RLock
from typing import Protocol

from .._process import feedback
from .._process.may_wait import holds, runs_event_loop


class FullQueue(Protocol):
    """Let a policy try again; `BatchQueue` is one."""

    # Held by this thread while it is in the middle of another log call.
    lock: RLock
    # How many batches have found their end.
    settled_batches: int

    def offer(self, line: bytes) -> bool:
        """Take a row if there is room; count nothing if not."""
        ...

    def put_within(self, seconds: float, line: bytes) -> bool:
        """Take a row as soon as there is room, within this time; count nothing if there is none."""
        ...

    def drop_oldest(self, size: int) -> bool:
        """Drop the oldest rows until so many bytes fit; False if they cannot."""
        ...


class Overflow(Protocol):
    """Decide about a row that found no room."""

    def put(self, line: bytes, queue: FullQueue) -> bool:
        """Get the row in; False if it is to be dropped."""
        ...


class DropNew:
    """Drop the row."""

    def put(self, line: bytes, queue: FullQueue) -> bool:  # noqa: ARG002 - as Overflow has it
        """Return False: rows that came first are kept."""
        return False


class DropOld:
    """Drop the oldest rows in favour of the new one."""

    def put(self, line: bytes, queue: FullQueue) -> bool:
        """Drop as many rows as it takes; rows on their way cannot be dropped."""
        return queue.drop_oldest(len(line)) and queue.offer(line)


class Block:
    """Wait for room, once: after a wait in vain, rows are dropped until a batch has found its end."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        # How many batches had found their end after the last wait in vain.
        self._in_vain_at = -1

    def put(self, line: bytes, queue: FullQueue) -> bool:
        """Wait for room, unless this thread is in the middle of a log call, delivers, or runs an event loop."""
        is_busy = holds(queue.lock) or feedback.is_delivering() or runs_event_loop()
        if is_busy or queue.settled_batches == self._in_vain_at:
            return False
        is_in = queue.put_within(self._seconds, line)
        if not is_in:
            self._in_vain_at = queue.settled_batches
        return is_in
