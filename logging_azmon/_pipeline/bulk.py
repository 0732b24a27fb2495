"""Send many rows through a pipeline for a command, which can wait for room and has no log calls to protect.

Rules: one thread, the command's, calls these methods. Every wait has a limit, so that the command can show progress and
hear Ctrl-C between two waits.
"""

from __future__ import annotations

from .._queue.batch_queue import EVERYTHING
from .._rows.fields import Fields
from .lifecycle import Lifecycle


class Bulk:
    """Put rows from files into a pipeline's queue, and follow how many of them are settled."""

    def __init__(self, lifecycle: Lifecycle, *, reports_losses: bool = True) -> None:
        """With `reports_losses` False, queue no loss notices: the command does not know the columns of the table."""
        self._lifecycle = lifecycle
        lifecycle.notices.is_enabled = reports_losses

    def encode(self, fields: Fields) -> bytes:
        """Encode fields that did not come from a log call, such as those of a line in a file."""
        return self._lifecycle.encoder(fields)

    def put_within(self, line: bytes, seconds: float) -> bool:
        """Queue an encoded row as soon as there is room; return False, and count nothing, if there is none in time."""
        return self._lifecycle.queue.put_within(line, seconds)

    def settled_count(self) -> int:
        """Return how many rows, counted from the first one, are settled without a gap."""
        return self._lifecycle.queue.settled_count()

    def make_all_due(self) -> None:
        """Make all waiting rows due now, including orphans in the spool."""
        self._lifecycle.make_all_due()

    def drain(self, seconds: float) -> bool:
        """Wait for all rows, including orphans in the spool; return True if none is left."""
        self._lifecycle.wait_for_everything(seconds)
        if not self._lifecycle.queue.is_settled(EVERYTHING):
            return False
        # Orphans are adopted in batches; look for more.
        self.make_all_due()
        return self._lifecycle.queue.is_settled(EVERYTHING)
