"""Format single values of an answer for a terminal, for JSON and for CSV.

Logged text must not control the terminal: control characters, escape sequences and bidirectional marks are escaped.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import orjson

_NUMBERS = frozenset({"int", "long", "real", "decimal"})


def is_number(kind: str) -> bool:
    """Return whether a column of this type holds numbers."""
    return kind in _NUMBERS


def printable(text: str, *, lines: bool = False) -> str:
    """Escape every character that is not printable; with `lines`, keep line breaks and turn tabs into spaces."""
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or (lines and character == "\n")
        else "    "
        if lines and character == "\t"
        else character.encode("unicode_escape").decode()
        for character in text
    )


def for_display(value: Any, kind: str, *, lines: bool = False) -> str:
    """Format a value for people."""
    if value is None:
        return ""
    if isinstance(value, dt.datetime):
        return display_time(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and kind in _NUMBERS:
        return f"{value:.6g}" if abs(value) < 1e6 else f"{value:.0f}"
    return printable(value if isinstance(value, str) else orjson.dumps(value).decode(), lines=lines)


def display_time(value: dt.datetime) -> str:
    """Format a time in UTC, with milliseconds if it has any."""
    utc = value.astimezone(dt.UTC) if value.tzinfo is not None else value
    text = utc.strftime("%Y-%m-%d %H:%M:%S")
    return f"{text}.{utc.microsecond // 1000:03}" if utc.microsecond else text


def iso_time(value: dt.datetime) -> str:
    """Format a time as the service does."""
    text = (value.astimezone(dt.UTC) if value.tzinfo is not None else value).replace(tzinfo=None).isoformat()
    return f"{text.rstrip('0') if '.' in text else text}Z"


def for_json(value: Any, kind: str) -> Any:
    """Return a value for JSON: times as text, dynamic values parsed."""
    if isinstance(value, dt.datetime):
        return iso_time(value)
    if kind == "dynamic" and isinstance(value, str):
        try:
            return orjson.loads(value)
        except ValueError:
            return value
    return value


def json_for_terminal(text: str) -> str:
    """Escape in JSON what could control a terminal: also C1 characters and bidirectional marks, which JSON may hold."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in text)


def json_line(row: Any, *, is_terminal: bool) -> bytes:
    """Return a row as a line of JSON."""
    line = orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
    return json_for_terminal(line.decode()).encode() if is_terminal else line


def for_csv(value: Any) -> Any:
    """Return a value for CSV: dynamic values as JSON."""
    if isinstance(value, dt.datetime):
        return iso_time(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return orjson.dumps(value).decode() if isinstance(value, dict | list) else value
