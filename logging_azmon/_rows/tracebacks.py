"""Render an exception: as text, by type and message, or structured with its causes.

Callers pass True, an exception, a tuple as from `sys.exc_info`, text already rendered, or a list already structured.
`normalized` reduces these to a tuple, text, a list or None; the other functions take its result.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from .._config.service_limits import MAX_VALUE_BYTES
from .jsonable import text
from .shrink import cut_inside
from .traceback_text import format_exception

# Formatters and older versions of structlog write this if no exception is being handled.
_NO_EXCEPTION = "NoneType: None"
_HEADER = "Traceback (most recent call last):"
_CAUSE = "The above exception was the direct cause of the following exception:"
_CONTEXT = "During handling of the above exception, another exception occurred:"


def normalized(value: Any) -> Any:
    """Reduce an exception, in any form that callers pass, to one of the four forms above."""
    if value is None or (type(value) is str and value == _NO_EXCEPTION):
        return None
    if type(value) is bool or type(value) is int:
        value = sys.exc_info() if value else None
    elif issubclass(type(value), BaseException):
        value = type(value), value, value.__traceback__
    return None if _is_none(value) else value


def _is_none(exception: Any) -> bool:
    """Return whether this is the result of `sys.exc_info` outside of any except clause."""
    return type(exception) is tuple and all(part is None for part in exception)


def exception_text(exception: Any, limit: int = MAX_VALUE_BYTES) -> str:
    """Render an exception as the standard library does, cut inside to this many bytes."""
    raised = _raised(exception)
    if raised is not None:
        rendered = format_exception(raised, exception[2]).rstrip("\n")
    elif type(exception) is list:
        rendered = _rendered(exception)
    else:
        rendered = text(exception)
    return cut_inside(rendered, limit)


def exception_type(exception: Any) -> str | None:
    """Return the name of the exception's class with its module, as in tracebacks; structlog's list lacks the module."""
    value = _raised(exception)
    if value is None:
        return _attribute(exception, "exc_type")
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def exception_message(exception: Any) -> str | None:
    """Return the exception's message."""
    value = _raised(exception)
    return _attribute(exception, "exc_value") if value is None else str(value)


def exceptions(exception: Any) -> Any:
    """Structure the exception and its causes as structlog does; without local variables, which may hold secrets."""
    if type(exception) is list:
        return exception
    value = _raised(exception)
    if value is None or _has_cycle(value):
        return None
    from structlog.tracebacks import ExceptionDictTransformer

    return ExceptionDictTransformer(show_locals=False)(exception)


def is_raised(exception: Any) -> bool:
    """Return whether this is a tuple as from `sys.exc_info`, with an exception."""
    return type(exception) is tuple and len(exception) == 3 and issubclass(type(exception[1]), BaseException)


def _raised(exception: Any) -> BaseException | None:
    """Return the exception itself if this is a tuple as from `sys.exc_info`."""
    return exception[1] if is_raised(exception) else None


def _has_cycle(exception: BaseException) -> bool:
    """Return whether an exception is among its own causes: structlog before 25.5 follows them for ever."""
    seen: set[int] = set()
    cause: BaseException | None = exception
    while cause is not None:
        if id(cause) in seen:
            return True
        seen.add(id(cause))
        if isinstance(cause, BaseExceptionGroup) and any(_has_cycle(part) for part in cause.exceptions):
            return True
        explicit = cause.__cause__
        cause = cause.__context__ if explicit is None and not cause.__suppress_context__ else explicit
    return False


def _attribute(structured: Any, key: str) -> str | None:
    """Return one value of a structured exception as text."""
    first = structured[0] if type(structured) is list and structured else None
    value = first.get(key) if type(first) is dict else None
    return None if value is None else text(value)


def _rendered(structured: list[Any]) -> str:
    """Render a list that structlog has structured as a traceback; render any other list as JSON."""
    try:
        return "\n".join(_lines(structured)) or text(structured)
    except Exception:  # noqa: BLE001 - any processor may write this key
        return text(structured)


def _lines(structured: list[dict[str, Any]]) -> Iterator[str]:
    # The list has the exception first and then its causes; a traceback has them the other way round.
    for depth, stack in reversed(list(enumerate(structured))):
        if frames := stack["frames"]:
            yield _HEADER
            yield from (f'  File "{frame["filename"]}", line {frame["lineno"]}, in {frame["name"]}' for frame in frames)
        yield f"{stack['exc_type']}: {stack['exc_value']}"
        yield from stack.get("exc_notes", ())
        for group in stack.get("exceptions", ()):
            yield from (f"  | {line}" for line in _lines(group))
        if depth:
            yield from ("", _CAUSE if stack["is_cause"] else _CONTEXT, "")
