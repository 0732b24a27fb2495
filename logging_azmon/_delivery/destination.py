"""The interface between delivery and the service that rows are sent to."""

from __future__ import annotations

from typing import Protocol

from .answer import Answer


class Destination(Protocol):
    """Send rows, and return the answer.

    Rules:

    - `send` makes one request. Only the pipeline retries, splits, counts and reports.
    - Several threads call `send` concurrently.
    - An expected failure is returned as an `Answer`. If `send` raises, the rows are kept and sent again later.
    - `close` may come before the first `send`, and more than once. Nothing is sent after it, except in a forked child
      after `forget`.
    """

    def send(self, lines: bytes | bytearray, *, seconds: float | None = None) -> Answer:
        """Send rows, one JSON object per line, in one request.

        `seconds` limits how long it may take, if the caller cannot wait for the usual timeouts.
        """
        ...

    def close(self) -> None:
        """Close the connections."""
        ...

    def forget(self) -> None:
        """Drop the connections without closing them: in a forked child they are the parent's."""
        ...
