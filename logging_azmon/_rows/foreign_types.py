"""Register how objects of Django, werkzeug, NumPy and others are shown.

Classes are given by name, so that nothing is imported for them. `logging_azmon._rows` imports this module, so the
registrations are in place before any row is encoded.
"""

from __future__ import annotations

from typing import Any

from .jsonable import Convert, register, simplify, unreadable


def _model(value: Any) -> str:
    """Show a Django model by type and key: its __str__ may follow a relation, which is a query."""
    kind = type(value)
    return f"{kind.__module__}.{kind.__qualname__}({_primary_key(value)})"


def _primary_key(value: Any) -> Any:
    return value.__dict__.get(type(value)._meta.pk.attname)  # noqa: SLF001 - Django documents _meta as public


def _query_set(value: Any) -> str:
    return f"({type(value).__qualname__} of {value.model.__qualname__}, not evaluated)"


def _lazy_object(value: Any) -> Any:
    """Show the object behind one of Django's lazy objects if it was loaded already; never load it."""
    loaded = value.__dict__.get("_wrapped")
    return "(lazy, not loaded)" if type(loaded) is object or loaded is None else simplify(loaded)


def _promise(value: Any) -> str:
    """Show one of Django's lazy translations by the text that would be translated."""
    return str(value.__dict__["_args"][0]) if "_args" in value.__dict__ else unreadable(type(value))


def _http_request(value: Any) -> dict[str, Any]:
    """Show a Django request by its method and path, and by its user only if that is loaded already."""
    parts = {"method": value.method, "path": value.path}
    # A synchronous view loads `user`, an asynchronous one `_acached_user`; neither sees the other's.
    for name in ("user", "_acached_user"):
        user = value.__dict__.get(name)
        user = getattr(user, "__dict__", {}).get("_wrapped", user)
        # Only a loaded user who has logged in is a model.
        if hasattr(type(user), "_meta") and (key := _primary_key(user)) is not None:
            parts["user"] = key
    return parts


def _numpy_scalar(value: Any) -> Any:
    item = value.item()
    return item if type(item) is not type(value) else repr(value)  # the item of a longdouble is a longdouble


def _socket(value: Any) -> str:
    """Show a socket by its peer's address: Django's development server logs it as the request."""
    try:
        host, port, *_ = value.getpeername()
    except OSError:
        return "(socket, not connected)"
    return f"{host}:{port}"


_LAZY: tuple[tuple[str, str, Convert], ...] = (
    ("django.db.models.base", "Model", _model),
    ("django.db.models.query", "QuerySet", _query_set),
    ("django.db.models.manager", "BaseManager", lambda value: f"({type(value).__qualname__})"),
    ("django.utils.functional", "LazyObject", _lazy_object),
    ("django.utils.functional", "Promise", _promise),
    ("django.http.request", "HttpRequest", _http_request),
    # Flask's proxies, and Flask-Login's `current_user`: evaluating one may run a query.
    ("werkzeug.local", "LocalProxy", lambda _: "(proxy, not evaluated)"),
)
# Objects whose str is the plain value, and whose repr adds the class's name.
_WITH_TEXT: tuple[tuple[str, str, Convert], ...] = (
    ("numpy", "generic", _numpy_scalar),
    ("socket", "socket", _socket),
    ("uuid", "UUID", str),
    ("ipaddress", "IPv4Address", str),
    ("ipaddress", "IPv6Address", str),
    ("ipaddress", "IPv4Network", str),
    ("ipaddress", "IPv6Network", str),
)
for _entry in _LAZY:
    register(*_entry, is_lazy=True)
for _entry in _WITH_TEXT:
    register(*_entry)
