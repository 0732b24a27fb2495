"""Any object ends as something a person can read, and what is lazy stays asleep."""

import collections
import datetime as dt
import decimal
import ipaddress
import json
import socket
import types
import uuid

import orjson
import pytest

from support import django_app  # noqa: F401 - before the models

# isort: split

from django.contrib.auth.models import AnonymousUser, Group, User
from django.db import connection, models
from django.http import HttpRequest, QueryDict
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext_lazy
from werkzeug.local import LocalProxy

from logging_azmon._rows import jsonable as module
from logging_azmon._rows.jsonable import CACHED_TYPES, distinct, dumps, plain, readable, text, utc_text
from logging_azmon._rows.values import ENCODERS, LENIENT
from support.odd_values import Colour, Items, OddMeta, Pair, Person, ReprRecurses


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("text", "text"),
        (5, "5"),
        (None, "null"),
        (1.5, "1.5"),
        (float("nan"), "NaN"),
        (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (ipaddress.ip_address("10.0.0.7"), "10.0.0.7"),
        (ipaddress.ip_interface("10.0.0.7/8"), "10.0.0.7/8"),
        (ipaddress.ip_network("fd00::/8"), "fd00::/8"),
        (decimal.Decimal("1.10"), "1.10"),
        (dt.timedelta(days=1, seconds=3_661, microseconds=5), "1.01:01:01.000005"),
        (dt.timedelta(seconds=-1), "-0.00:00:01.000000"),
        (dt.datetime.min, "0001-01-01T00:00:00"),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (Colour.LATER, "2030-01-01T00:00:00.000000Z"),
        (ValueError("bad"), "ValueError: bad"),
        (Pair(1, 2), "[1,2]"),
        (b"\xff!", "\\xff!"),
        (int, "builtins.int"),
        (10**100, str(10**100)),
        (ReprRecurses(), "(odd_values.ReprRecurses that cannot be shown)"),
    ],
)
def test_text_is_what_a_reader_wants_to_see(value, shown):
    """Not a repr with a class's name around it, where there is a plain text."""
    assert text(value) == shown


def test_ints_too_long_to_print_are_hexadecimal():
    """Python refuses to print more than 4,300 digits."""
    assert text(1 << 20_000) == hex(1 << 20_000)


def test_endless_conversions_end():
    """An object that always becomes another of its kind."""
    first = type("generic", (), {"__module__": "numpy", "item": lambda self: other})
    other = type("generic", (first,), {"__module__": "numpy", "item": lambda self: first()})()

    assert "cannot be shown" in text(other)


def test_a_moment_that_is_none_is_not_written_as_one():
    """pandas.NaT is a datetime and has no time."""
    with pytest.raises(ValueError, match="NaT"):
        utc_text(
            type("NaT", (dt.datetime,), {"astimezone": lambda s, _: s, "isoformat": lambda s, **_: "NaT"})(1, 1, 1)
        )


def test_plain_keeps_what_json_knows():
    """Nothing is changed without need."""
    value = {"a": [1, 2.5, "x", None, True, {"b": [[]]}]}

    assert plain(value) == value


def test_plain_bounds_depth_and_size():
    """Nested 100 deep, 100,000 wide."""
    deep = []
    for _ in range(100):
        deep = [deep]

    assert "…" in json.dumps(plain(deep), ensure_ascii=False)
    assert plain({"a": list(range(100_000))})["a"][-1] == "…(cut, 100,000 entries)"
    assert plain(dict.fromkeys(range(100_000), 1))["…"] == "…(cut, 100,000 entries)"
    assert plain(tuple(range(40_000)))[-1] == "…(cut, 40,000 entries)"


def test_a_nan_is_seen_however_deep_it_lies():
    """Deeper than is looked for a NaN among nulls, every null is taken for one: depth is cut, nothing becomes null."""
    value = [None, float("nan")]
    for _ in range(30):
        value = [value]
    assert b'[null,"NaN"]' in dumps(value)
    for _ in range(10):
        value = [value]
    assert b"NaN" not in dumps(value)
    assert "…".encode() in dumps(value)


def test_a_list_that_changes_while_it_is_shown_is_shown_as_it_was():
    """Objects are shown by Python code, which may change what holds them: no C code looks at it meanwhile."""

    class Clears:
        def __repr__(self):
            items.clear()
            return "cleared"

    items = [Clears(), *range(100)]
    shown = json.loads(dumps({"items": items}))
    assert shown["items"] == ["cleared", *range(100)]
    assert items == []


