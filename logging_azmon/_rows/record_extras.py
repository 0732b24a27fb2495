"""Find the extras of a LogRecord: the attributes and arguments that the application added.

The standard attributes are derived from a dummy record, because they differ between versions of Python.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from itertools import islice
from typing import Any

from .extra_columns import follow
from .fields import merge
from .jsonable import text

_DUMMY = tuple(logging.LogRecord("", 0, "", 0, "", None, None).__dict__)
# In the order in which LogRecord sets them.
STANDARD_NAMES = _DUMMY
STANDARD_COUNT = len(_DUMMY)
LAST_STANDARD = _DUMMY[-1]
# Formatters of other handlers add `message` and `asctime`; a record pickled by a newer Python brings its `taskName`.
STANDARD = frozenset(_DUMMY) | {"message", "asctime", "taskName"}
# Attributes that may come after the standard ones and are not extras.
NOT_EXTRA = STANDARD - frozenset(_DUMMY)
# uvicorn repeats its message under this name, with the terminal's escape codes for colours.
COLOURED = "color_message"

# The names of a template's arguments; "%%" is a percent sign, and a name may itself contain parentheses.
_NAMED = re.compile(r"%%|%\(((?:[^()]|\([^()]*\))*)\)")


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
    if COLOURED in extras and str(attributes.get("name")).partition(".")[0] == "uvicorn":
        del extras[COLOURED]
    if issubclass(type(extras.get("extra")), dict):  # loguru passes all bound values under this name
        extras = merge(extras, extras.pop("extra"))
    return extras or None


def extras_of_arguments(arguments: Any, template: object, columns: Iterable[str]) -> dict[Any, Any]:
    """Return those of a mapping of arguments that the template names or a column takes, as extras.

    The others are not sent: people log whole forms, and servers every header of a request, to show two or three values.
    """
    named = {*_NAMED.findall(text(template))} - {""}
    # gunicorn's keys are in lower case, whatever its format writes.
    headers = {name.lower() for name in named if name.startswith("{")}
    extras = {
        key: value
        for key, value in dict(arguments).items()
        if type(key) is str and (key in named or key in headers or key in columns)
    }
    for path in columns:
        if "." in path and path not in extras and (value := follow(arguments, path.split("."))) is not None:
            extras[path] = value
    return extras
