"""Turns any object into something JSON can hold and a person can read, without waking what is lazy.

Nothing here calls ``isinstance`` on a foreign object or asks it for attributes it may compute: a proxy's
``__class__``, a QuerySet's ``__repr__`` and a model's ``__str__`` run queries. Objects are judged by their type.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from collections import deque
from collections.abc import Callable, ItemsView, KeysView, Mapping, ValuesView
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from types import SimpleNamespace
from typing import Any

import orjson

CACHED_TYPES = 1_024
OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS

_MAX_DEPTH = 32
_UNDERSCORES = 8
# Each node takes two bytes at least: what has more would not fit a value, and is cut anyway.
_MAX_NODES = 32_768
_MAX_STEPS = 4
_converters: dict[type, Callable[[Any], Any]] = {}


def readable(value: Any) -> Any:
    """Convert an object that JSON does not know; total, and orjson's hook for such objects."""
    kind = type(value)
    try:
        convert = _converters.get(kind)
        if convert is None:
            if len(_converters) >= CACHED_TYPES:
                _converters.clear()
            convert = _converters[kind] = _converter(kind)
        return convert(value)
    except Exception:  # noqa: BLE001 - whatever its methods, or its metaclass, do, the row goes on with its type
        return _unreadable(kind)


def is_lazy(value: Any) -> bool:
    """Tell whether an object must not be asked for its text, because that may run a query."""
    return any(_name(base) in _FOREIGN for base in type(value).__mro__)


def simple(value: Any) -> Any:
    """Convert an object until it is of a JSON type; enums of dates and the like take more than one step."""
    for _ in range(_MAX_STEPS):
        kind = type(value)
        if value is None or kind is int or kind is float or kind is bool or kind is tuple:
            return value
        if issubclass(kind, (str, dict, list)):
            return value
        value = readable(value)
    return _unreadable(type(value))


def text(value: Any) -> str:
    """Return an object's text: itself, or what a reader would want to see of it."""
    shown = simple(value)
    kind = type(shown)
    if issubclass(kind, str):
        return str.__str__(shown)
    if kind is int:
        return _huge(shown)
    if kind is float:
        shown = plain(shown)
    return shown if type(shown) is str else dumps(shown).decode()


def dumps(value: Any) -> bytes:
    """Encode anything as JSON; total."""
    try:
        # Never with `readable` as its hook: what Python code changes meanwhile, here or in another thread, orjson reads
        # after it is freed.
        encoded = orjson.dumps(value, None, OPTIONS)
    except Exception:  # noqa: BLE001 - cycles, depth, huge ints, odd keys, lone surrogates: all are handled below
        return orjson.dumps(plain(value))
    if b"\n" in encoded:
        return _on_one_line(encoded, value)
    if b"null" in encoded and _has_non_finite(value, 0):
        return orjson.dumps(plain(value))
    return encoded


def _on_one_line(encoded: bytes, value: Any) -> bytes:
    """Encode again what holds a fragment, which orjson takes as it is, be it JSON or not."""
    try:
        return orjson.dumps(orjson.loads(encoded))
    except ValueError:
        return orjson.dumps(plain(value))


def plain(value: Any) -> Any:
    """Rebuild a value from what JSON surely takes: unique text keys, finite numbers, valid text, no cycles."""
    return _plain(value, 0, [_MAX_NODES], frozenset())


def utc_text(moment: dt.datetime) -> str:
    """Write a datetime as the service reads it; naive ones are local time. What is no moment (NaT) is a ValueError."""
    written = moment.astimezone(dt.UTC).isoformat(timespec="microseconds")
    if not written.endswith("+00:00"):
        raise ValueError(written)
    return written[:-6] + "Z"


def clean(string: str) -> str:
    """Replace lone surrogates, which no valid UTF-8 can hold, by their escapes."""
    return string.encode("utf-8", "backslashreplace").decode()


def _plain(value: Any, depth: int, nodes: list[int], above: frozenset[int]) -> Any:
    nodes[0] -= 1
    kind = type(value)
    if value is None or kind is bool:
        return value
    if issubclass(kind, str):
        return clean(str.__str__(value))
    if issubclass(kind, int) and not issubclass(kind, Enum):
        number = int.__index__(value)
        return number if -(2**63) <= number < 2**63 else _huge(number)
    if kind is float:
        return value if math.isfinite(value) else _NON_FINITE[str(value)]
    if depth >= _MAX_DEPTH or nodes[0] <= 0:
        return "…"
    if id(value) in above:
        return "(cycle)"
    above |= {id(value)}
    if issubclass(kind, dict):
        return _plain_dict(value, depth, nodes, above)
    if kind is tuple or issubclass(kind, list):
        return _plain_list(value, depth, nodes, above)
    return _plain(readable(value), depth + 1, nodes, above)


