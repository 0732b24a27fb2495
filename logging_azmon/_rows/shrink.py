"""Shorten values and rows to the limits of the service, with a visible mark where something was cut.

Text is cut at its end, or in the middle. A structure gives up its largest parts first and stays valid JSON.
"""

from __future__ import annotations

from typing import Any

import orjson

QUOTES_BYTES = 2
# If each part would get fewer bytes than this, the last parts are dropped instead.
_MIN_SHARE = 64


def shrink_row(line: bytes, limit: int) -> bytes:
    """Shorten a row to at most `limit` bytes, its largest values first."""
    return orjson.dumps(fit(orjson.loads(line), limit - 1)) + b"\n"


def cut(string: str, limit: int) -> str:
    """Shorten text to at most `limit` bytes of UTF-8, the mark included."""
    encoded = string.encode("utf-8", "backslashreplace")
    if len(encoded) <= limit:
        return encoded.decode()
    mark = f"…(cut, {len(encoded):,} bytes)"
    return encoded[: max(0, limit - len(mark.encode()))].decode("utf-8", "ignore") + mark


def cut_inside(string: str, limit: int) -> str:
    """Shorten text as `cut` does, but in the middle: the last lines of a traceback say most."""
    encoded = string.encode("utf-8", "backslashreplace")
    if len(encoded) <= limit:
        return encoded.decode()
    mark = f"\n…(cut, {len(encoded):,} bytes)\n"
    room = limit - len(mark.encode())
    first, last = encoded[: room // 4], encoded[len(encoded) - (room - room // 4) :]
    return first.decode("utf-8", "ignore") + mark + last.decode("utf-8", "ignore")


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
