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

A plain tuple: a NamedTuple takes six times as long to build, half a microsecond for each row. It is unpacked by these
names, never asked by number; `message_of` and `origin_of` ask it for one.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from operator import attrgetter, itemgetter
from typing import Any

from . import levels, queue_handler, timestamps
from .jsonable import distinct, is_lazy, readable, simple, text
from .tracebacks import normalized

Fields = tuple[Any, tuple[Any, ...], tuple[Any, ...], Any, Any, Any, dict[str, Any] | None, Any]
message_of: Callable[[Fields], Any] = itemgetter(3)
origin_of: Callable[[Fields], Any] = itemgetter(7)

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
    {"level", "level_number", "syslog_severity", "cef_severity", "event_level", "event_level_name", "event_type"}
)

# Where structlog's processors put a field, in order of preference.
EVENT_KEYS: Mapping[str, tuple[str, ...]] = {
    "time": ("timestamp",),
    "level": ("level",),
    "level_number": ("level_number",),
    "logger": ("logger", "logger_name"),
    # The others where EventRenamer has been.
    "message": ("event", "message", "msg"),
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
STRUCTLOG_PRIVATE = frozenset({"_logger", "_name", "_record", "_from_structlog"})

# Derived from a dummy, not listed: the attributes differ between Pythons.
_DUMMY = tuple(logging.LogRecord("", 0, "", 0, "", None, None).__dict__)
STANDARD_COUNT = len(_DUMMY)
LAST_STANDARD = _DUMMY[-1]
# Formatters of other handlers add two; a record pickled by a newer Python brings its taskName.
STANDARD = frozenset(_DUMMY) | {"message", "asctime", "taskName"}
NOT_EXTRA = STANDARD - frozenset(_DUMMY)


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

    def wants(self, fields: set[str]) -> bool:
        """Tell whether the table has a place for all of these."""
        return fields <= self._wanted

    def record(self, record: logging.LogRecord, formatter: logging.Formatter | None = None) -> Fields:
        """Read a LogRecord; with a formatter, its output is the message. Total."""
        try:
            return self._record(record, formatter)
        except Exception:  # noqa: BLE001 - a filter has deleted standard attributes, or put odd things in their place
            return self._odd_record(record, formatter)

    def _record(self, record: logging.LogRecord, formatter: logging.Formatter | None) -> Fields:
        if queue_handler.is_prepared(record):
            record = queue_handler.restored(record)
        message: Any = record.msg
        args = record.args
        if formatter is None and type(message) is str and type(record) is logging.LogRecord:
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
        if len(attributes) != STANDARD_COUNT or next(reversed(attributes)) != LAST_STANDARD:
            extras = _extras(attributes)
        if args and type(args) is not tuple and issubclass(type(args), Mapping):
            extras = merge(extras, _arguments(args, record.msg))
        exception = normalized(record.exc_info)
        if exception is None:
            exception = normalized(record.exc_text)
        return (
            record.created,
            self._site(record),
            self._thread(record),
            message,
            exception,
            record.stack_info,
            extras,
            record,
        )

    def _odd_record(self, record: logging.LogRecord, formatter: logging.Formatter | None) -> Fields:
        """Read what is left of a record that cannot be read in the usual way, attribute by attribute."""

        def get(name: str) -> Any:
            try:
                return getattr(record, name, None)
            except Exception as error:  # noqa: BLE001 - a property of a subclass; what it raises is its value
                return readable(error)

        try:
            message: Any = _message(record, formatter)
        except Exception:  # noqa: BLE001 - no message, no arguments, or neither
            message = get("msg")
        extras = {name: value for name, value in record.__dict__.copy().items() if name not in STANDARD}
        args = get("args")
        if args is not None and type(args) is not tuple:
            extras = merge(extras, {"args": args})
        return (
            get("created"),
            tuple(get(SITE_FIELDS[name]) for name in self.site_fields),
            tuple(get(THREAD_FIELDS[name]) for name in self.thread_fields),
            None if message is None else text(message),
            exception if (exception := normalized(get("exc_info"))) is not None else normalized(get("exc_text")),
            get("stack_info"),
            extras or None,
            record,
        )

    def event(self, event: Any, method: Any, logger_name: str | None) -> Fields:
        """Read an event dict; the method called and the bound logger's name stand in for missing keys. Total."""
        try:
            if not issubclass(type(event), Mapping):  # a renderer came first
                event = {"event": event}
            record = event.get("_record")
            if not issubclass(type(record), logging.LogRecord):
                return self._event(event, _of_call(method, logger_name), {}, event)
            # In a chain of ProcessorFormatter's. An ExtraAdder may have been there before.
            extras = {name: value for name, value in (_extras(record.__dict__) or {}).items() if name not in event}
            return self._event(event, _of_record(record), extras, event)
        except Exception:  # noqa: BLE001 - a mapping that raises, or changes while it is read
            event = {"event": readable(event)}
            return self._event(event, _of_call("", None), {}, event)

    def _record_of_event(
        self, record: logging.LogRecord, event: Mapping[str, Any], formatter: logging.Formatter | None
    ) -> Fields:
        """Read a record whose message is an event dict: structlog through the standard library, or a plain mapping."""
        extras = _extras(record.__dict__) or {}
        if record.args:  # structlog passes none; where somebody does, there is no text to put them into
            extras = merge(extras, {"args": record.args})
        fields = self._event(event, _of_record(record), extras, record)
        if formatter is None:
            return fields
        moment, site, thread, _, exception, stack, rest, origin = fields
        return moment, site, thread, _message(record, formatter), exception, stack, rest, origin

    def _event(
        self, event: Mapping[str, Any], values: dict[str, Any], extras: dict[str, Any], origin: object
    ) -> Fields:
        """Sort an event dict's keys into fields and the rest; `values` holds what stands in for missing keys."""
        rest: dict[str, Any] = {}
        taken: dict[str, str] = {}
        logged = values["time"]
        for key, value in event.items():
            field = _FIELD_OF_KEY.get(key)
            if field is None:
                if key not in STRUCTLOG_PRIVATE:
                    rest[key] = value
            elif value is None or (field in _FLAGS and (value is False or (value is True and key == "stack_info"))):
                continue
            elif field not in taken:
                taken[field], values[field] = key, value
            else:
                # Two keys for one field: the preferred one has it. Of exceptions and stacks one form is enough.
                other, unused = key, value
                if key == EVENT_KEYS[field][0]:
                    other, unused = taken[field], values[field]
                    taken[field], values[field] = key, value
                if field not in _FLAGS:
                    rest[other] = unused
        rest = _interpolated(values, rest)
        values["time"] = timestamps.zoned(values["time"], logged)
        levels.complete(values, is_given="level" in taken)
        # The table has no column for these, so they stay among the extras, under the field's name.
        unplaced = {field: values[field] for field in taken if field not in self._wanted}
        if extras or unplaced:
            extras = {key: value for key, value in extras.items() if key not in STRUCTLOG_PRIVATE}
            rest = merge(merge(extras, rest), unplaced)
        return (
            values["time"],
            # By these values rows are looked up: a lazy object would be loaded for its hash.
            tuple(simple(values.get(name)) for name in self.site_fields),
            tuple(simple(values.get(name)) for name in self.thread_fields),
            values.get("message"),
            normalized(values.get("exception")),
            values.get("stack"),
            rest or None,
            origin,
        )


def _of_call(method: Any, logger_name: str | None) -> dict[str, Any]:
    """Return what stands in for missing keys of an event that is logged now."""
    return {
        "time": time.time(),
        "level": method,
        "logger": logger_name,
        "process_id": os.getpid(),
        "process_name": _process_name(),
        "thread_id": threading.get_ident(),
        "thread_name": threading.current_thread().name,
    }


def _of_record(record: logging.LogRecord) -> dict[str, Any]:
    """Return what stands in for missing keys of an event that a record brings."""
    values = {name: getattr(record, attribute, None) for name, attribute in _ATTRIBUTES}
    values["time"] = record.created
    values["exception"] = record.exc_info if normalized(record.exc_info) is not None else record.exc_text
    values["stack"] = record.stack_info
    return values


def _interpolated(values: dict[str, Any], rest: dict[str, Any]) -> dict[str, Any]:
    """Put positional arguments into the message, as the standard library does; what does not go there stays."""
    message, args = values.get("message"), rest.get("positional_args")
    if type(message) is not str or type(args) is not tuple:
        return rest
    named = args[0] if len(args) == 1 and issubclass(type(args[0]), Mapping) else None
    try:
        values["message"] = message % (named or args) if args else message
    except Exception:  # noqa: BLE001 - they may be there already, and are kept as well
        return rest
    rest = {key: value for key, value in rest.items() if key != "positional_args"}
    return merge(rest, named) if named else rest


def _at_least_two(used: frozenset[str], fields: Mapping[str, str], always: tuple[str, str]) -> tuple[str, ...]:
    return (*always, *(name for name in fields if name in used and name not in always))


_FIELD_OF_KEY = {key: field for field, keys in EVENT_KEYS.items() for key in keys}
_ATTRIBUTES = (*SITE_FIELDS.items(), *THREAD_FIELDS.items())
# Fields whose key may also say that there is none, or that it is still to be made.
_FLAGS = frozenset({"exception", "stack"})


def merge(first: Mapping[str, Any] | None, second: Any) -> dict[str, Any]:
    """Join two sets of extras; what both have keeps both values, the second's under a name with an underscore."""
    merged = dict(first or ())
    for key, value in dict(second or ()).items():
        merged[distinct(key, merged) if isinstance(key, str) else key] = value
    return merged


def _extras(attributes: dict[str, Any]) -> dict[str, Any] | None:
    """Return the attributes that the application added to a record.

    The standard ones come first, in the order in which LogRecord sets them; where that does not hold (a factory that
    adds its own first, a filter that deletes some) every name is looked at.
    """
    names = islice(attributes, STANDARD_COUNT - 1, None)
    if next(names, None) == LAST_STANDARD:
        extras = {name: attributes[name] for name in names if name not in NOT_EXTRA}
    else:
        extras = {name: value for name, value in attributes.items() if name not in STANDARD}
    if issubclass(type(extras.get("extra")), dict):  # where loguru hands over what it has bound
        extras = merge(extras, extras.pop("extra"))
    return extras or None


def _arguments(args: Any, template: object) -> dict[Any, Any]:
    """Return a mapping of arguments, without those in braces that the message does not ask for.

    Servers such as gunicorn hand every header of a request to their access log like that, cookies and tokens too.
    """
    given = dict(args)
    hidden = [key for key in given if type(key) is str and key.startswith("{")]
    if hidden:
        asked = text(template).lower()
        for key in hidden:
            if f"%({key.lower()})" not in asked:
                del given[key]
    return given


def _message(record: logging.LogRecord, formatter: logging.Formatter | None) -> str:
    try:
        if formatter is not None:
            return text(formatter.format(record))
        if is_lazy(record.msg):
            shown = text(record.msg)
            return shown % record.args if record.args else shown
        return text(record.getMessage())
    except Exception:  # noqa: BLE001 - a formatter, a message object or an argument at fault must not cost the row
        return _mismatched(record.msg, record.args)


def _mismatched(message: object, args: object) -> str:
    shown = text(message)
    return f"{shown} (could not be formatted with the arguments {text(args)})" if args else shown


def _process_name() -> str:
    process = sys.modules.get("multiprocessing.process")
    return process.current_process().name if process is not None else "MainProcess"


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
