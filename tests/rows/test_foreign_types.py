"""Objects of other libraries are readable in a row, and lazy ones are never evaluated."""

import collections
import dataclasses
import datetime as dt
import json
import socket
import types

import attrs
import pydantic
import pytest

from support import django_app  # noqa: F401 - before the models

# isort: split

from django.contrib.auth.models import AnonymousUser, Group, User
from django.db import connection, models
from django.http import HttpRequest, QueryDict
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext_lazy
from werkzeug.local import LocalProxy

from logging_azmon._rows.jsonable import convert, dumps, text
from logging_azmon._rows.values import ENCODERS, LENIENT
from support.odd_values import Items, Pair, Person
from support.rows import Rows, make_record


class UserLoader:
    """Load a user, and count how often."""

    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return User(pk=5, username="ada")


@pytest.fixture
def no_queries():
    """Refuse every database query."""
    asked = []

    def refuse(execute, sql, *rest):
        asked.append(sql)
        raise AssertionError(sql)

    with connection.execute_wrapper(refuse):
        yield asked
    assert asked == []


def holding(value):
    """Yield the value alone, and within everything whose repr contains its items."""
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
    """Logging an object of Django's never runs a query and never loads a lazy object."""

    @pytest.mark.parametrize("encode", EVERY_TYPE)
    def test_a_lazy_django_user_is_not_loaded_by_any_column(self, encode):
        """This holds for the user alone and within another value."""
        loader = UserLoader()
        user = SimpleLazyObject(loader)

        for value in holding(user):
            encode(value)

        assert loader.calls == 0

    def test_a_lazy_django_user_is_shown_as_not_loaded(self):
        assert text(SimpleLazyObject(UserLoader())) == "(lazy, not loaded)"

    def test_a_loaded_django_user_is_shown_by_type_and_key(self, no_queries):
        """Showing the user makes no query."""
        user = SimpleLazyObject(UserLoader())
        assert user.username == "ada"

        assert text(user) == "django.contrib.auth.models.User(5)"
        assert json.loads(dumps({"user": user})) == {"user": "django.contrib.auth.models.User(5)"}

    def test_a_flask_proxy_is_not_evaluated(self):
        """Flask-Login's `current_user` is such a proxy, and its repr loads the user."""
        loader = UserLoader()

        assert text(LocalProxy(loader)) == "(proxy, not evaluated)"
        assert dumps({"user": LocalProxy(loader)}) == b'{"user":"(proxy, not evaluated)"}'
        assert loader.calls == 0

    @pytest.mark.parametrize("value", ["text", 7, {"a": 1}, [1]])
    def test_a_loaded_lazy_object_is_shown_as_the_object_behind_it(self, value):
        """A lazy object may stand for a value of any type."""
        lazy = SimpleLazyObject(lambda: value)
        str(lazy)

        assert json.loads(dumps([lazy])) == [value]

    @pytest.mark.parametrize("encode", EVERY_TYPE)
    def test_a_query_set_is_not_executed_by_any_column(self, encode, no_queries):
        """Its repr runs the query."""
        for value in [*holding(User.objects.all()), User.objects]:
            encode(value)

    def test_a_query_set_is_shown_by_its_type_and_model(self, no_queries):
        """Type and model are enough to find the log call."""
        assert text(User.objects.all()) == "(QuerySet of User, not evaluated)"
        assert text(User.objects) == "(UserManager)"

    def test_a_django_model_is_shown_by_type_and_key(self, no_queries):
        """The model's __str__ may follow a relation, which is a query."""
        assert text(Group(pk=3, name="x")) == "django.contrib.auth.models.Group(3)"

    def test_a_related_manager_is_not_executed(self, no_queries):
        """No deferred field is loaded either."""
        assert "anager" in text(User(pk=3).groups)

    @pytest.mark.parametrize("encode", EVERY_TYPE)
    def test_a_django_request_does_not_load_its_lazy_user(self, encode, no_queries):
        """Middleware sets one on every request."""
        request, loader = HttpRequest(), UserLoader()
        request.method, request.path, request.user = "GET", "/a", SimpleLazyObject(loader)

        encode(request)
        encode({"request": request})

        assert loader.calls == 0

    def test_a_django_request_is_shown_by_method_path_and_loaded_user(self):
        """The session of the request is not accessed."""
        request = HttpRequest()
        request.method, request.path = "GET", "/a"
        assert convert(request) == {"method": "GET", "path": "/a"}

        request.user = AnonymousUser()
        assert convert(request) == {"method": "GET", "path": "/a"}

        request.user = SimpleLazyObject(UserLoader())
        assert convert(request) == {"method": "GET", "path": "/a"}

        assert request.user.pk == 5
        assert convert(request) == {"method": "GET", "path": "/a", "user": 5}

    def test_a_django_request_shows_the_user_that_an_asynchronous_view_has_loaded(self, no_queries):
        """Django keeps this user apart from `request.user`, which is not loaded."""
        request, loader = HttpRequest(), UserLoader()
        request.method, request.path, request.user = "GET", "/a", SimpleLazyObject(loader)
        request._acached_user = User(pk=6)  # noqa: SLF001 - where Django keeps it

        assert convert(request) == {"method": "GET", "path": "/a", "user": 6}
        assert loader.calls == 0

    def test_a_django_request_shows_its_user_by_a_primary_key_of_any_name(self):
        class Member(models.Model):  # noqa: DJ008 - never printed
            number = models.CharField(primary_key=True)

            class Meta:
                app_label = "auth"

        request = HttpRequest()
        request.method, request.path, request.user = "GET", "/a", Member(number="M-7")

        assert convert(request) == {"method": "GET", "path": "/a", "user": "M-7"}

    def test_a_lazy_translation_is_shown_untranslated(self):
        """A row must not depend on the active language, or load its catalogue."""
        assert text(gettext_lazy("Saved")) == "Saved"

    def test_a_django_query_dict_keeps_its_lists(self):
        """A QueryDict is a dict of lists."""
        assert json.loads(dumps(QueryDict("a=1&a=2"))) == {"a": ["1", "2"]}


