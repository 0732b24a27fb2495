"""Objects of other libraries are readable in a row, and lazy ones are never evaluated."""

import collections
import json
import socket
import types

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
