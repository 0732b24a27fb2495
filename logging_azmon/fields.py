"""Reads a LogRecord or an event dict into fields: what was logged, where, by whom, and everything else.

Both front doors end in the same tuple, `Fields`, which the encoder turns into a row:

    time       seconds since the epoch from a record; whatever ``timestamp`` holds in an event dict
    site       values of the table's SITE_FIELDS: the same for every call from one place, so their JSON is cached
    thread     values of the table's THREAD_FIELDS: the same for every call of one thread, cached too
    message    text
    exception  None, an exc_info tuple, text already rendered, or a list already structured
    stack      None or text
    extras     None or a dict that the encoder must not change
    origin     the LogRecord or event dict itself, for columns with a callable source

A plain tuple, because building anything better costs more than reading the record.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from operator import attrgetter
from typing import Any

from .readable import text

Fields = tuple[Any, tuple[Any, ...], tuple[Any, ...], Any, Any, Any, dict[str, Any] | None, Any]

SITE_FIELDS: Mapping[str, str] = {
    "level": "levelname",
    "level_number": "levelno",
    "logger": "name",
    "file": "pathname",
    "module": "module",
    "function": "funcName",
    "line": "lineno",
}
THREAD_FIELDS: Mapping[str, str] = {
    "process_id": "process",
    "process_name": "processName",
    "thread_id": "thread",
    "thread_name": "threadName",
}

# All that is told by the level.
LEVEL_FIELDS = frozenset(
    {"level", "level_number", "syslog_severity", "cef_severity", "event_level", "event_level_name"}
)

# Where structlog's processors put a field, in order of preference.
EVENT_KEYS: Mapping[str, tuple[str, ...]] = {
    "time": ("timestamp",),
    "level": ("level",),
    "level_number": ("level_number",),
    "logger": ("logger", "logger_name"),
    "message": ("event",),
    "exception": ("exception", "exc_info"),
    "stack": ("stack", "stack_info"),
    "file": ("pathname", "filename"),
    "module": ("module",),
    "function": ("func_name",),
    "line": ("lineno",),
    "process_id": ("process",),
    "process_name": ("process_name",),
    "thread_id": ("thread",),
    "thread_name": ("thread_name",),
}
# What ProcessorFormatter leaves on a record or in an event dict for its own use.
_STRUCTLOG_PRIVATE = frozenset({"_logger", "_name", "_record", "_from_structlog"})

# Derived from a dummy, not listed: the attributes differ between Pythons.
_DUMMY = tuple(logging.LogRecord("", 0, "", 0, "", None, None).__dict__)
_STANDARD_COUNT = len(_DUMMY)
_LAST_STANDARD = _DUMMY[-1]
# Formatters of other handlers add two; a record pickled by a newer Python brings its taskName.
_STANDARD = frozenset(_DUMMY) | {"message", "asctime", "taskName"}
_NOT_EXTRA = _STANDARD - frozenset(_DUMMY)


class Reader:
    """Read what a table needs, and no more, from each front door."""

    def __init__(self, used: Iterable[str]) -> None:
        """Prepare for the fields that a table uses."""
        self.used = frozenset(used)
        # The encoder itself sees to a message, an exception or a stack that has no column.
        self._wanted = self.used | {"message", "exception", "stack"}
        if self.used & LEVEL_FIELDS:
            self._wanted |= {"level", "level_number"}
        # attrgetter gives a tuple from two names on, so two are always asked.
        self.site_fields = _at_least_two(self.used, SITE_FIELDS, ("level", "level_number"))
        self.thread_fields = _at_least_two(self.used, THREAD_FIELDS, ("process_id", "thread_name"))
        self._site: Callable[[logging.LogRecord], tuple[Any, ...]] = attrgetter(
            *(SITE_FIELDS[name] for name in self.site_fields)
        )
        self._thread: Callable[[logging.LogRecord], tuple[Any, ...]] = attrgetter(
            *(THREAD_FIELDS[name] for name in self.thread_fields)
        )

    def record(self, record: logging.LogRecord, formatter: logging.Formatter | None = None) -> Fields:
        """Read a LogRecord; with a formatter, its output is the message."""
        message: Any = record.msg
        args = record.args
        if formatter is None and message.__class__ is str and record.__class__ is logging.LogRecord:
            if args:
                try:
                    message = message % args
                except Exception:  # noqa: BLE001 - the caller's arguments are at fault; both parts are kept
                    message = _mismatched(message, args)
        elif issubclass(type(message), Mapping):
            return self._record_of_event(record, message, formatter)
        else:
            message = _message(record, formatter)

        attributes = record.__dict__
        extras = None
        if len(attributes) != _STANDARD_COUNT or next(reversed(attributes)) != _LAST_STANDARD:
            extras = _extras(attributes)
        if args and args.__class__ is not tuple:
            extras = merge(extras, args)
        try:
            return (
                record.created,
                self._site(record),
                self._thread(record),
                message,
                record.exc_info or record.exc_text,
                record.stack_info,
                extras,
                record,
            )
        except AttributeError:  # a filter has deleted standard attributes
            get = attributes.get
            return (
                get("created"),
                tuple(get(SITE_FIELDS[name]) for name in self.site_fields),
                tuple(get(THREAD_FIELDS[name]) for name in self.thread_fields),
                message,
                get("exc_info") or get("exc_text"),
                get("stack_info"),
                extras,
                record,
            )

    def event(self, event: Mapping[str, Any], method: str, logger_name: str | None) -> Fields:
        """Read an event dict; the method called and the bound logger's name stand in for missing keys."""
        level = "ERROR" if method == "exception" else method.upper()
        defaults = {
            "level": level,
            "logger": logger_name,
            "process_id": os.getpid(),
            "thread_id": threading.get_ident(),
            "thread_name": threading.current_thread().name,
            "process_name": _process_name(),
        }
        return self._event(event, defaults, None, event)

    def _record_of_event(
        self, record: logging.LogRecord, event: Mapping[str, Any], formatter: logging.Formatter | None
    ) -> Fields:
        """Read a record whose message is an event dict: structlog through the standard library, or a plain mapping."""
        defaults = {
            name: getattr(record, attribute, None) for name, attribute in {**SITE_FIELDS, **THREAD_FIELDS}.items()
        }
        defaults["time"] = record.created
        if record.exc_info or record.exc_text:
            defaults["exception"] = record.exc_info or record.exc_text
        defaults["stack"] = record.stack_info
        extras = _extras(record.__dict__)
        fields = self._event(event, defaults, extras, record)
        if formatter is None:
            return fields
        return (*fields[:3], _message(record, formatter), *fields[4:])

    def _event(
        self, event: Mapping[str, Any], values: dict[str, Any], extras: dict[str, Any] | None, origin: object
    ) -> Fields:
        rest: dict[str, Any] = {}
        for key, value in event.items():
            field = _FIELD_OF_KEY.get(key)
            if field is None:
                if key not in _STRUCTLOG_PRIVATE:
                    rest[key] = value
            elif not (value is None or value is False or (value is True and field == "stack")):
                self._take(field, key, value, values, rest)
        extras = {key: value for key, value in (extras or {}).items() if key not in _STRUCTLOG_PRIVATE}
        level = values.get("level")
        if isinstance(level, str):
            level = values["level"] = level.upper()
        if not isinstance(values.get("level_number"), int):
            values["level_number"] = _NUMBERS.get(level, logging.INFO) if isinstance(level, str) else logging.INFO
        return (
            values.get("time"),
            tuple(values.get(name) for name in self.site_fields),
            tuple(values.get(name) for name in self.thread_fields),
            values.get("message"),
            _exc_info(values.get("exception")),
            values.get("stack"),
            merge(extras, rest) or None,
            origin,
        )

    def _take(self, field: str, key: str, value: Any, values: dict[str, Any], rest: dict[str, Any]) -> None:
        """Let a key fill its field; one that the table has no column for stays among the extras, under that name."""
        if field not in self._wanted:
            rest[field] = value
        if key == EVENT_KEYS[field][0] or field not in values or field in THREAD_FIELDS or field in SITE_FIELDS:
            values[field] = value


