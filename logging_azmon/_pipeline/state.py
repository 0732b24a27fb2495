"""The states of a pipeline, and the one table of transitions between them.

Rules: a transition is made under the lock that the caller passes. If several threads request the same transition, the
first makes it, and `move` returns False to the others. No thread waits under that lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from enum import Enum
from typing import Any


class State(Enum):
    """Say what a pipeline does with rows."""

    OPEN = "open"
    """Rows are taken and delivered."""
    CLOSING = "closing"
    """The pipeline was closed inside dictConfig: rows are taken until no thread can still find the old handler."""
    DRAINING = "draining"
    """No more rows are taken; the waiting ones are being delivered."""
    CLOSED = "closed"
    """Every row is delivered, left in the spool, or counted as lost."""


TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.OPEN: frozenset({State.CLOSING, State.DRAINING}),
    # A forked child returns to OPEN: the listener that would have closed the pipeline is its parent's.
    State.CLOSING: frozenset({State.OPEN, State.DRAINING}),
    State.DRAINING: frozenset({State.CLOSED}),
    State.CLOSED: frozenset(),
}


class StateMachine:
    """Hold a pipeline's state."""

    def __init__(self, state: State = State.OPEN) -> None:
        self._state = state

    @property
    def state(self) -> State:
        """Return the current state."""
        return self._state

    @property
    def takes_rows(self) -> bool:
        """Return whether rows are taken."""
        return self._state in {State.OPEN, State.CLOSING}

    def move(self, to: State, lock: AbstractContextManager[Any]) -> bool:
        """Make a transition under this lock; return False if the table has none from the current state."""
        with lock:
            if to not in TRANSITIONS[self._state]:
                return False
            self._state = to
            return True
