"""Place an exception into a row that is encoded in one step: as text, by its type, or by its message.

A table that wants it structured, or in a column that is not text, leaves records with an exception to the fallback.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..._config.service_limits import MAX_VALUE_BYTES
from ..layout import TEXT_TYPES, Layout
from ..tracebacks import exception_text, is_raised

# Places the columns of an exception, as from `sys.exc_info`, into the row. Returns the text that has no column yet, an
# empty text if there is none, or None if the fallback must decide.
PlaceException = Callable[[dict[str, Any], Any], str | None]


def make_place_exception(layout: Layout) -> PlaceException:
    """Make the function that places the exceptions of a table's records."""
    columns = [(writer.name, get) for writer, get in layout.exception]
    is_complete = any(writer.field == "exception" for writer, _ in layout.exception)
    is_text = all(writer.type in TEXT_TYPES and writer.field != "exceptions" for writer, _ in layout.exception)
    if not is_text or not (is_complete or layout.rest is not None):
        return lambda _row, _exception: None

    def place(row: dict[str, Any], exception: Any) -> str | None:
        if not is_raised(exception):
            return None
        for column, get in columns:
            value = get(exception)
            if type(value) is not str or len(value) > MAX_VALUE_BYTES:
                return None
            row[column] = value
        return "" if is_complete else exception_text(exception)

    return place
