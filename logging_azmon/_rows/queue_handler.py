"""Undo what the standard library's QueueHandler does to a record so that it can be pickled.

Its `prepare` appends traceback and stack to the formatted message and removes arguments and `exc_info`; structlog's
event dict becomes its repr. In a row, each of them has a column of its own.
"""

from __future__ import annotations

import copy
import logging
import re
import threading
from typing import TYPE_CHECKING, Any

import orjson

from .read_event import is_marked

if TYPE_CHECKING:
    from ast import expr

_EXCEPTION = re.compile(r"\n(?=(?:  \+ Exception Group )?Traceback \(most recent call last\):\n)")
_STACK = re.compile(r"\n(?=Stack \(most recent call last\):\n)")
# The end of a message that was logged with exc_info=True while no exception was being handled.
_NO_EXCEPTION = "\nNoneType: None"
# A longer event would be cut anyway, and is not worth the parser's time.
_MAX_EVENT_CHARACTERS = 65_536
# Python's parser recurses in C as deep as the text is nested, up to a limit that is too high for a smaller stack: a
# deeply nested repr would crash the process.
_MIN_STACK_BYTES = 1024 * 1024


def is_prepared(record: logging.LogRecord) -> bool:
    """Return whether a QueueHandler has put everything into the message: nothing else sets the arguments to None."""
    if record.args is not None or record.exc_info is not None or type(record.msg) is not str:
        return False
    message = record.__dict__.get("message")
    return type(message) is str and message == record.msg


def restored(record: logging.LogRecord) -> logging.LogRecord:
    """Return a copy of the record as it was before `prepare`, as far as the message allows."""
    record = copy.copy(record)
    attributes = record.__dict__
    message, stack = _split(_STACK, attributes.pop("message"))
    message, exception = _split(_EXCEPTION, message)
    attributes["msg"] = message.removesuffix(_NO_EXCEPTION)
    attributes["args"] = ()
    attributes["exc_text"] = exception or attributes["exc_text"]
    attributes["stack_info"] = stack or attributes["stack_info"]
    if is_marked(record):
        event = _event(message)
        # An event that cannot be parsed keeps its text.
        attributes["msg"] = {"event": message} if event is None else event
    return record


def _split(start: re.Pattern[str], message: str) -> tuple[str, str | None]:
    match = start.search(message)
    return (message, None) if match is None else (message[: match.start()], message[match.end() :])


def _event(text: str) -> dict[Any, Any] | None:
    """Parse an event dict from its repr, or from the JSON that a formatter has made of it."""
    if not text.startswith("{") or len(text) > _MAX_EVENT_CHARACTERS:
        return None
    try:
        return dict(orjson.loads(text))
    except ValueError:
        pass
    if 0 < threading.stack_size() < _MIN_STACK_BYTES:
        return None
    import ast

    def literal(node: expr) -> Any:
        """Return the value of a literal, or the source text of anything else."""
        try:
            return ast.literal_eval(node)
        except ValueError:
            return ast.unparse(node)

    try:
        (parsed,) = ast.parse(text).body
        node = parsed.value  # type: ignore[attr-defined]  # a node without it raises, and is caught below
        return {literal(key): literal(value) for key, value in zip(node.keys, node.values, strict=True)}
    except Exception:  # noqa: BLE001 - an object's repr may be anything
        return None