def test_a_fragment_cannot_break_the_line():
    """What orjson takes as it is may hold line ends; a row has one."""
    fragment = orjson.Fragment(b'{\n  "a": 1\n}')
    assert b"\n" not in dumps({"doc": fragment})
    assert json.loads(dumps({"doc": fragment}))["doc"] == {"a": 1}
    assert "orjson.Fragment" in json.loads(dumps({"doc": orjson.Fragment(b"no\nJSON")}))["doc"]


def test_many_keys_of_the_same_text_take_no_longer():
    """Each keeps its value under a name of its own; the steps are counted, because time is not reliable."""

    class Same:
        shown = 0

        def __repr__(self):
            Same.shown += 1
            return "same"

    shown = json.loads(dumps({Same(): number for number in range(2_000)}))
    assert len(shown) == 2_000
    assert max(map(len, shown)) < 20
    assert Same.shown <= 4_000


def test_a_distinct_name_is_found_whatever_is_taken():
    """Underscores first, then numbers; also where both are taken."""
    taken = {"a" + "_" * number: None for number in range(9)}
    number = len(taken) + 1
    taken["a" + "_" * 8 + str(number)] = None
    assert distinct("a", {}) == "a"
    assert distinct("a", {"a": None}) == "a_"
    assert distinct("a", taken) == "a" + "_" * 8 + str(number + 1)


def test_the_same_object_twice_is_no_cycle():
    """Only an object within itself is one."""
    shared = {1: 2}

    assert json.loads(dumps({"a": shared, "b": [shared, shared]})) == {"a": {"1": 2}, "b": [{"1": 2}, {"1": 2}]}


def test_list_subclasses_stay_lists_beside_what_json_does_not_know():
    """In the careful way as in the quick one."""
    assert json.loads(dumps({1: Items([1])})) == {"1": [1]}


def test_the_cache_of_types_is_bounded():
    """Programs that make classes as they go must not grow."""
    for number in range(CACHED_TYPES * 2):
        readable(type(f"Made{number}", (), {})())

    assert len(module._converters) <= CACHED_TYPES  # noqa: SLF001 - a cache is seen from inside only


def test_a_metaclass_cannot_harm():
    """Types are looked up by hash, which a metaclass may refuse."""
    assert text(OddMeta("Some", (), {})()) == "(None.Some that cannot be shown)"


class Asleep:
    """Fails the test when somebody wakes it."""

    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return User(pk=5, username="ada")


@pytest.fixture
def no_queries():
    """Fail on any query."""
    asked = []

    def refuse(execute, sql, *rest):
        asked.append(sql)
        raise AssertionError(sql)

    with connection.execute_wrapper(refuse):
        yield asked
    assert asked == []


def holding(value):
    """Put a value into everything that has a repr of its contents."""
    yield value
    yield [value]
    yield (value, 1)
    yield {"key": value}
    yield {1: value}
    yield {"key": value}.values()
    yield {"key": value}.items()
    yield collections.deque([value])
    yield collections.OrderedDict(key=value)
    yield collections.ChainMap({"key": value})
    yield types.MappingProxyType({"key": value})
    yield types.SimpleNamespace(key=value)
    yield Person("Ada", value)
    yield Pair(1, value)
    yield Items([value])


EVERY_TYPE = [*ENCODERS.values(), *LENIENT.values()]


