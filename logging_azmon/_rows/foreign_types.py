"""Register how objects of Django, werkzeug, pydantic, NumPy and others are shown.

Classes are given by name, so that nothing is imported for them. `logging_azmon._rows` imports this module, so the
registrations are in place before any row is encoded.
"""

from __future__ import annotations

from typing import Any

from .jsonable import MAX_NODES, Convert, register, simplify, unreadable
from .shrink import entries_cut


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


def _pydantic_model(value: Any) -> Any:
    """Show a pydantic model by its fields, without those that its repr leaves out: these are meant to stay private."""
    kind = type(value)
    parts = {**value.__dict__, **(getattr(value, "__pydantic_extra__", None) or {})}
    if getattr(kind, "__pydantic_root_model__", False):
        return parts["root"]
    # The names since pydantic 2.10, since 2.0, and in 1; to ask for an older name raises a warning.
    fields = next(fields for name in _PYDANTIC_FIELDS if (fields := getattr(kind, name, None)) is not None)
    infos = {name: getattr(field, "field_info", field) for name, field in fields.items()}
    hidden = {name for name, info in infos.items() if info.exclude is True or info.repr is False}
    return {name: part for name, part in parts.items() if name not in hidden}


def _numpy_scalar(value: Any) -> Any:
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind in _NUMPY_TIMES:
        # An item in nanoseconds, as pandas has them, would be a bare number.
        value = value.astype(f"{_NUMPY_TIMES[kind]}[us]")
    item = value.item()
    # The item of a longdouble is a longdouble, and that of NaT is None.
    return str(value) if item is None or type(item) is type(value) else item


def _numpy_array(value: Any) -> Any:
    """Show an array as a list; of one that is too long to be sent, the first entries."""
    if value.dtype.kind in _NUMPY_TIMES:
        value = value.astype(f"{_NUMPY_TIMES[value.dtype.kind]}[us]")
    if value.size <= MAX_NODES:
        return value.tolist()
    kept = MAX_NODES // (value.size // len(value))
    return [*value[:kept].tolist(), entries_cut(len(value))] if kept else repr(value)


def _socket(value: Any) -> str:
    """Show a socket by its peer's address: Django's development server logs it as the request."""
    try:
        host, port, *_ = value.getpeername()
    except OSError:
        return "(socket, not connected)"
    return f"{host}:{port}"


_PYDANTIC_FIELDS = ("__pydantic_fields__", "model_fields", "__fields__")
# By the kind of NumPy's times and durations, the type that they are converted to.
_NUMPY_TIMES = {"M": "datetime64", "m": "timedelta64"}
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
_STRUCTURED: tuple[tuple[str, str, Convert], ...] = (
    ("pydantic.main", "BaseModel", _pydantic_model),
    ("pydantic.v1.main", "BaseModel", _pydantic_model),
    ("numpy", "generic", _numpy_scalar),
    ("numpy", "ndarray", _numpy_array),
)
# Objects whose str is the plain value, and whose repr adds the class's name.
_WITH_TEXT: tuple[tuple[str, str, Convert], ...] = (
    ("socket", "socket", _socket),
    ("uuid", "UUID", str),
    ("ipaddress", "IPv4Address", str),
    ("ipaddress", "IPv6Address", str),
    ("ipaddress", "IPv4Network", str),
    ("ipaddress", "IPv6Network", str),
    ("pydantic.types", "_SecretBase", str),
    ("pydantic.networks", "_BaseUrl", str),
    ("pydantic.networks", "_BaseMultiHostUrl", str),
)
for _entry in _LAZY:
    register(*_entry, is_lazy=True)
for _entry in (*_STRUCTURED, *_WITH_TEXT):
    register(*_entry)
