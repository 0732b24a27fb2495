"""Turn any object into something that JSON can hold and a person can read, without evaluating lazy objects.

Nothing here calls `isinstance` on a foreign object, or asks it for attributes that it may compute: a proxy's
``__class__``, a QuerySet's ``__repr__`` and a model's ``__str__`` run queries. Objects are judged by their type.

This module knows the built-in types and a few of the standard library. `foreign_types` registers all others, by name.

Rules: the cache of converters is filled by many threads without a lock, key by key, and cleared when full.
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

from .._config.service_limits import MAX_VALUE_BYTES
from .shrink import cut, entries_cut
from .timestamps import utc_text

Convert = Callable[[Any], Any]

CACHED_TYPES = 1_024
# Each node takes at least two bytes, so a value with more nodes would be cut anyway.
MAX_NODES = 32_768
LONG_TEXT, FRAGMENT = "long text", "fragment"
OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS

_MAX_DEPTH = 32
_MAX_UNDERSCORES = 8
_MAX_STEPS = 4
# Python refuses to print integers of more than 4,300 digits, which is about this many bits.
_PRINTABLE_BITS = 14_000
_NON_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}

_converters: dict[type, Convert] = {}
# Converters by the module and the name of a class, and the classes whose objects must not be passed to str or repr.
_registered: dict[tuple[Any, Any], Convert] = {}
_lazy: set[tuple[Any, Any]] = set()


def register(module: str, name: str, convert_object: Convert, *, is_lazy: bool = False) -> None:
    """Set how objects of a class and its subclasses are converted; the class is given by name, and never imported.

    A lazy object is never passed to str or repr, because that may run a query.
    """
    _registered[module, name] = convert_object
    if is_lazy:
        _lazy.add((module, name))


def convert(value: Any) -> Any:
    """Convert an object that JSON does not know, by one step; never raise."""
    kind = type(value)
    try:
        converter = _converters.get(kind)
        if converter is None:
            if len(_converters) >= CACHED_TYPES:
                _converters.clear()
            converter = _converters[kind] = _converter(kind)
        return converter(value)
    except Exception:  # noqa: BLE001 - any method of the object or its metaclass may raise; its type is shown instead
        return unreadable(kind)


def is_lazy(value: Any) -> bool:
    """Return whether an object must not be passed to str or repr, because that may run a query."""
    return any(_name(base) in _lazy for base in type(value).__mro__)


def simplify(value: Any) -> Any:
    """Convert an object until it is of a JSON type; enums of dates and the like take more than one step."""
    for _ in range(_MAX_STEPS):
        kind = type(value)
        if value is None or kind is int or kind is float or kind is bool or kind is tuple:
            return value
        if issubclass(kind, (str, dict, list)):
            return value
        value = convert(value)
    return unreadable(type(value))


def text(value: Any) -> str:
    """Return an object's text: the object itself if it is text, otherwise a readable form of it."""
    simple = simplify(value)
    kind = type(simple)
    if issubclass(kind, str):
        return str.__str__(simple)
    if kind is int:
        return _integer_text(simple)
    if kind is float:
        simple = plain(simple)
    return simple if type(simple) is str else dumps(simple).decode()


def dumps(value: Any) -> bytes:
    """Encode anything as JSON; never raise."""
    if (hazard := hazard_in(value)) == LONG_TEXT:
        return orjson.dumps(plain(value))
    try:
        # Never pass `convert` as orjson's hook: if Python code changes a container meanwhile, in any thread,
        # orjson goes on reading freed memory.
        encoded = orjson.dumps(value, None, OPTIONS)
        if hazard == FRAGMENT:
            encoded = orjson.dumps(orjson.loads(encoded))
    except Exception:  # noqa: BLE001 - cycles, depth, huge integers, odd keys, lone surrogates: `plain` handles them all
        return orjson.dumps(plain(value))
    if b"null" in encoded and _has_non_finite(value, 0):
        return orjson.dumps(plain(value))
    return encoded


