"""Define `Key`: the name, type and encoder of a column, as they are needed to write it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Key(NamedTuple):
    """Describe how to write one column."""

    # The column's name as JSON, with the colon.
    json: bytes
    # Encodes a value; None if the value does not fit.
    encode: Callable[[Any], bytes | None]
    type: str
    # The name under which a value that does not fit is kept among the extras.
    field: str

    @property
    def column(self) -> str:
        """Return the column's name."""
        return self.json[1:-2].decode()
