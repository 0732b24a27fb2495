"""Encode one value as JSON of its column's type.

Each encoder takes a value other than None and returns bytes, or None if the value does not fit, because the service
would silently replace it with null. `LENIENT` holds encoders for a second try, for tables that have no other place for
such a value.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import orjson

from .._config.service_limits import MAX_VALUE_BYTES
from .jsonable import convert, dumps, escape_surrogates, plain, simplify, text
from .shrink import QUOTES_BYTES, cut, fit
from .timestamps import moment_text

INT_BITS, LONG_BITS = 31, 63
# A real has up to 309 digits before its point and 17 that matter after it.
_MAX_NUMBER_LENGTH = 1_000


def as_string(value: Any) -> bytes:
    """Encode any value as text."""
    if type(value) is not str:
        value = simplify(value)
        # A structure is cut so that it remains JSON.
        is_structure = issubclass(type(value), dict | list | tuple)
        value = as_dynamic(value).decode() if is_structure else text(value)
    if len(value) > MAX_VALUE_BYTES:
        # By its length, because orjson asks for eight times as much memory, and crashes if there is none.
        value = cut(value, MAX_VALUE_BYTES)
    try:
        encoded = orjson.dumps(value)
    except TypeError:  # a lone surrogate
        value = escape_surrogates(value)
        encoded = orjson.dumps(value)
    if len(encoded) > MAX_VALUE_BYTES + QUOTES_BYTES:
        return orjson.dumps(cut(value, MAX_VALUE_BYTES))
    return encoded


def as_dynamic(value: Any) -> bytes:
    """Encode any structure; one that is too large loses its largest parts and stays valid JSON."""
    encoded = dumps(value)
    if len(encoded) > MAX_VALUE_BYTES:
        return orjson.dumps(fit(plain(value), MAX_VALUE_BYTES))
    return encoded


def as_datetime(value: Any) -> bytes | None:
    """Encode a datetime, ISO text or seconds since the epoch as UTC with six decimals."""
    kind = type(value)
    if kind is bool:
        return None
    if not issubclass(kind, (dt.date, str)):
        try:
            value = float(_number(value))
        except (ValueError, OverflowError):
            return None
        except TypeError:
            value = convert(value)
            if not issubclass(type(value), dt.datetime):
                return None
    written = moment_text(value)
    return None if written is None else b'"%b"' % written.encode()


def as_boolean(value: Any) -> bytes | None:
    """Encode true and false."""
    truth = value if type(value) is bool else convert(value)  # NumPy has booleans of its own
    if type(truth) is not bool:
        return None
    return b"true" if truth else b"false"


def as_int(value: Any) -> bytes | None:
    """Encode a 32-bit integer."""
    return _whole(value, INT_BITS)


def as_long(value: Any) -> bytes | None:
    """Encode a 64-bit integer."""
    return _whole(value, LONG_BITS)


def as_real(value: Any) -> bytes | None:
    """Encode a finite number."""
    try:
        number = float(_number(value))
    except (TypeError, ValueError, OverflowError):  # a signalling NaN is a ValueError
        return None
    return orjson.dumps(number) if math.isfinite(number) else None


def _whole(value: Any, bits: int) -> bytes | None:
    try:
        number = _number(value)
        # Compare before converting: Decimal("1e999999999") as an int would take all memory.
        if not -(1 << bits) <= number < 1 << bits:
            return None
        whole = int(number)
    except (TypeError, ArithmeticError):  # text, or a Decimal that is not a number
        return None
    return b"%d" % whole if whole == number else None


def _number(value: Any) -> Any:
    """Return a number as it is, and an enum or NumPy scalar as the number it stands for; raise TypeError otherwise.

    Only types are compared: `isinstance` would ask a lazy object for its class, and so load it.
    """
    for base in (int, float, Decimal):
        if issubclass(type(value), base):
            return base(value) if base is Decimal else base.__pos__(value)  # bypasses the subclass's overrides
    converted = convert(value)
    if issubclass(type(converted), (int, float, Decimal)):
        return converted
    raise TypeError


def _lenient_number(encode: Callable[[Any], bytes | None]) -> Callable[[Any], bytes | None]:
    def encode_text(value: Any) -> bytes | None:
        try:
            return encode(Decimal(_short_text(value)))
        except ArithmeticError:
            return None

    return encode_text


def _lenient_boolean(value: Any) -> bytes | None:
    return {"true": b"true", "1": b"true", "false": b"false", "0": b"false"}.get(_short_text(value).lower())


def _short_text(value: Any) -> str:
    """Return the text of a value, or no text if it is too long to stand for a number that fits a column."""
    written = text(value)
    return written.strip() if len(written) <= _MAX_NUMBER_LENGTH else ""


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
