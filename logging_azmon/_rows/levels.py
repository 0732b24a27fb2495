"""Fill in a level's name from its number, and its number from its name.

structlog passes the name of the called method as the level, and its processors write a level as text or as a number.
Rows use the standard library's names, so that one query finds the rows of both. Other programs use further names; these
are understood in entries and rows that come from elsewhere, not in a log call.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from .jsonable import simplify, text

STANDARD_NAMES = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
# Every name that a program may use for a level, with the number that this library gives it, in ascending order.
NUMBER_OF_WORD: Mapping[str, int] = {
    "TRACE": 5,
    "DEBUG": 10,
    "VERBOSE": 10,
    "INFO": 20,
    "INFORMATION": 20,
    "INFORMATIONAL": 20,
    "NOTICE": 25,
    "WARN": 30,
    "WARNING": 30,
    "ERR": 40,
    "ERROR": 40,
    "CRIT": 50,
    "CRITICAL": 50,
    "FATAL": 50,
    "ALERT": 50,
    "EMERG": 50,
}
# The names that need no call of addLevelName; the standard library does not know structlog's TRACE.
_STANDARD_NUMBERS = {name: NUMBER_OF_WORD[name] for name in ("TRACE", *STANDARD_NAMES)}
# structlog's methods that are not named after their level.
_NAME_OF_METHOD = {"EXCEPTION": "ERROR", "WARN": "WARNING", "FATAL": "CRITICAL", "MSG": "INFO", "LOG": "INFO"}
# Other programs' names for a level, with the standard names that replace them.
_NAME_OF_WORD = {"WARN": "WARNING", "ERR": "ERROR", "FATAL": "CRITICAL", "CRIT": "CRITICAL", "INFORMATION": "INFO"}
# No real level has a number of this many bits, and Python refuses to print the longest integers.
_PRINTABLE_BITS = 64


def complete(values: dict[str, Any], *, is_given: bool) -> None:
    """Fill in `level` and `level_number` from each other; if the event itself has a level, the number follows it."""
    level, number = simplify(values.get("level")), values.get("level_number")
    if not is_given and type(number) is int and level == _name(number):
        return  # a record has both already, and its level may have a custom name
    if type(level) is int:
        values["level_number"] = level
        level = _name(level)
    elif issubclass(type(level), str):
        name = str.upper(level)
        level = _NAME_OF_METHOD.get(name, name)
        number = _STANDARD_NUMBERS.get(level) or logging.getLevelNamesMapping().get(level)
        if number is not None and (is_given or "level_number" not in values):
            values["level_number"] = number
    values["level"] = level
    if type(values.get("level_number")) is not int:
        values["level_number"] = logging.INFO


def number_of(event: Mapping[str, Any], method: str) -> int:
    """Return the number of an event's level; the called method's name stands in for a missing level."""
    level, number = event.get("level"), event.get("level_number")
    record: Any = event.get("_record")
    values: dict[str, Any] = {"level": method}
    if issubclass(type(record), logging.LogRecord):
        values = {"level": record.levelname, "level_number": record.levelno}
    if level is not None:
        values["level"] = level
    if number is not None:
        values["level_number"] = number
    complete(values, is_given=level is not None)
    return int(values["level_number"])


def of_entry(level: Any, number: Any) -> tuple[Any, Any]:
    """Return the name and number of a level that another program has written, each filled in from the other."""
    if isinstance(level, bool):
        return level, None
    if isinstance(level, int):
        return logging.getLevelName(level), level
    if isinstance(level, str):
        name = level.upper()
        name = _NAME_OF_WORD.get(name, name)
        known = logging.getLevelNamesMapping().get(name)
        return name, known if known is not None else number if isinstance(number, int) else None
    if level is None and isinstance(number, int):
        return logging.getLevelName(number), number
    return level, None


def number_of_word(word: str) -> int:
    """Return a level's number by any program's name for it, or NOTSET if the name is unknown."""
    return NUMBER_OF_WORD.get(word.upper(), logging.NOTSET)


def _name(number: int) -> str:
    return logging.getLevelName(number) if number.bit_length() < _PRINTABLE_BITS else text(number)


def _stepped(*steps: tuple[int, Any]) -> Callable[[Any], Any]:
    """Return a function that maps a level's number to the value of the highest step that it reaches."""

    def derive(number: Any) -> Any:
        if type(number) is not int:
            return None
        return next((word for least, word in steps if number >= least), steps[-1][1])

    return derive


# The fields for a level in built-in tables: syslog's words, CEF's numbers, and the event log's numbers and words.
DERIVED_FIELDS: Mapping[str, Callable[[Any], Any]] = {
    "syslog_severity": _stepped(
        (logging.CRITICAL, "crit"),
        (logging.ERROR, "err"),
        (logging.WARNING, "warning"),
        (logging.INFO + 5, "notice"),
        (logging.INFO, "info"),
        (0, "debug"),
    ),
    "cef_severity": _stepped(
        (logging.CRITICAL, "10"), (logging.ERROR, "8"), (logging.WARNING, "6"), (logging.INFO, "3"), (0, "1")
    ),
    "event_level": _stepped((logging.CRITICAL, 1), (logging.ERROR, 2), (logging.WARNING, 3), (logging.INFO, 4), (0, 5)),
    "event_level_name": _stepped(
        (logging.CRITICAL, "Critical"),
        (logging.ERROR, "Error"),
        (logging.WARNING, "Warning"),
        (logging.INFO, "Information"),
        (0, "Verbose"),
    ),
    "event_type": _stepped((logging.ERROR, 1), (logging.WARNING, 2), (0, 4)),
}
