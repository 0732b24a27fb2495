"""What a row needs to write one of its columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class ColumnWriter(NamedTuple):
    """Hold the name, type and encoder of a column."""

    # The column's name as JSON, with the colon.
    json: bytes
    # Encodes a value; None if the value does not fit.
    encode: Callable[[Any], bytes | None]
    type: str
    # The field that fills the column. A value that does not fit goes to the extras under this name.
    field: str

    @property
    def name(self) -> str:
        """Return the column's name."""
        return self.json[1:-2].decode()
