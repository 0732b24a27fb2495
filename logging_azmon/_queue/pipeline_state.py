"""The states of a pipeline, and the one table of transitions between them.

The state decides what a pipeline's objects do: whether the queue takes rows, what becomes of rows that are given back,
whether the scheduler holds batches back, and whether listeners go on. None of them keeps a flag of its own.

Rules: a transition is made with the ledger's lock held. If several threads request the same transition, the first makes
it, and `move` returns False to the others. No thread waits under that lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


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
    State.CLOSING: frozenset({State.DRAINING}),
    State.DRAINING: frozenset({State.CLOSED}),
    State.CLOSED: frozenset(),
}
# The state in which a forked child begins. A closing pipeline is open again in the child, because the listener that
# would close it stays in the parent. A draining one is closed, because its rows are the parent's.
IN_CHILD: Mapping[State, State] = {
    State.OPEN: State.OPEN,
    State.CLOSING: State.OPEN,
    State.DRAINING: State.CLOSED,
    State.CLOSED: State.CLOSED,
}


class PipelineState:
    """Hold a pipeline's state."""

    def __init__(self, state: State = State.OPEN) -> None:
        self._enter(state)

    def __repr__(self) -> str:
        return f"<PipelineState {self.state.value}>"

    def _enter(self, state: State) -> None:
        self.state = state
        # Whether rows are taken, and whether none is delivered any more. A full queue reads these for each row, so they
        # are attributes.
        self.takes_rows = state in {State.OPEN, State.CLOSING}
        self.is_closed = state is State.CLOSED

    def move(self, to: State) -> bool:
        """Make a transition; return False if the table has none from the current state. The ledger's lock is held."""
        if to not in TRANSITIONS[self.state]:
            return False
        self._enter(to)
        return True

    def restart(self) -> None:
        """Begin again in a forked child, which has no other threads."""
        self._enter(IN_CHILD[self.state])
