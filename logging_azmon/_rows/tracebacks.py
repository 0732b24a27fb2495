"""Tells what an exception is: as text, by type and message, or structured with its causes.

Callers give True, an exception, what `sys.exc_info` returns, text already rendered, or a list already structured.
`normalized` brings these to a tuple, text, a list or None; the other functions take what it returns.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from typing import Any

from .._config.service_limits import MAX_VALUE_BYTES
from .jsonable import text
from .values import cut_inside

# What formatters and older structlogs write where no exception is being handled.
_NO_EXCEPTION = "NoneType: None"
_HEADER = "Traceback (most recent call last):"
_CAUSE = "The above exception was the direct cause of the following exception:"
_CONTEXT = "During handling of the above exception, another exception occurred:"


def normalized(value: Any) -> Any:
    """Bring what callers may give to what records hold."""
    if value is None or (type(value) is str and value == _NO_EXCEPTION):
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
    if _raised(exception) is not None:
        shown = "".join(traceback.format_exception(*exception)).rstrip("\n")
    elif type(exception) is list:
        shown = _rendered(exception)
    else:
        shown = text(exception)
    return cut_inside(shown, MAX_VALUE_BYTES)


def exception_type(exception: Any) -> str | None:
    """Name the exception's class with its module, as tracebacks do; structlog's structure has no modules."""
    value = _raised(exception)
    if value is None:
        return _told(exception, "exc_type")
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def exception_message(exception: Any) -> str | None:
    """Return the exception's own words."""
    value = _raised(exception)
    return _told(exception, "exc_value") if value is None else str(value)


def exceptions(exception: Any) -> Any:
    """Structure the exception and its causes as structlog does, without local variables: these hold secrets."""
    if type(exception) is list:
        return exception
    value = _raised(exception)
    if value is None or _is_endless(value):
        return None
    from structlog.tracebacks import ExceptionDictTransformer

    return ExceptionDictTransformer(show_locals=False)(exception)


def _raised(exception: Any) -> BaseException | None:
    """Return the exception itself, if this is what `sys.exc_info` returns."""
    if type(exception) is tuple and len(exception) == 3 and issubclass(type(exception[1]), BaseException):
        return exception[1]  # type: ignore[no-any-return]
    return None


def _is_endless(exception: BaseException) -> bool:
    """Tell whether causes lead back to where they began: structlog before 25.5 follows them for ever."""
    seen: set[int] = set()
    cause: BaseException | None = exception
    while cause is not None:
        if id(cause) in seen:
            return True
        seen.add(id(cause))
        if isinstance(cause, BaseExceptionGroup) and any(_is_endless(part) for part in cause.exceptions):
            return True
        given = cause.__cause__
        cause = cause.__context__ if given is None and not cause.__suppress_context__ else given
    return False


def _told(structured: Any, key: str) -> str | None:
    """Return what a structured exception says of itself."""
    first = structured[0] if type(structured) is list and structured else None
    said = first.get(key) if type(first) is dict else None
    return None if said is None else text(said)


def _rendered(structured: list[Any]) -> str:
    """Render what structlog has structured as text; if it is something else, as JSON."""
    try:
        return "\n".join(_lines(structured)) or text(structured)
    except Exception:  # noqa: BLE001 - any processor may write this key
        return text(structured)


def _lines(structured: list[dict[str, Any]]) -> Iterator[str]:
    # The exception comes first, then what it was caused by: the other way round from how it is read.
    for place, stack in reversed(list(enumerate(structured))):
        if frames := stack["frames"]:
            yield _HEADER
            yield from (f'  File "{frame["filename"]}", line {frame["lineno"]}, in {frame["name"]}' for frame in frames)
        yield f"{stack['exc_type']}: {stack['exc_value']}"
        yield from stack.get("exc_notes", ())
        for group in stack.get("exceptions", ()):
            yield from (f"  | {line}" for line in _lines(group))
        if place:
            yield from ("", _CAUSE if stack["is_cause"] else _CONTEXT, "")
