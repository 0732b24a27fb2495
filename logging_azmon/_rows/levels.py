"""Names and numbers of levels: each from the other, whoever has given the one.

structlog tells a level by the method that was called, and its processors write it as text, or as a number. The words
are those of the standard library, so that a query finds the rows of both in one column.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from .jsonable import simple, text

# What the standard library calls by another name, or not at all.
_SAME = {"EXCEPTION": "ERROR", "WARN": "WARNING", "FATAL": "CRITICAL", "MSG": "INFO", "LOG": "INFO"}
_NUMBERS = {
    "TRACE": 5,
    **{name: logging.getLevelNamesMapping()[name] for name in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")},
}
# Numbers that no level has are not printed by the standard library, either.
_LEVEL_BITS = 64


def complete(values: dict[str, Any], *, is_given: bool) -> None:
    """Put a level's name and number in place, from whichever is there; a level that is given tells the number, too."""
    level, number = simple(values.get("level")), values.get("level_number")
    if not is_given and type(number) is int and level == _name(number):
        return  # a record has both, whatever its level is called
    if type(level) is int:
        values["level_number"] = level
        level = _name(level)
    elif issubclass(type(level), str):
        name = str.upper(level)
        level = _SAME.get(name, name)
        number = _NUMBERS.get(level) or logging.getLevelNamesMapping().get(level)
        if number is not None and (is_given or "level_number" not in values):
            values["level_number"] = number
    values["level"] = level
    if type(values.get("level_number")) is not int:
        values["level_number"] = logging.INFO


def _name(number: int) -> str:
    return logging.getLevelName(number) if number.bit_length() < _LEVEL_BITS else text(number)


def number_of(event: Mapping[str, Any], method: str) -> int:
    """Return the number of an event's level; the method called stands in where the event does not say."""
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
