"""Find the extras of a LogRecord: the attributes and arguments that the application added.

The standard attributes are derived from a dummy record, because they differ between versions of Python.
"""

from __future__ import annotations

import logging
from itertools import islice
from typing import Any

from .fields import merge
from .jsonable import text

_DUMMY = tuple(logging.LogRecord("", 0, "", 0, "", None, None).__dict__)
STANDARD_COUNT = len(_DUMMY)
LAST_STANDARD = _DUMMY[-1]
# Formatters of other handlers add `message` and `asctime`; a record pickled by a newer Python brings its `taskName`.
STANDARD = frozenset(_DUMMY) | {"message", "asctime", "taskName"}
# Attributes that may come after the standard ones and are not extras.
NOT_EXTRA = STANDARD - frozenset(_DUMMY)


def has_extras(attributes: dict[str, Any]) -> bool:
    """Return whether there may be extras among a record's attributes, without reading them all."""
    return len(attributes) != STANDARD_COUNT or next(reversed(attributes)) != LAST_STANDARD


def extras_of(attributes: dict[str, Any]) -> dict[str, Any] | None:
    """Return the extras among a record's attributes, or None.

    The standard attributes come first, in the order in which LogRecord sets them. If that does not hold (a factory adds
    its own first, a filter deletes some), every name is checked.
    """
    names = islice(attributes, STANDARD_COUNT - 1, None)
    if next(names, None) == LAST_STANDARD:
        extras = {name: attributes[name] for name in names if name not in NOT_EXTRA}
    else:
        extras = {name: value for name, value in attributes.items() if name not in STANDARD}
    if issubclass(type(extras.get("extra")), dict):  # loguru passes all bound values under this name
        extras = merge(extras, extras.pop("extra"))
    return extras or None


def extras_of_arguments(arguments: Any, template: object) -> dict[Any, Any]:
    """Return a mapping of arguments as extras, without names in braces that the message does not use.

    gunicorn and other servers pass every header of a request to their access log in braces, cookies and tokens too.
    """
    extras = dict(arguments)
    in_braces = [key for key in extras if type(key) is str and key.startswith("{")]
    if in_braces:
        asked_for = text(template).lower()
        for key in in_braces:
            if f"%({key.lower()})" not in asked_for:
                del extras[key]
    return extras