def plain(value: Any) -> Any:
    """Rebuild a value so that JSON always takes it: unique text keys, finite numbers, valid text, no cycles."""
    return _plain(value, 0, [MAX_NODES], frozenset())


# One loop, because a call for each part would cost more than looking at it.
def hazard_in(value: Any) -> str:  # noqa: C901 - see above
    """Return which hazard for orjson a value holds, LONG_TEXT before FRAGMENT, or an empty text.

    orjson asks for eight times the length of a text in memory, and crashes if there is none, so long text is cut
    first. A value with very many parts, or with keys that are not text, counts as long: it must be rebuilt anyway. A
    Fragment may hold a line end, or anything else that is not JSON.
    """
    found = ""
    left = MAX_NODES
    todo: list[Any] = [(value,)]
    try:
        for parts in todo:
            left -= len(parts)
            if left < 0:
                return LONG_TEXT
            for part in parts:
                kind = type(part)
                # The ordinary types first, by identity.
                if kind is str:
                    if len(part) > MAX_VALUE_BYTES:
                        return LONG_TEXT
                elif kind is int or kind is float or kind is bool or part is None:
                    continue
                elif kind is list or kind is tuple:
                    todo.append(part)
                elif kind is dict or issubclass(kind, dict):
                    if sum(map(len, dict.keys(part))) > MAX_VALUE_BYTES:
                        return LONG_TEXT
                    # A copy, because the mapping may change meanwhile.
                    todo.append([*dict.values(part)])
                elif kind is orjson.Fragment:
                    found = FRAGMENT
                else:
                    todo.append(_hidden_parts(part))
    except TypeError:  # a key that is not text
        return LONG_TEXT
    return found


def _hidden_parts(value: Any) -> tuple[Any, ...] | list[Any]:
    """Return what orjson writes for an object of another type, in an ordinary one; it refuses most."""
    kind = type(value)
    if issubclass(kind, str):
        return (str.__str__(value),)
    if issubclass(kind, list):
        return list.copy(value)
    return (value._value_,) if issubclass(kind, Enum) else ()


def escape_surrogates(string: str) -> str:
    """Replace lone surrogates, which valid UTF-8 cannot hold, by their escapes."""
    return string.encode("utf-8", "backslashreplace").decode()


def distinct(name: str, taken: Mapping[Any, object]) -> str:
    """Return the name, with underscores or a number appended if it is taken."""
    for _ in range(_MAX_UNDERSCORES):
        if name not in taken:
            return name
        name += "_"
    # Adding one underscore at a time would take quadratic time for many equal names.
    number = len(taken)
    while f"{name}{number}" in taken:
        number += 1
    return f"{name}{number}"


def unreadable(kind: type) -> str:
    """Return the text that is shown for an object that cannot be converted."""
    module, name = _name(kind)
    return f"({module}.{name} that cannot be shown)"


def _plain(value: Any, depth: int, nodes: list[int], above: frozenset[int]) -> Any:
    nodes[0] -= 1
    kind = type(value)
    if value is None or kind is bool:
        return value
    if issubclass(kind, str):
        return _plain_text(str.__str__(value))
    if issubclass(kind, int) and not issubclass(kind, Enum):
        number = int.__index__(value)
        # The range that orjson writes as numbers, so that a number does not depend on its neighbours.
        return number if -(2**63) <= number < 2**64 else _integer_text(number)
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
    return _plain(convert(value), depth + 1, nodes, above)


def _plain_text(string: str) -> str:
    """Cut text that no column could take, by its length, before it is encoded."""
    return escape_surrogates(string) if len(string) <= MAX_VALUE_BYTES else cut(string, MAX_VALUE_BYTES)


def _plain_list(value: Any, depth: int, nodes: list[int], above: frozenset[int]) -> list[Any]:
    # An atomic copy: converting an item may change the list.
    items = value if type(value) is tuple else list.copy(value)
    built = [_plain(item, depth + 1, nodes, above) for item in items[: max(0, nodes[0])]]
    return built if len(built) == len(items) else [*built, entries_cut(len(items))]