def test_a_django_promise_without_arguments_is_shown_by_its_type():
    """Other libraries derive classes of their own from it."""
    from django.utils.functional import Promise

    assert text(type("Own", (Promise,), {"__module__": "own"})()) == "(own.Own that cannot be shown)"


def test_a_socket_is_shown_by_the_address_of_its_peer():
    """Django's development server logs it as the request."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        host, port = server.getsockname()
        assert text(client) == f"{host}:{port}"
    assert text(client) == "(socket, not connected)"


class Address(pydantic.BaseModel):
    city: str


class Customer(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")

    name: str
    address: Address | None = None
    token: pydantic.SecretStr = pydantic.SecretStr("hunter2")
    password: str = pydantic.Field("hunter2", repr=False)
    internal: str = pydantic.Field("hunter2", exclude=True)
    home: pydantic.HttpUrl = pydantic.HttpUrl("https://example.org/")


class Numbers(pydantic.RootModel[list[int]]):
    pass


@attrs.define
class Basket:
    items: list[object]
    owner: str = "ada"
    card: str = attrs.field(default="hunter2", repr=False)
    mail: str = attrs.field(default="ada@example.org", repr=lambda mail: mail[0] + "…")


@dataclasses.dataclass
class Login:
    user: str
    password: str = dataclasses.field(default="hunter2", repr=False)


class FakeArray:
    """Stand for one of NumPy's arrays, which the tests do not need otherwise."""

    def __init__(self, parts, kind="f"):
        self.parts = parts
        self.dtype = types.SimpleNamespace(kind=kind)
        self.size = len(parts) * (len(parts[0]) if parts and isinstance(parts[0], list) else 1)

    def __len__(self):
        return len(self.parts)

    def __getitem__(self, part):
        return FakeArray(self.parts[part])

    def astype(self, name):
        return FakeArray([f"{part} as {name}" for part in self.parts])

    def tolist(self):
        return self.parts

    def __repr__(self):
        return "array([...])"


class FakeScalar:
    """Stand for one of NumPy's times."""

    def __init__(self, kind, item):
        self.dtype = types.SimpleNamespace(kind=kind)
        self._item = item

    def astype(self, name):
        assert name == {"M": "datetime64[us]", "m": "timedelta64[us]"}[self.dtype.kind]
        return self

    def item(self):
        return self._item

    def __str__(self):
        return "NaT"