def _at_least_two(used: frozenset[str], fields: Mapping[str, str], always: tuple[str, str]) -> tuple[str, ...]:
    return (*always, *(name for name in fields if name in used and name not in always))


_FIELD_OF_KEY = {key: field for field, keys in EVENT_KEYS.items() for key in keys}
_NUMBERS = {**logging.getLevelNamesMapping(), "TRACE": 5, "EXCEPTION": logging.ERROR}


def merge(first: Mapping[str, Any] | None, second: Any) -> dict[str, Any]:
    """Join two sets of extras; what both have keeps both values, the second's under a name with an underscore."""
    merged = dict(first or ())
    for key, value in dict(second or ()).items():
        name = key
        while name in merged and isinstance(name, str):
            name += "_"
        merged[name] = value
    return merged


def _extras(attributes: dict[str, Any]) -> dict[str, Any] | None:
    """Return the attributes that the application added to a record.

    The standard ones come first, in the order in which LogRecord sets them; where that does not hold (a factory that
    adds its own first, a filter that deletes some) every name is looked at.
    """
    names = islice(attributes, _STANDARD_COUNT - 1, None)
    if next(names, None) == _LAST_STANDARD:
        extras = {name: attributes[name] for name in names if name not in _NOT_EXTRA}
    else:
        extras = {name: value for name, value in attributes.items() if name not in _STANDARD}
    return extras or None


