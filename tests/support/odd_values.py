"""Provide values that applications log, and that have broken one logging library or another.

Each comes as a callable that makes a new one, because reading some of them uses them up or changes them.
"""

from __future__ import annotations

import array
import asyncio
import collections
import contextvars
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import functools
import inspect
import ipaddress
import logging
import os
import pathlib
import re
import threading
import types
import uuid
import weakref
import zoneinfo
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import structlog


class Colour(enum.Enum):
    RED = 1
    LATER = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)


class Word(enum.StrEnum):
    YES = "yes"


class Number(enum.IntEnum):
    SEVEN = 7


class Right(enum.Flag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass
class Person:
    name: str
    friend: object = None


@dataclasses.dataclass(slots=True, frozen=True)
class Point:
    x: float
    y: float


class Pair(NamedTuple):
    first: object
    second: object


class Text(str):
    __slots__ = ()


class Whole(int):
    """Refuse to be compared or converted."""

    def _refuse(self, *_: object) -> bool:
        raise TypeError("not me")

    __le__ = __ge__ = __lt__ = __gt__ = __int__ = __index__ = _refuse


class Items(list):
    """Be a list of a class of its own."""


class StrRaises:
    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


class ReprReturnsNoText:
    def __repr__(self) -> str:
        return 5  # type: ignore[return-value]


class ReprRecurses:
    def __repr__(self) -> str:
        return f"<{self!r}>"


class ReprLogs:
    def __repr__(self) -> str:
        logging.getLogger("odd.repr").debug("asked for its repr")
        return "<logs>"


class ClassRaises:
    @property
    def __class__(self):
        raise RuntimeError("no class")


class ClassLies:
    """Claim to be a dict, as mocks and proxies do."""

    __class__ = dict  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "<lies>"


class DictRaises:
    @property
    def __dict__(self):
        raise RuntimeError("no dict")


class AttributesRaise:
    def __getattribute__(self, name: str) -> object:
        raise RuntimeError(name)


class EqualsRaises:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")

    def __hash__(self) -> int:
        raise RuntimeError("no hash")

    def __bool__(self) -> bool:
        raise RuntimeError("no truth")

    def __len__(self) -> int:
        raise RuntimeError("no length")


class OddMeta(type):
    """Make classes that can be neither hashed nor named."""

    def __eq__(cls, other: object) -> bool:
        raise RuntimeError("no comparison")

    __hash__ = None  # type: ignore[assignment]

    @property
    def __module__(cls):
        raise RuntimeError("no module")


class OfOddMeta(metaclass=OddMeta):
    pass


class MappingRaises(Mapping):
    def __getitem__(self, key: str) -> object:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(["a"])

    def __len__(self) -> int:
        return 1


class NumpyLike:
    """Stand in for NumPy's scalars, which are known by name only."""

    def __init__(self, value: object) -> None:
        self.value = value

    def item(self) -> object:
        return self.value


NumpyGeneric = type("generic", (NumpyLike,), {"__module__": "numpy"})
Float64 = type("float64", (NumpyGeneric,), {"__module__": "numpy"})


class LongDouble(NumpyGeneric):  # type: ignore[valid-type, misc]
    def item(self) -> object:
        return self


class NotATime(dt.datetime):
    """Stand in for pandas.NaT, a datetime that is not a moment."""

    def astimezone(self, tz: object = None) -> NotATime:
        return self

    def isoformat(self, *_: object, **__: object) -> str:
        return "NaT"


class OddError(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


def cycle_of_lists() -> object:
    own: list[object] = [1]
    own.append(own)
    return own


def cycle_of_dicts() -> object:
    own: dict[str, object] = {"a": 1}
    own["b"] = {"c": own}
    return own


def cycle_of_dataclasses() -> object:
    ada = Person("Ada")
    ada.friend = Person("Bob", ada)
    return ada


def nested(depth: int, *, of: str) -> object:
    value: object = "core"
    for _ in range(depth):
        value = [value] if of == "list" else {"d": value}
    return value


def raised() -> BaseException:
    try:
        try:
            int("x")
        except ValueError as error:
            raise KeyError("outer") from error
    except KeyError as error:
        return error


def used_up() -> object:
    numbers = iter([1, 2])
    list(numbers)
    return numbers


class Owner:
    pass


_OWNER = Owner()

ODD_VALUES: list[tuple[str, Callable[[], object]]] = [
    ("none", lambda: None),
    ("true", lambda: True),
    ("empty text", lambda: ""),
    ("nul", lambda: "a\x00b"),
    ("line separators", lambda: "a\nb\r\nc\u2028d\x85e"),
    ("quotes and backslashes", lambda: '"\\' * 9),
    ("control characters", lambda: "".join(map(chr, range(32)))),
    ("emoji", lambda: "👩\u200d👩\u200d👧 \U0010ffff"),
    ("right to left", lambda: "\u202eabc"),
    ("lone surrogate", lambda: "a\ud800b"),
    ("surrogates in a key", lambda: {"\udcff": 1, "\\udcff": 2}),
    ("byte order mark", lambda: "\ufeffabc"),
    ("text of 100,000", lambda: "é" * 100_000),
    ("text of a million quotes", lambda: '"' * 1_000_000),
    ("str subclass", lambda: Text("sub")),
    ("huge int", lambda: 10**5_000),
    ("int just beyond 64 bits", lambda: 2**63),
    ("smallest int", lambda: -(2**63) - 1),
    ("int subclass that refuses", lambda: Whole(5)),
    ("nan", lambda: float("nan")),
    ("infinity", lambda: float("-inf")),
    ("tiny float", lambda: 5e-324),
    ("nan nested", lambda: {"a": [1, {"b": float("nan")}]}),
    ("complex", lambda: 1 + 2j),
    ("fraction", lambda: fractions.Fraction(1, 3)),
    ("decimal", lambda: decimal.Decimal("1.10")),
    ("decimal beyond all", lambda: decimal.Decimal("1e999999")),
    ("decimal signalling nan", lambda: decimal.Decimal("sNaN")),
    ("bytes", lambda: b"\xff\x00abc"),
    ("bytearray", lambda: bytearray(b"abc")),
    ("memoryview", lambda: memoryview(b"abc")),
    ("array", lambda: array.array("i", [1, 2])),
    ("naive datetime", lambda: dt.datetime(2026, 1, 2, 3, 4, 5)),
    ("aware datetime", lambda: dt.datetime(2026, 1, 2, tzinfo=zoneinfo.ZoneInfo("UTC"))),
    ("first datetime", lambda: dt.datetime.min),
    ("last datetime", lambda: dt.datetime.max.replace(tzinfo=dt.timezone(-dt.timedelta(hours=12)))),
    ("not a time", lambda: NotATime(2026, 1, 1)),
    ("date", lambda: dt.date(2026, 1, 2)),
    ("time", lambda: dt.time(3, 4, 5)),
    ("timedelta", lambda: -dt.timedelta(days=1, seconds=1, microseconds=5)),
    ("time zone", lambda: zoneinfo.ZoneInfo("UTC")),
    ("uuid", lambda: uuid.UUID(int=7)),
    ("ip address", lambda: ipaddress.ip_address("10.0.0.7")),
    ("ip network", lambda: ipaddress.ip_network("fd00::/8")),
    ("path", lambda: pathlib.PurePosixPath("/var/log")),
    ("windows path", lambda: pathlib.PureWindowsPath(r"C:\log")),
    ("enum", lambda: Colour.RED),
    ("enum of a datetime", lambda: Colour.LATER),
    ("text enum", lambda: Word.YES),
    ("int enum", lambda: Number.SEVEN),
    ("flag", lambda: Right.READ | Right.WRITE),
    ("dataclass", lambda: Person("Ada")),
    ("dataclass with slots", lambda: Point(1.0, float("nan"))),
    ("dataclass type", lambda: Person),
    ("namedtuple", lambda: Pair(1, {"a": 2})),
    ("set", lambda: {"a"}),
    ("frozenset of mixed", lambda: frozenset({1, "a", None})),
    ("deque", lambda: collections.deque([1, 2])),
    ("range", lambda: range(3)),
    ("generator", lambda: (number for number in range(3))),
    ("used up iterator", used_up),
    ("dict view", {"a": 1}.keys),
    ("mappingproxy", lambda: types.MappingProxyType({"a": 1})),
    ("chain map", lambda: collections.ChainMap({"a": 1}, {"b": 2})),
    ("default dict", lambda: collections.defaultdict(list, {"a": [1]})),
    ("counter", lambda: collections.Counter("aab")),
    ("list subclass", lambda: Items([1, float("nan")])),
    ("keys that collide", lambda: {1: "int", "1": "text", Text("1_"): "sub", 1.5: "float"}),
    ("keys of all kinds", lambda: {None: 1, True: 2, (1, 2): 3, b"k": 4, dt.date(2026, 1, 1): 5, float("nan"): 6}),
    ("key whose text raises", lambda: {StrRaises(): 1}),
    ("cycle of lists", cycle_of_lists),
    ("cycle of dicts", cycle_of_dicts),
    ("cycle of dataclasses", cycle_of_dataclasses),
    ("lists 40 deep", lambda: nested(40, of="list")),
    ("dicts 2,000 deep", lambda: nested(2_000, of="dict")),
    ("lists 100,000 deep", lambda: nested(100_000, of="list")),
    # More than any value may have, in nodes and in bytes.
    ("list of 40,000", lambda: [0] * 40_000),
    ("list of 40,000 with a nan", lambda: [0] * 40_000 + [float("nan")]),
    ("dict of 40,000", lambda: {f"key{number}": number for number in range(40_000)}),
    ("long key", lambda: {"k" * 100_000: 1}),
    ("exception", lambda: ValueError("bad")),
    ("exception with a cause", raised),
    ("exception without words", lambda: OddError("x")),
    ("exception group", lambda: ExceptionGroup("two", [ValueError("a"), KeyError("b")])),
    ("traceback", lambda: raised().__traceback__),
    ("frame", inspect.currentframe),
    ("str raises", StrRaises),
    ("repr returns no text", ReprReturnsNoText),
    ("repr recurses", ReprRecurses),
    ("repr logs", ReprLogs),
    ("class raises", ClassRaises),
    ("class lies", ClassLies),
    ("dict raises", DictRaises),
    ("every attribute raises", AttributesRaise),
    ("comparison, hash and truth raise", EqualsRaises),
    ("class of an odd metaclass", lambda: OfOddMeta),
    ("object of an odd metaclass", OfOddMeta),
    ("mapping that raises", MappingRaises),
    ("numpy-like float", lambda: Float64(1.5)),
    ("numpy-like nan", lambda: Float64(float("nan"))),
    ("numpy-like long double", lambda: LongDouble(1)),
    ("object", object),
    ("type", lambda: int),
    ("function", lambda: nested),
    ("lambda", lambda: lambda: None),
    ("partial", lambda: functools.partial(int, base=2)),
    ("module", lambda: os),
    ("environment", lambda: os.environ),
    ("simple namespace", lambda: types.SimpleNamespace(a=1)),
    ("pattern", lambda: re.compile("a+")),
    ("lock", threading.Lock),
    ("thread", threading.current_thread),
    ("weak proxy", lambda: weakref.proxy(_OWNER)),
    ("dead weak proxy", lambda: weakref.proxy(Owner())),
    ("context variable", lambda: contextvars.ContextVar("odd")),
    ("event loop policy class", lambda: asyncio.Event),
    ("not implemented", lambda: NotImplemented),
    ("ellipsis", lambda: ...),
    ("log record", lambda: logging.makeLogRecord({"msg": "inner"})),
    ("logger", lambda: logging.getLogger("odd")),
    ("structlog logger", structlog.get_logger),
]
