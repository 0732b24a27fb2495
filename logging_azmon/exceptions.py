"""Tells what an exception is: as text, by type and message, or structured with its causes.

Callers give True, an exception, what `sys.exc_info` returns, text already rendered, or a list already structured.
`normalized` brings these to a tuple, text, a list or None; the other functions take what it returns.
"""

from __future__ import annotations

import sys
import traceback
from typing import Any

from .readable import text
from .values import MAX_VALUE_BYTES, cut_inside


def normalized(value: Any) -> Any:
    """Bring what callers may give to what records hold."""
    if value is None:
        return None
    if type(value) is bool or type(value) is int:
        value = sys.exc_info() if value else None
    elif issubclass(type(value), BaseException):
        value = type(value), value, value.__traceback__
    return None if _is_none(value) else value


def _is_none(exception: Any) -> bool:
    """Tell whether this is what `sys.exc_info` returns where no exception is being handled."""
    return type(exception) is tuple and all(part is None for part in exception)


def exception_text(exception: Any) -> str:
    """Render an exception as the standard library does."""
    value = _raised(exception)
    shown = text(exception) if value is None else "".join(traceback.format_exception(*exception)).rstrip("\n")
    return cut_inside(shown, MAX_VALUE_BYTES)


def exception_type(exception: Any) -> str | None:
    """Name the exception's class with its module, as tracebacks do."""
    value = _raised(exception)
    if value is None:
        return None
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def exception_message(exception: Any) -> str | None:
    """Return the exception's own words."""
    value = _raised(exception)
    return None if value is None else str(value)


def exceptions(exception: Any) -> Any:
    """Structure the exception and its causes as structlog does, without local variables: these hold secrets."""
    if type(exception) is list:
        return exception
    if _raised(exception) is None:
        return None
    from structlog.tracebacks import ExceptionDictTransformer

    return ExceptionDictTransformer(show_locals=False)(exception)


def _raised(exception: Any) -> BaseException | None:
    """Return the exception itself, if this is what `sys.exc_info` returns."""
    if type(exception) is tuple and len(exception) == 3 and issubclass(type(exception[1]), BaseException):
        return exception[1]  # type: ignore[no-any-return]
    return None
