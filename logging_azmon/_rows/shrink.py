"""Shorten values and rows to the limits of the service, with a visible mark where something was cut.

Text is cut at its end, or in the middle. A structure gives up its largest parts first and stays valid JSON.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

QUOTES_BYTES = 2
# Characters that are encoded at once to count the bytes of long text.
_CHUNK = 1_000_000
# The mark of text that was cut before, and the most characters that it takes.
_MARK = re.compile(r"…\(cut, [0-9,]+ bytes\)\Z")
_MARK_LENGTH = 64
# If each part would get fewer bytes than this, the last parts are dropped instead.
_MIN_SHARE = 64


def shrink_row(line: bytes, limit: int) -> bytes:
    """Shorten a row to at most `limit` bytes, its largest values first."""
    return orjson.dumps(fit(orjson.loads(line), limit - 1)) + b"\n"


def cut(string: str, limit: int) -> str:
    """Shorten text to at most `limit` bytes of UTF-8, the mark included; text that was cut before keeps its mark."""
    encoded = _start(string, limit)
    size = len(encoded) if len(string) <= limit else utf8_bytes(string)
    if size <= limit:
        return encoded.decode()
    if earlier := _MARK.search(string, max(0, len(string) - _MARK_LENGTH)):
        mark, encoded = earlier[0], _start(string[: earlier.start()], limit)
    else:
        mark = f"…(cut, {size:,} bytes)"
    return encoded[: max(0, limit - len(mark.encode()))].decode("utf-8", "ignore") + mark


def cut_inside(string: str, limit: int) -> str:
    """Shorten text as `cut` does, but in the middle: the last lines of a traceback say most."""
    size = utf8_bytes(string)
    if size <= limit:
        return _start(string, limit).decode()
    mark = f"\n…(cut, {size:,} bytes)\n"
    room = limit - len(mark.encode())
    last = _utf8(string[-limit:])
    first, last = _start(string, limit)[: room // 4], last[len(last) - (room - room // 4) :]
    return first.decode("utf-8", "ignore") + mark + last.decode("utf-8", "ignore")


def utf8_bytes(string: str) -> int:
    """Return how many bytes of UTF-8 text takes, without a copy of text that may fill the memory already."""
    if string.isascii():
        return len(string)
    return sum(len(_utf8(string[start : start + _CHUNK])) for start in range(0, len(string), _CHUNK))


def _start(string: str, limit: int) -> bytes:
    """Encode as many characters as `limit` bytes can hold, and no more."""
    return _utf8(string[: max(0, limit)])


def _utf8(string: str) -> bytes:
    return string.encode("utf-8", "backslashreplace")


def entries_cut(number: int) -> str:
    """Return the mark of a list or mapping that had `number` entries before it was cut."""
    return f"…(cut, {number:,} entries)"


def fit(value: Any, limit: int) -> Any:
    """Shorten a plain value until its JSON has at most `limit` bytes; the largest parts give way first.

    Numbers and constants always fit, because every limit is longer.
    """
    if len(orjson.dumps(value)) <= limit:
        return value
    if isinstance(value, str):
        return _fit_text(value, limit)
    if isinstance(value, dict):
        sizes = {key: len(orjson.dumps(item)) for key, item in value.items()}
        room = limit - 2 - sum(len(orjson.dumps(key)) + 2 for key in value)
        share = _fair_share(list(sizes.values()), room)
        if share >= _MIN_SHARE:
            return {key: item if sizes[key] <= share else fit(item, share) for key, item in value.items()}
        return _first_parts(value, limit)
    return _first_parts(dict(enumerate(value)), limit)


def _fit_text(value: str, limit: int) -> str:
    """Cut text so that its JSON fits: escapes can make it six times as long."""
    room = limit - QUOTES_BYTES
    shorter = cut(value, room)
    while len(orjson.dumps(shorter)) > limit and room > 0:
        room = room * limit // (len(orjson.dumps(shorter)) + 1)
        shorter = cut(value, room)
    return shorter


def _first_parts(parts: dict[Any, Any], limit: int) -> Any:
    """Keep as many of the first parts as fit, and append a mark with the original number of parts."""
    is_list = all(isinstance(key, int) for key in parts)
    mark = entries_cut(len(parts))
    last = next(reversed(parts))
    # A value that was cut before keeps its mark, which has the original number.
    if isinstance(parts[last], str) and parts[last].startswith("…(cut, "):
        mark = parts.pop(last)
    size, kept = len(orjson.dumps(mark)) + 8, {}
    for key, part in parts.items():
        shortened = fit(part, max(_MIN_SHARE, limit // 2))
        size += len(orjson.dumps(shortened)) + (1 if is_list else len(orjson.dumps(key)) + 2)
        if size > limit:
            break
        kept[key] = shortened
    return [*kept.values(), mark] if is_list else {**kept, "…": mark}


def _fair_share(sizes: list[int], room: int) -> int:
    """Return the most bytes that one part may take so that all fit; large parts share what small ones do not need."""
    remaining = len(sizes)
    for size in sorted(sizes):  # pragma: no branch - called only when not all parts fit
        if size * remaining > room:
            break
        room -= size
        remaining -= 1
    return room // max(1, remaining)