class TestDjango:
    """Logging an object never asks the database, and never loads what is lazy."""

    @pytest.mark.parametrize("encode", EVERY_TYPE)
    def test_a_lazy_user_is_not_loaded(self, encode):
        """In a column of whatever type, alone or within something."""
        setup = Asleep()
        user = SimpleLazyObject(setup)

        for value in holding(user):
            encode(value)

        assert setup.calls == 0

    def test_a_lazy_user_says_that_it_is_not_loaded(self):
        """Instead of vanishing."""
        assert text(SimpleLazyObject(Asleep())) == "(lazy, not loaded)"

    def test_a_loaded_user_is_shown_by_type_and_key(self, no_queries):
        """What was loaded already costs nothing to show."""
        user = SimpleLazyObject(Asleep())
        assert user.username == "ada"

        assert text(user) == "django.contrib.auth.models.User(5)"
        assert json.loads(dumps({"user": user})) == {"user": "django.contrib.auth.models.User(5)"}

    def test_nobody_asks_what_stands_behind_a_proxy_of_flasks(self):
        """Flask-Login's `current_user` is one, and its repr loads the user."""
        setup = Asleep()

        assert text(LocalProxy(setup)) == "(proxy, not asked)"
        assert dumps({"user": LocalProxy(setup)}) == b'{"user":"(proxy, not asked)"}'
        assert setup.calls == 0

    @pytest.mark.parametrize("value", ["text", 7, {"a": 1}, [1]])
    def test_other_loaded_objects_are_shown_as_themselves(self, value):
        """A lazy object may stand for anything."""
        lazy = SimpleLazyObject(lambda: value)
        str(lazy)

        assert json.loads(dumps([lazy])) == [value]

    @pytest.mark.parametrize("encode", EVERY_TYPE)
    def test_a_query_set_is_not_executed(self, encode, no_queries):
        """Its repr runs the query."""
        for value in [*holding(User.objects.all()), User.objects]:
            encode(value)

    def test_a_query_set_is_shown_by_its_type(self, no_queries):
        """Enough to find the log call by."""
        assert text(User.objects.all()) == "(QuerySet of User, not evaluated)"
        assert text(User.objects) == "(UserManager)"

    def test_a_model_is_shown_by_type_and_key(self, no_queries):
        """Its __str__ may follow a relation."""
        assert text(Group(pk=3, name="x")) == "django.contrib.auth.models.Group(3)"

    def test_a_related_manager_is_not_executed(self, no_queries):
        """Nor a deferred field loaded."""
        assert "anager" in text(User(pk=3).groups)

    @pytest.mark.parametrize("encode", EVERY_TYPE)
    def test_a_request_keeps_its_lazy_user_asleep(self, encode, no_queries):
        """Middleware puts one into every request."""
        request, setup = HttpRequest(), Asleep()
        request.method, request.path, request.user = "GET", "/a", SimpleLazyObject(setup)

        encode(request)
        encode({"request": request})

        assert setup.calls == 0

    def test_a_request_is_shown_by_method_path_and_a_loaded_user(self):
        """A session is not touched."""
        request = HttpRequest()
        request.method, request.path = "GET", "/a"
        assert readable(request) == {"method": "GET", "path": "/a"}

        request.user = AnonymousUser()
        assert readable(request) == {"method": "GET", "path": "/a"}

        request.user = SimpleLazyObject(Asleep())
        assert readable(request) == {"method": "GET", "path": "/a"}

        assert request.user.pk == 5
        assert readable(request) == {"method": "GET", "path": "/a", "user": 5}

    def test_a_request_shows_the_user_that_an_asynchronous_view_has_loaded(self, no_queries):
        """It is kept elsewhere than the one of `request.user`, which stays asleep."""
        request, setup = HttpRequest(), Asleep()
        request.method, request.path, request.user = "GET", "/a", SimpleLazyObject(setup)
        request._acached_user = User(pk=6)  # noqa: SLF001 - where Django keeps it

        assert readable(request) == {"method": "GET", "path": "/a", "user": 6}
        assert setup.calls == 0

    def test_a_request_shows_its_user_by_whatever_is_its_key(self):
        """Which need not be called id."""

        class Member(models.Model):  # noqa: DJ008 - never printed
            number = models.CharField(primary_key=True)

            class Meta:
                app_label = "auth"

        request = HttpRequest()
        request.method, request.path, request.user = "GET", "/a", Member(number="M-7")

        assert readable(request) == {"method": "GET", "path": "/a", "user": "M-7"}

    def test_a_lazy_translation_is_shown_untranslated(self):
        """Which language is active, and whether its catalogue is loaded, is no business of a log's."""
        assert text(gettext_lazy("Saved")) == "Saved"

    def test_a_query_dict_keeps_its_lists(self):
        """It is a dict of lists."""
        assert json.loads(dumps(QueryDict("a=1&a=2"))) == {"a": ["1", "2"]}


def test_a_promise_without_arguments_is_named():
    """Other libraries build their own on Django's class."""
    from django.utils.functional import Promise

    assert text(type("Own", (Promise,), {"__module__": "own"})()) == "(own.Own that cannot be shown)"


def test_a_socket_is_shown_by_who_is_at_its_other_end():
    """Django's development server logs it as the request."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        host, port = server.getsockname()
        assert text(client) == f"{host}:{port}"
    assert text(client) == "(socket, not connected)"