def _message(record: logging.LogRecord, formatter: logging.Formatter | None) -> str:
    try:
        return text(record.getMessage() if formatter is None else formatter.format(record))
    except Exception:  # noqa: BLE001 - a formatter, a message object or an argument at fault must not cost the row
        return _mismatched(record.msg, record.args)


def _mismatched(message: object, args: object) -> str:
    return f"{text(message)} (could not be formatted with the arguments {text(args)})"


def _process_name() -> str:
    process = sys.modules.get("multiprocessing.process")
    return process.current_process().name if process is not None else "MainProcess"


def _exc_info(value: Any) -> Any:
    """Bring what event dicts hold (True, an exception, a tuple) to what records hold."""
    if value is True:
        return sys.exc_info()
    if issubclass(type(value), BaseException):
        return type(value), value, value.__traceback__
    return value


# What the encoder asks of the fields that are present in few rows.


def exception_text(exception: Any) -> str | None:
    """Render an exception as the standard library does."""
    if isinstance(exception, str):
        return exception
    if isinstance(exception, tuple) and len(exception) == 3:
        if not isinstance(exception[1], BaseException):
            return None
        return "".join(traceback.format_exception(*exception)).rstrip("\n")
    return text(exception)


def exception_type(exception: Any) -> str | None:
    """Name the exception's class with its module, as tracebacks do."""
    kind = exception[0] if isinstance(exception, tuple) else None
    if not isinstance(kind, type):
        return None
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def exception_message(exception: Any) -> str | None:
    """Return the exception's own words."""
    value = exception[1] if isinstance(exception, tuple) else None
    return str(value) if isinstance(value, BaseException) else None


def exceptions(exception: Any) -> Any:
    """Structure the exception and its causes as structlog does, without local variables: these hold secrets."""
    if isinstance(exception, list):
        return exception
    if not isinstance(exception, tuple) or not isinstance(exception[1], BaseException):
        return None
    from structlog.tracebacks import ExceptionDictTransformer

    return ExceptionDictTransformer(show_locals=False)(exception)


def task_name(origin: object) -> str | None:
    """Name the asyncio task that logs."""
    if isinstance(origin, logging.LogRecord) and "taskName" in origin.__dict__:
        return origin.__dict__["taskName"]  # type: ignore[no-any-return]
    asyncio = sys.modules.get("asyncio")
    try:
        task = asyncio.current_task() if asyncio is not None else None
    except RuntimeError:
        return None
    return task.get_name() if task is not None else None


def span_ids() -> tuple[str, str] | None:
    """Return trace and span id of OpenTelemetry's current span, if the application uses that API."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    context = trace.get_current_span().get_span_context()
    return (f"{context.trace_id:032x}", f"{context.span_id:016x}") if context.is_valid else None