def _plain_dict(value: dict[Any, Any], depth: int, nodes: list[int], above: frozenset[int]) -> dict[str, Any]:
    built: dict[str, Any] = {}
    items = list(dict.items(value))
    for key, item in items[: max(0, nodes[0])]:
        built[distinct(_plain_text(text(key)), built)] = _plain(item, depth + 1, nodes, above)
    if len(built) < len(items):
        built["…"] = entries_cut(len(items))
    return built


def _has_non_finite(value: Any, depth: int) -> bool:
    """Return whether a null in the output may stand for NaN or an infinity rather than for None."""
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


def _name(kind: type) -> tuple[Any, Any]:
    """Return a class's module and name; its metaclass may raise when asked for the module."""
    try:
        return kind.__module__, kind.__qualname__
    except Exception:  # noqa: BLE001 - see above
        return None, type.__getattribute__(kind, "__name__")


def _converter(kind: type) -> Convert:
    """Choose how objects of a type are converted: by a class registered by name, then by the built-in base."""
    for base in kind.__mro__:
        registered = _registered.get(_name(base))
        if registered is not None:
            return registered
    for bases, converter in _BUILT_IN:
        if issubclass(kind, bases):
            return converter
    if dataclasses.is_dataclass(kind):
        return _dataclass
    if isinstance(getattr(kind, "__attrs_attrs__", None), tuple):
        return _attrs_object
    return repr


def _integer_text(value: int) -> str:
    return str(value) if value.bit_length() < _PRINTABLE_BITS else hex(value)


def _dataclass(value: Any) -> dict[str, Any]:
    """Show a dataclass by its fields, without those that its repr leaves out: these are meant to stay private."""
    return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value) if field.repr}


def _attrs_object(value: Any) -> dict[str, Any]:
    """Show an object of a class made by attrs in the same way; a field may have a repr of its own."""
    return {
        field.name: field.repr(part) if callable(field.repr) else part
        for field in type(value).__attrs_attrs__
        if field.repr
        for part in (getattr(value, field.name, None),)
    }


def _datetime(value: dt.datetime) -> str:
    try:
        return utc_text(value)
    except (ValueError, OverflowError):  # at either end of the calendar, the time in UTC is out of range
        return value.isoformat()


def _timedelta(value: dt.timedelta) -> str:
    """Write a duration as Kusto's timespan literal, d.hh:mm:ss.ffffff."""
    sign = "-" if value < dt.timedelta() else ""
    value = abs(value)
    minutes, seconds = divmod(value.seconds, 60)
    return f"{sign}{value.days}.{minutes // 60:02}:{minutes % 60:02}:{seconds:02}.{value.microseconds:06}"


def _bytes(value: bytes | bytearray | memoryview) -> str:
    return bytes(value).decode("utf-8", "backslashreplace")


def _float(value: float) -> float | str:
    return float(value) if math.isfinite(value) else _NON_FINITE[str(float(value))]


def _exception(value: BaseException) -> str:
    return f"{type(value).__qualname__}: {value}"


_BUILT_IN: tuple[tuple[type | tuple[type, ...], Convert], ...] = (
    (dt.datetime, _datetime),
    ((dt.date, dt.time), lambda value: value.isoformat()),
    (dt.timedelta, _timedelta),
    (Enum, lambda value: value.value),
    (Decimal, str),
    # Never by repr, which would call the repr of each item.
    ((list, tuple, set, frozenset, deque, KeysView, ValuesView, ItemsView), list),
    ((bytes, bytearray, memoryview), _bytes),
    (BaseException, _exception),
    (PurePath, str),
    (float, _float),
    (Mapping, dict),
    (SimpleNamespace, vars),
    (type, lambda value: f"{value.__module__}.{value.__qualname__}"),
)
