"""Write a traceback as `traceback.format_exception` does, byte for byte, but write each of its frames only once.

The library reads the source of every frame again for each traceback. An application raises at a few places, so the text
of a frame is kept. What proves that a frame is the same is its code object, instruction and line.

Rules: many threads use the cache concurrently, without a lock: it is filled key by key, and cleared when it is full.
The standard library is the definition. It writes each frame when it is first seen, each last line that needs more than
a name and a text, and the whole traceback where groups or `sys.tracebacklimit` are involved. One difference is
intended: after a source file was edited, a frame keeps the lines that it had when it was first written. These are the
lines that run.
"""

from __future__ import annotations

import sys
import traceback
from types import CodeType, TracebackType

_MAX_FRAMES = 1_024
# The library writes a frame this many times before it counts the repetitions.
_MAX_REPEATED = 3
_HEADER = "Traceback (most recent call last):\n"
_CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT = "\nDuring handling of the above exception, another exception occurred:\n\n"
# The library adds source lines or suggestions to these.
_SPECIAL = (SyntaxError, NameError, AttributeError, ImportError)

# The text of each frame, with its code object: that keeps the code alive, so no other can have the same id.
_frames: dict[tuple[int, int, int], tuple[CodeType, str]] = {}


def format_exception(value: BaseException, tb: TracebackType | None) -> str:
    """Return what the standard library writes for an exception that was caught with this traceback."""
    chain = _chain(value)
    if chain is None or hasattr(sys, "tracebacklimit"):
        return "".join(traceback.format_exception(type(value), value, tb))
    parts: list[str] = []
    for exception, relation in reversed(chain):
        own = tb if exception is value else exception.__traceback__
        if own is not None:
            parts.append(_HEADER)
            _add_frames(parts, own)
        parts += (_last_lines(exception, own), relation)
    return "".join(parts)


def _chain(value: BaseException) -> list[tuple[BaseException, str]] | None:
    """Return the exception and those that led to it, each with what links it to the next; None if one is a group."""
    chain: list[tuple[BaseException, str]] = []
    seen: set[int] = set()
    relation = ""
    exception: BaseException | None = value
    while exception is not None:
        if isinstance(exception, BaseExceptionGroup):
            return None
        seen.add(id(exception))
        chain.append((exception, relation))
        cause, context = exception.__cause__, exception.__context__
        if cause is not None and id(cause) not in seen:
            exception, relation = cause, _CAUSE
        elif context is not None and not exception.__suppress_context__ and id(context) not in seen:
            exception, relation = context, _CONTEXT
        else:
            exception = None
    return chain


def _add_frames(parts: list[str], tb: TracebackType) -> None:
    """Add the text of each frame; of one that follows itself, only the first few, and how many are left out."""
    last: tuple[str, int | None, str] | None = None
    repeated = 0
    rest: TracebackType | None = tb
    while rest is not None:
        code = rest.tb_frame.f_code
        place = (code.co_filename, rest.tb_lineno, code.co_name)
        if place != last:
            _add_repeated(parts, repeated)
            last, repeated = place, 0
        repeated += 1
        if repeated <= _MAX_REPEATED:
            parts.append(_frame_text(rest, code))
        rest = rest.tb_next
    _add_repeated(parts, repeated)


def _add_repeated(parts: list[str], repeated: int) -> None:
    more = repeated - _MAX_REPEATED
    if more > 0:
        parts.append(f"  [Previous line repeated {more} more time{'s' if more > 1 else ''}]\n")


def _frame_text(tb: TracebackType, code: CodeType) -> str:
    key = (id(code), tb.tb_lasti, tb.tb_lineno or 0)
    known = _frames.get(key)
    if known is not None:
        return known[1]
    text = "".join(traceback.format_tb(tb, 1))
    if len(_frames) >= _MAX_FRAMES:
        _frames.clear()
    _frames[key] = (code, text)
    return text


def _last_lines(exception: BaseException, tb: TracebackType | None) -> str:
    """Return the line with the type and the text, and whatever the library adds to it."""
    kind = type(exception)
    if issubclass(kind, _SPECIAL) or _has_notes(exception):
        lines = traceback.TracebackException(kind, exception, tb, limit=0).format_exception_only()
        return "".join(lines)
    module = kind.__module__
    name = kind.__qualname__ if module in {"builtins", "__main__"} else f"{module}.{kind.__qualname__}"
    try:
        text = str(exception)
    except Exception:  # noqa: BLE001 - as the library does
        text = "<exception str() failed>"
    return f"{name}: {text}\n" if text else f"{name}\n"


def _has_notes(exception: BaseException) -> bool:
    try:
        return exception.__notes__ is not None
    except AttributeError:
        return False
    except Exception:  # noqa: BLE001 - a property may raise anything; the library says so
        return True
