"""Define `Fields`, the tuple that readers pass to the encoder, and `WantedFields`, the fields that a table needs.

    time       seconds since the epoch from a record; any value of ``timestamp`` from an event dict
    site       values of the table's SITE_FIELDS; equal for every call from one place, so their JSON is cached
    thread     values of the table's THREAD_FIELDS; equal for every call of one thread, so their JSON is cached
    message    text
    exception  None, an exc_info tuple, text already rendered, or a list already structured
    stack      None or text
    extras     None or a dict that the encoder must not change
    origin     the LogRecord or event dict itself, for columns with a callable source
    template   the message before its arguments are put in; any value, or None if it is not known

It is a plain tuple because a NamedTuple takes six times as long to build, half a microsecond for each row. Only the
readers and the encoder depend on its order; other modules call `WantedFields.pack`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import Any

from .jsonable import distinct
from .levels import DERIVED_FIELDS

Fields = tuple[Any, tuple[Any, ...], tuple[Any, ...], Any, Any, Any, dict[str, Any] | None, Any, Any]
message_of: Callable[[Fields], Any] = itemgetter(3)
origin_of: Callable[[Fields], Any] = itemgetter(7)

# Fields and the attributes of a LogRecord that hold them.
SITE_FIELDS: Mapping[str, str] = {
    "level": "levelname",
    "level_number": "levelno",
    "logger": "name",
    "file": "pathname",
    "module": "module",
    "function": "funcName",
    "line": "lineno",
}
THREAD_FIELDS: Mapping[str, str] = {
    "process_id": "process",
    "process_name": "processName",
    "thread_id": "thread",
    "thread_name": "threadName",
}

# The level, and the fields derived from it.
LEVEL_FIELDS = frozenset({"level", "level_number", *DERIVED_FIELDS})


class WantedFields:
    """Hold the fields that a table wants, so that no others are read."""

    def __init__(self, used: Iterable[str], *, extras: Iterable[str] = (), attributes: Iterable[str] = ()) -> None:
        """Prepare for the fields that the table's columns take, and for the names of extras that they take.

        `attributes` are those of the names that a record's own attributes stand in for.
        """
        used = frozenset(used)
        self.extras = tuple(extras)
        self.attributes = tuple(attributes)
        # A formatter need not write what has a column, or a place among the rest.
        self.places_exception = not used.isdisjoint({"exception", "exceptions", "*"})
        self.places_stack = not used.isdisjoint({"stack", "*"})
        # The encoder always finds a place for a message, an exception and a stack.
        self._wanted = used | {"message", "exception", "stack"}
        if used & LEVEL_FIELDS:
            self._wanted |= {"level", "level_number"}
        # At least two each, because attrgetter and itemgetter return a tuple only for two names or more.
        self.site = _at_least_two(used, SITE_FIELDS, ("level", "level_number"))
        self.thread = _at_least_two(used, THREAD_FIELDS, ("process_id", "thread_name"))

    def wants(self, fields: Iterable[str]) -> bool:
        """Return whether all of these fields have a place in the table's rows."""
        return self._wanted.issuperset(fields)

    def pack(
        self,
        values: Mapping[str, Any],
        *,
        time: Any,
        message: Any = None,
        exception: Any = None,
        stack: Any = None,
        extras: dict[str, Any] | None = None,
        origin: Any = None,
    ) -> Fields:
        """Build the tuple; `values` has the fields of site and thread by name."""
        site = tuple(values.get(name) for name in self.site)
        thread = tuple(values.get(name) for name in self.thread)
        return time, site, thread, message, exception, stack, extras, origin, None


def merge(first: Mapping[str, Any] | None, second: Any) -> dict[str, Any]:
    """Merge two sets of extras; a name that both have is made distinct in the second."""
    merged = dict(first or ())
    for key, value in dict(second or ()).items():
        merged[distinct(key, merged) if isinstance(key, str) else key] = value
    return merged


def _at_least_two(used: frozenset[str], fields: Mapping[str, str], always: tuple[str, str]) -> tuple[str, ...]:
    return (*always, *(name for name in fields if name in used and name not in always))
