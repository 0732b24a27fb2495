"""Undoes what a QueueHandler does to a record so that it can be pickled: it puts everything into the message.

The standard library's `prepare` appends traceback and stack to the formatted message and takes arguments and `exc_info`
away; structlog's event dict becomes its repr. In a row, each of them has a column of its own.
"""

from __future__ import annotations

import copy
import logging
import re
import threading
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from ast import expr

_EXCEPTION = re.compile(r"\n(?=(?:  \+ Exception Group )?Traceback \(most recent call last\):\n)")
_STACK = re.compile(r"\n(?=Stack \(most recent call last\):\n)")
# How a traceback looks where there was no exception.
_NO_EXCEPTION = "\nNoneType: None"
# Longer ones are cut anyway, and are not worth a parser's time.
_MAX_EVENT_CHARACTERS = 65_536
# Python's parser recurses in C as deep as the text is nested, up to a limit that smaller stacks do not hold: a `repr`
# of somebody's making would end the process.
_LEAST_STACK_BYTES = 1024 * 1024


def is_prepared(record: logging.LogRecord) -> bool:
    """Tell whether a QueueHandler has put everything into the message: nobody else sets the arguments to None."""
    if record.args is not None or record.exc_info is not None or type(record.msg) is not str:
        return False
    message = record.__dict__.get("message")
    return type(message) is str and message == record.msg


def restored(record: logging.LogRecord) -> logging.LogRecord:
    """Return the record as it was before, as far as the message tells."""
    record = copy.copy(record)
    attributes = record.__dict__
    message, stack = _split(_STACK, attributes.pop("message"))
    message, exception = _split(_EXCEPTION, message)
    attributes["msg"] = message.removesuffix(_NO_EXCEPTION)
    attributes["args"] = ()
    attributes["exc_text"] = exception or attributes["exc_text"]
    attributes["stack_info"] = stack or attributes["stack_info"]
    if "_logger" in attributes and "_name" in attributes:
        event = _event(message)
        # Its text is kept where it cannot be read.
        attributes["msg"] = {"event": message} if event is None else event
    return record


def _split(start: re.Pattern[str], message: str) -> tuple[str, str | None]:
    found = start.search(message)
    return (message, None) if found is None else (message[: found.start()], message[found.end() :])


def _event(shown: str) -> dict[Any, Any] | None:
    """Read an event dict from its repr, or from the JSON that a formatter has made of it."""
    if not shown.startswith("{") or len(shown) > _MAX_EVENT_CHARACTERS:
        return None
    try:
        return dict(orjson.loads(shown))
    except ValueError:
        pass
    if 0 < threading.stack_size() < _LEAST_STACK_BYTES:
        return None
    import ast

    def literal(node: expr) -> Any:
        """Return a value that can be written down as such, else its repr."""
        try:
            return ast.literal_eval(node)
        except ValueError:
            return ast.unparse(node)

    try:
        (parsed,) = ast.parse(shown).body
        node = parsed.value  # type: ignore[attr-defined]  # anything without is caught below
        return {literal(key): literal(value) for key, value in zip(node.keys, node.values, strict=True)}
    except Exception:  # noqa: BLE001 - an object's repr may be anything
        return None
