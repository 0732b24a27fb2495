"""Encodes one value as JSON of its column's type, or says that it does not fit.

Each encoder takes a value that is not None and returns bytes, or None where the value does not fit: the service would
turn it to null in silence. `LENIENT` holds second tries for tables that have nowhere else to put such a value.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import orjson

from .._config.service_limits import MAX_VALUE_BYTES
from .jsonable import clean, dumps, entries_cut, plain, readable, simple, text, utc_text

_QUOTES = 2
INT_BITS, LONG_BITS = 31, 63
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def as_string(value: Any) -> bytes:
    """Encode text; everything has one."""
    if type(value) is not str:
        value = simple(value)
        # A structure is cut so that it still is JSON.
        is_structure = issubclass(type(value), dict | list | tuple)
        value = as_dynamic(value).decode() if is_structure else text(value)
    try:
        encoded = orjson.dumps(value)
    except TypeError:  # a lone surrogate
        value = clean(value)
        encoded = orjson.dumps(value)
    if len(encoded) > MAX_VALUE_BYTES + _QUOTES:
        return orjson.dumps(cut(value, MAX_VALUE_BYTES))
    return encoded


def as_dynamic(value: Any) -> bytes:
    """Encode any structure; what is too large loses its largest parts and stays valid."""
    encoded = dumps(value)
    if len(encoded) > MAX_VALUE_BYTES:
        return orjson.dumps(fit(plain(value), MAX_VALUE_BYTES))
    return encoded


def as_datetime(value: Any) -> bytes | None:
    """Encode a datetime, ISO text or seconds since the epoch as UTC with six decimals."""
    written = datetime_text(value)
    return None if written is None else b'"%b"' % written.encode()


def as_boolean(value: Any) -> bytes | None:
    """Encode true and false."""
    known = value if type(value) is bool else readable(value)  # NumPy has truth values of its own
    if type(known) is not bool:
        return None
    return b"true" if known else b"false"


def as_int(value: Any) -> bytes | None:
    """Encode a whole number of 32 bits."""
    return _whole(value, INT_BITS)


def as_long(value: Any) -> bytes | None:
    """Encode a whole number of 64 bits."""
    return _whole(value, LONG_BITS)


def as_real(value: Any) -> bytes | None:
    """Encode a finite number."""
    try:
        number = float(_number(value))
    except (TypeError, ValueError, OverflowError):  # a signalling NaN is a ValueError
        return None
    return orjson.dumps(number) if math.isfinite(number) else None


def datetime_text(value: Any) -> str | None:
    """Write a moment as the service reads it, or return None if it is none."""
    kind = type(value)
    try:
        if issubclass(kind, dt.datetime):
            return utc_text(value)
        if issubclass(kind, dt.date):
            return utc_text(dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC))
        if issubclass(kind, str):
            return utc_text(dt.datetime.fromisoformat(value))
        if kind is bool:
            return None
        # Not fromtimestamp: Windows knows no time before 1970.
        return utc_text(_EPOCH + dt.timedelta(seconds=float(_number(value))))
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def cut(string: str, limit: int) -> str:
    """Shorten text to so many bytes of UTF-8, the mark included."""
    encoded = string.encode("utf-8", "backslashreplace")
    if len(encoded) <= limit:
        return encoded.decode()
    mark = f"…(cut, {len(encoded):,} bytes)"
    return encoded[: max(0, limit - len(mark.encode()))].decode("utf-8", "ignore") + mark


def cut_inside(string: str, limit: int) -> str:
    """Shorten text in the middle, as `cut` does at the end: of a traceback, the last lines say most."""
    encoded = string.encode("utf-8", "backslashreplace")
    if len(encoded) <= limit:
        return encoded.decode()
    mark = f"\n…(cut, {len(encoded):,} bytes)\n"
    room = limit - len(mark.encode())
    first, last = encoded[: room // 4], encoded[len(encoded) - (room - room // 4) :]
    return first.decode("utf-8", "ignore") + mark + last.decode("utf-8", "ignore")


def fit(value: Any, limit: int) -> Any:
    """Make a plain value's JSON at most so long: the largest parts give way first, small ones stay as they are.

    Numbers and the like always fit: no limit is shorter than they are.
    """
    if len(orjson.dumps(value)) <= limit:
        return value
    if isinstance(value, str):
        return _fit_text(value, limit)
    if isinstance(value, dict):
        sizes = {key: len(orjson.dumps(item)) for key, item in value.items()}
        room = limit - 2 - sum(len(orjson.dumps(key)) + 2 for key in value)
        share = _fair_share(list(sizes.values()), room)
        if share >= _LEAST_SHARE:
            return {key: item if sizes[key] <= share else fit(item, share) for key, item in value.items()}
        return _first_parts(value, limit)
    return _first_parts(dict(enumerate(value)), limit)


def _fit_text(value: str, limit: int) -> str:
    """Cut text so that its JSON fits: escapes can make it six times as long."""
    room = limit - _QUOTES
    shorter = cut(value, room)
    while len(orjson.dumps(shorter)) > limit and room > 0:
        room = room * limit // (len(orjson.dumps(shorter)) + 1)
        shorter = cut(value, room)
    return shorter


def _first_parts(parts: dict[Any, Any], limit: int) -> Any:
    """Keep what fits of many parts, from the first on, and say how many there were."""
    is_list = all(isinstance(key, int) for key in parts)
    mark = entries_cut(len(parts))
    last = next(reversed(parts))
    if isinstance(parts[last], str) and parts[last].startswith("…(cut, "):  # has been cut before: that was the number
        mark = parts.pop(last)
    size, kept = len(orjson.dumps(mark)) + 8, {}
    for key, part in parts.items():
        shortened = fit(part, max(_LEAST_SHARE, limit // 2))
        size += len(orjson.dumps(shortened)) + (1 if is_list else len(orjson.dumps(key)) + 2)
        if size > limit:
            break
        kept[key] = shortened
    return [*kept.values(), mark] if is_list else {**kept, "…": mark}


def _fair_share(sizes: list[int], room: int) -> int:
    """Return the most that one part may take so that all together fit: what small ones leave, large ones share."""
    left = len(sizes)
    for size in sorted(sizes):  # pragma: no branch - it is asked only where not all fit
        if size * left > room:
            break
        room -= size
        left -= 1
    return room // max(1, left)


_LEAST_SHARE = 64


def _whole(value: Any, bits: int) -> bytes | None:
    try:
        number = _number(value)
        # Compared before it is converted: Decimal("1e999999999") as an int would take all memory.
        if not -(1 << bits) <= number < 1 << bits:
            return None
        whole = int(number)
    except (TypeError, ArithmeticError):  # text, or a Decimal that is no number
        return None
    return b"%d" % whole if whole == number else None


def _number(value: Any) -> Any:
    """Return a number as it is, and enums and NumPy's scalars as the numbers they stand for; text is none.

    Types are compared, never instances: asking a lazy object for its class would load it.
    """
    for base in (int, float, Decimal):
        if issubclass(type(value), base):
            return base(value) if base is Decimal else base.__pos__(value)  # whatever a subclass makes of comparisons
    shown = readable(value)
    if issubclass(type(shown), (int, float, Decimal)):
        return shown
    raise TypeError


def _lenient_number(encode: Callable[[Any], bytes | None]) -> Callable[[Any], bytes | None]:
    def encode_text(value: Any) -> bytes | None:
        try:
            return encode(Decimal(text(value).strip()))
        except ArithmeticError:
            return None

    return encode_text


def _lenient_boolean(value: Any) -> bytes | None:
    return {"true": b"true", "1": b"true", "false": b"false", "0": b"false"}.get(text(value).strip().lower())


ENCODERS: Mapping[str, Callable[[Any], bytes | None]] = {
    "string": as_string,
    "int": as_int,
    "long": as_long,
    "real": as_real,
    "boolean": as_boolean,
    "datetime": as_datetime,
    "dynamic": as_dynamic,
}
LENIENT: Mapping[str, Callable[[Any], bytes | None]] = {
    "int": _lenient_number(as_int),
    "long": _lenient_number(as_long),
    "real": _lenient_number(as_real),
    "boolean": _lenient_boolean,
}
