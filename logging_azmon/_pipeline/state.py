"""The states of a pipeline, and the one table of transitions between them.

Rules: a transition is made under the lock that it is given, by whichever thread asks first; any other that asks for
the same one is told that it came too late. No thread waits under that lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from enum import Enum
from typing import Any


class State(Enum):
    """What a pipeline does with rows."""

    OPEN = "open"
    """Rows are taken and delivered."""
    CLOSING = "closing"
    """It was closed inside dictConfig: rows are taken until no thread can still find the old handler."""
    DRAINING = "draining"
    """No more rows are taken; those that wait are being delivered."""
    CLOSED = "closed"
    """Every row has found its end: delivered, left in the spool, or counted as lost."""


TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.OPEN: frozenset({State.CLOSING, State.DRAINING}),
    # A forked child opens it again: the listener that would have closed it is its parent's.
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
        """Return the state it is in."""
        return self._state

    @property
    def takes_rows(self) -> bool:
        """Tell whether rows are taken."""
        return self._state in {State.OPEN, State.CLOSING}

    def move(self, to: State, lock: AbstractContextManager[Any]) -> bool:
        """Make a transition, under a lock; False if there is none from the state it is in."""
        with lock:
            if to not in TRANSITIONS[self._state]:
                return False
            self._state = to
            return True