Array = type("ndarray", (FakeArray,), {"__module__": "numpy"})
Scalar = type("generic", (FakeScalar,), {"__module__": "numpy"})


class TestStructured:
    """Objects that hold fields arrive structured, so that queries and columns can reach into them."""

    def test_a_pydantic_model_arrives_structured(self):
        """Without what its own repr leaves out, or its own serialization; a secret is masked as pydantic does."""
        user = Customer(name="ada", address=Address(city="Oslo"), age=36)

        assert json.loads(dumps({"user": user})) == {
            "user": {
                "name": "ada",
                "address": {"city": "Oslo"},
                "token": "**********",
                "home": "https://example.org/",
                "age": 36,
            }
        }
        assert json.loads(text(Numbers([1, 2]))) == [1, 2]
        assert "hunter2" not in text([user])

    def test_a_model_of_pydantic_1_arrives_structured(self):
        """pydantic 2 brings it along under another name; a stand-in has what is read of it."""

        def field(**given):
            return types.SimpleNamespace(field_info=types.SimpleNamespace(exclude=None, repr=True, **given))

        base = type("BaseModel", (), {"__module__": "pydantic.main"})
        hidden = types.SimpleNamespace(field_info=types.SimpleNamespace(exclude=None, repr=False))
        kind = type("Old", (base,), {"__fields__": {"a": field(), "b": hidden}})
        old = kind()
        old.__dict__.update(a=1, b="hunter2")

        assert dumps(old) == b'{"a":1}'

    def test_an_object_of_attrs_arrives_structured(self):
        """Without what its own repr leaves out, and with a field's own repr."""
        assert json.loads(dumps(Basket([Basket([1])]))) == {
            "items": [{"items": [1], "owner": "ada", "mail": "a…"}],
            "owner": "ada",
            "mail": "a…",
        }

    def test_a_dataclass_arrives_without_what_its_repr_leaves_out(self):
        assert dumps(Login("ada")) == b'{"user":"ada"}'

    def test_a_column_reaches_into_a_model(self):
        """Its other fields stay among the rest."""
        rows = Rows({"Message": "message", "City": "user.address.city", "Owner": "basket.owner", "Rest": "*"})
        row = rows.record(
            make_record(extra={"user": Customer(name="ada", address=Address(city="Oslo")), "basket": Basket([])})
        )

        assert (row["City"], row["Owner"]) == ("Oslo", "ada")
        assert row["Rest"]["user"].keys() == {"name", "token", "home"}
        assert row["Rest"]["basket"] == {"items": [], "mail": "a…"}

    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            (Array([1.5, 2.5]), [1.5, 2.5]),
            (Array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
            (Array([1.5, float("nan")]), [1.5, "NaN"]),
            (Array([object], kind="O"), ["builtins.object"]),
            (Array(["t"], kind="M"), ["t as datetime64[us]"]),
            (Array([], kind="f"), []),
            (Array([[0.5] * 40_000, [0.5] * 40_000]), "array([...])"),
            (Scalar("M", dt.datetime(2026, 1, 2, tzinfo=dt.UTC)), "2026-01-02T00:00:00.000000Z"),
            (Scalar("m", dt.timedelta(seconds=5)), "0.00:00:05.000000"),
            (Scalar("M", None), "NaT"),
            (Scalar("f", 1.5), 1.5),
        ],
    )
    def test_numpys_arrays_and_scalars_arrive_structured(self, value, shown):
        """Times in nanoseconds are bare numbers until they are converted."""
        assert json.loads(dumps([value])) == [shown]

    def test_of_a_long_array_the_first_entries_arrive(self):
        """It is never turned into a list as a whole."""
        shown = json.loads(dumps({"a": Array([[1.5, 2.5]] * 100_000)}))

        assert shown["a"][0] == [1.5, 2.5]
        assert shown["a"][-1] == "…(cut, 100,000 entries)"

    def test_a_numpy_time_fits_a_column_of_times(self):
        assert ENCODERS["datetime"](Scalar("M", dt.datetime(2026, 1, 2, tzinfo=dt.UTC))) == (
            b'"2026-01-02T00:00:00.000000Z"'
        )
        assert ENCODERS["datetime"](Scalar("M", None)) is None
