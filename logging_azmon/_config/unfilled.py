"""Find tables whose rows would say nothing: no column takes the message, or no column takes a field at all.

Such a table is valid, so it is reported and not refused. Usually its columns were meant for fields by other names, or a
rule was written for another program.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..table import FIELD_TYPES, Column, Constant, Extra, Table

# Names, in lower case, that columns for a message have elsewhere.
_USUAL = ("message", "msg", "text", "body", "rawdata", "rawmessage", "logmessage", "log", "event", "description")
_MAX_NAMED = 5


def remarks(table: Table) -> Iterator[str]:
    """Yield a sentence if no column takes the message; a callable may return it, and ``*`` takes what has no column."""
    if any(column.field in ("message", "*") or _is_callable(column) for column in table):
        return
    extras = [column for column in table if isinstance(column.source, Extra)]
    advice = f"map one, as in columns={{{_candidate(extras)!r}: 'message'}}"
    if any(column.name in FIELD_TYPES for column in extras):
        advice += "; a mapping has the column's name first, and then the field"
    if all(column.field in (None, "time") for column in table):
        names = [repr(column.source.names[0]) for column in extras if isinstance(column.source, Extra)]
        more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
        taken = f"; they take only the extras {', '.join(names[:_MAX_NAMED])}{more}" if names else ""
        yield f"no column takes the message, or any other field of a log call but its time{taken}: {advice}"
    else:
        yield f"no column takes the message, so no row will hold it: {advice}, or add 'Properties': '*'"


def _is_callable(column: Column) -> bool:
    return callable(column.source) and not isinstance(column.source, Extra | Constant)


def _candidate(columns: list[Column]) -> str:
    """Return the name of the column that was most probably meant for the message."""
    named = {column.name.lower(): column.name for column in columns if column.type == "string"}
    usual = next((named[name] for name in _USUAL if name in named), None)
    return usual or next(iter(named.values()), "Message")