def _plain_list(value: Any, depth: int, nodes: list[int], above: frozenset[int]) -> list[Any]:
    # A copy, made in one step: showing an item may change the list.
    items = value if type(value) is tuple else list.copy(value)
    built = [_plain(item, depth + 1, nodes, above) for item in items[: max(0, nodes[0])]]
    return built if len(built) == len(items) else [*built, entries_cut(len(items))]


def _plain_dict(value: dict[Any, Any], depth: int, nodes: list[int], above: frozenset[int]) -> dict[str, Any]:
    built: dict[str, Any] = {}
    items = list(dict.items(value))
    for key, item in items[: max(0, nodes[0])]:
        built[distinct(clean(text(key)), built)] = _plain(item, depth + 1, nodes, above)
    if len(built) < len(items):
        built["…"] = entries_cut(len(items))
    return built


def one_line(said: object, limit: int) -> str:
    """Make one line of what somebody else wrote: nothing that steers a terminal, no long pages."""
    line = " ".join(str(said).split())
    shown = "".join(character if character.isprintable() else "?" for character in line[:limit])
    return shown if len(line) <= limit else f"{shown}…"


def distinct(name: str, taken: Mapping[Any, object]) -> str:
    """Return the name, or one like it that is not taken."""
    for _ in range(_UNDERSCORES):
        if name not in taken:
            return name
        name += "_"
    # One by one, many names of the same text would take for ever.
    number = len(taken)
    while f"{name}{number}" in taken:
        number += 1
    return f"{name}{number}"


def _has_non_finite(value: Any, depth: int) -> bool:
    """Tell whether a null in the output may stand for NaN or an infinity rather than None."""
    kind = type(value)
    if kind is float:
        return not math.isfinite(value)
    if value is None or kind is str or kind is int or kind is bool:
        return False
    if depth >= _MAX_DEPTH:
        return True
    if kind is dict:
        return any(_has_non_finite(item, depth + 1) for item in value.values())
    if kind is list or kind is tuple:
        return any(_has_non_finite(item, depth + 1) for item in value)
    return True


def _huge(value: int) -> str:
    return str(value) if value.bit_length() < _PRINTABLE_BITS else hex(value)


def entries_cut(number: int) -> str:
    """Say in a list or mapping that it was longer."""
    return f"…(cut, {number:,} entries)"


def _name(kind: type) -> tuple[Any, Any]:
    """Return a class's module and name, unless its metaclass has other ideas."""
    try:
        return kind.__module__, kind.__qualname__
    except Exception:  # noqa: BLE001 - see above
        return None, type.__getattribute__(kind, "__name__")


def _unreadable(kind: type) -> str:
    module, name = _name(kind)
    return f"({module}.{name} that cannot be shown)"


def _converter(kind: type) -> Callable[[Any], Any]:
    """Choose how objects of a type are shown, by its classes' names and then by what it is built on."""
    for base in kind.__mro__:
        foreign = _FOREIGN.get(_name(base)) or _WITH_TEXT.get(_name(base))
        if foreign is not None:
            return foreign
    for bases, convert in _BUILT_ON:
        if issubclass(kind, bases):
            return convert
    if dataclasses.is_dataclass(kind):
        return _dataclass
    return repr


def _dataclass(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}


def _moment(value: dt.datetime) -> str:
    try:
        return utc_text(value)
    except (ValueError, OverflowError):  # at the ends of the calendar there is no UTC to convert to
        return value.isoformat()


def _bytes(value: bytes | bytearray | memoryview) -> str:
    return bytes(value).decode("utf-8", "backslashreplace")


def _float(value: float) -> float | str:
    return float(value) if math.isfinite(value) else _NON_FINITE[str(float(value))]


def _exception(value: BaseException) -> str:
    return f"{type(value).__qualname__}: {value}"


def _duration(value: dt.timedelta) -> str:
    """Write a duration as Kusto's timespan literal, d.hh:mm:ss.ffffff."""
    sign = "-" if value < dt.timedelta() else ""
    value = abs(value)
    minutes, seconds = divmod(value.seconds, 60)
    return f"{sign}{value.days}.{minutes // 60:02}:{minutes % 60:02}:{seconds:02}.{value.microseconds:06}"


def _numpy_scalar(value: Any) -> Any:
    item = value.item()
    return item if type(item) is not type(value) else repr(value)  # a longdouble's item is itself


_NON_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
# Python refuses to print ints of more than 4,300 digits, about this many bits.
_PRINTABLE_BITS = 14_000

_BUILT_ON: tuple[tuple[type | tuple[type, ...], Callable[[Any], Any]], ...] = (
    (dt.datetime, _moment),
    ((dt.date, dt.time), lambda value: value.isoformat()),
    (dt.timedelta, _duration),
    (Enum, lambda value: value.value),
    (Decimal, str),
    # Never by their repr, which would ask what they hold for theirs.
    ((list, tuple, set, frozenset, deque, KeysView, ValuesView, ItemsView), list),
    ((bytes, bytearray, memoryview), _bytes),
    (BaseException, _exception),
    (PurePath, str),
    (float, _float),
    (Mapping, dict),
    (SimpleNamespace, vars),
    (type, lambda value: f"{value.__module__}.{value.__qualname__}"),
)


def _model(value: Any) -> str:
    """Show a Django model by type and key: its __str__ may follow a relation, which is a query."""
    kind = type(value)
    return f"{kind.__module__}.{kind.__qualname__}({_primary_key(value)})"


def _primary_key(value: Any) -> Any:
    return value.__dict__.get(type(value)._meta.pk.attname)  # noqa: SLF001 - Django documents _meta as public


def _query_set(value: Any) -> str:
    return f"({type(value).__qualname__} of {value.model.__qualname__}, not evaluated)"


def _lazy_object(value: Any) -> Any:
    """Show what Django's lazy object stands for if it was loaded already, and never load it."""
    loaded = value.__dict__.get("_wrapped")
    return "(lazy, not loaded)" if type(loaded) is object or loaded is None else simple(loaded)


def _promise(value: Any) -> str:
    """Show a lazy translation by what would be translated."""
    return str(value.__dict__["_args"][0]) if "_args" in value.__dict__ else _unreadable(type(value))


def _http_request(value: Any) -> dict[str, Any]:
    """Show a Django request by what its WSGI or ASGI server said, without touching session or user."""
    shown = {"method": value.method, "path": value.path}
    # A synchronous view loads the one, an asynchronous one the other, and neither is the other's.
    for name in ("user", "_acached_user"):
        user = value.__dict__.get(name)
        user = getattr(user, "__dict__", {}).get("_wrapped", user)
        # Neither an anonymous user nor one that was not loaded is a model.
        if hasattr(type(user), "_meta") and (key := _primary_key(user)) is not None:
            shown["user"] = key
    return shown


def _socket(value: Any) -> str:
    """Show a socket by who is at its other end, if he still is: Django's development server logs it as the request."""
    try:
        host, port, *_ = value.getpeername()
    except OSError:
        return "(socket, not connected)"
    return f"{host}:{port}"


_FOREIGN: Mapping[tuple[str, str], Callable[[Any], Any]] = {
    ("django.db.models.base", "Model"): _model,
    ("django.db.models.query", "QuerySet"): _query_set,
    ("django.db.models.manager", "BaseManager"): lambda value: f"({type(value).__qualname__})",
    ("django.utils.functional", "LazyObject"): _lazy_object,
    ("django.utils.functional", "Promise"): _promise,
    ("django.http.request", "HttpRequest"): _http_request,
    # Flask's and Flask-Login's `current_user` and the like: what stands behind one may be a query.
    ("werkzeug.local", "LocalProxy"): lambda _: "(proxy, not asked)",
}
# What has a plain text, and a repr with a class's name around it. By name, so that nothing is imported for it.
_WITH_TEXT: Mapping[tuple[str, str], Callable[[Any], Any]] = {
    ("numpy", "generic"): _numpy_scalar,
    ("socket", "socket"): _socket,
    ("uuid", "UUID"): str,
    ("ipaddress", "IPv4Address"): str,
    ("ipaddress", "IPv6Address"): str,
    ("ipaddress", "IPv4Network"): str,
    ("ipaddress", "IPv6Network"): str,
}
