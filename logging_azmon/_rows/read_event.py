"""Read structlog's event dicts into fields.

An event dict comes from the processor, or as the message of a LogRecord that structlog has marked. A mapping that
somebody else logs is not an event dict: its keys may come from anywhere, and must not set a row's level or time.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

from ..table import FIELD_OF_ATTRIBUTE
from . import levels
from .context import process_name
from .fields import SITE_FIELDS, THREAD_FIELDS, Fields, WantedFields, merge
from .jsonable import convert, simplify
from .record_extras import extras_of, extras_of_arguments
from .timestamps import with_zone
from .tracebacks import normalized

# The keys under which structlog's processors put a field, in order of preference.
EVENT_KEYS: Mapping[str, tuple[str, ...]] = {
    "time": ("timestamp",),
    "level": ("level",),
    "level_number": ("level_number",),
    "logger": ("logger", "logger_name"),
    # EventRenamer moves the text from `event` to one of the others.
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
# Keys that ProcessorFormatter leaves on a record or in an event dict for its own use.
STRUCTLOG_PRIVATE = frozenset({"_logger", "_name", "_record", "_from_structlog"})

FIELD_OF_KEY = {key: field for field, keys in EVENT_KEYS.items() for key in keys}
_RECORD_ATTRIBUTES = (*SITE_FIELDS.items(), *THREAD_FIELDS.items())
# Fields whose key may hold a flag: False means that there is none, True that a processor has not rendered it yet.
_FLAGS = frozenset({"exception", "stack"})


def is_marked(record: logging.LogRecord) -> bool:
    """Return whether a record has what `wrap_for_formatter` sets, by which structlog itself knows its own records."""
    return "_logger" in record.__dict__ and "_name" in record.__dict__


def is_event(record: logging.LogRecord) -> bool:
    """Return whether the message of a record is an event dict that structlog has put there."""
    return issubclass(type(record.msg), Mapping) and is_marked(record)


class EventReader:
    """Read the fields of event dicts that a table wants."""

    def __init__(self, wanted: WantedFields) -> None:
        """Prepare for the fields that the table wants."""
        self._wanted = wanted

    def read(self, event: Any, method: Any, logger_name: str | None) -> Fields:
        """Read an event dict; never raise. The method called and the bound logger's name fill in for missing keys."""
        try:
            if not issubclass(type(event), Mapping):  # a renderer ran before us
                event = {"event": event}
            record = event.get("_record")
            if not issubclass(type(record), logging.LogRecord):
                return self.read_mapping(event, _defaults_of_call(method, logger_name), {}, event)
            # The chain is that of a ProcessorFormatter; its ExtraAdder may have copied extras into the event already.
            extras = {name: value for name, value in (extras_of(record.__dict__) or {}).items() if name not in event}
            return self.read_mapping(event, _defaults_of_record(record), extras, event, self._wanted.attributes)
        except Exception:  # noqa: BLE001 - a mapping that raises, or changes while it is read
            event = {"event": convert(event)}
            return self.read_mapping(event, _defaults_of_call("", None), {}, event)

    def read_record(self, record: logging.LogRecord) -> Fields:
        """Read a record whose message is an event dict."""
        event: Any = record.msg
        extras = extras_of(record.__dict__) or {}
        return self.read_mapping(event, _defaults_of_record(record), extras, record, self._wanted.attributes)

    def read_mapping(
        self,
        event: Mapping[str, Any],
        values: dict[str, Any],
        extras: dict[str, Any],
        origin: object,
        attributes: Iterable[str] = (),
    ) -> Fields:
        """Sort an event dict's keys into fields and extras; `values` fills in for missing keys.

        For an event that comes in a record, `attributes` are keys by LogRecord's names, which the fields fill in for.
        """
        logged = values["time"]
        rest, taken = _sort_keys(event, values)
        template = values.get("message")
        rest = self._interpolate(values, rest)
        values["time"] = with_zone(values["time"], logged)
        levels.complete(values, is_given="level" in taken)
        for name in attributes:
            field = FIELD_OF_ATTRIBUTE[name]
            if name not in event and values.get(field) is not None:
                rest[name] = values[field]
                taken.pop(field, None)
        # A field without a column stays among the extras, under the field's name.
        unplaced = {field: values[field] for field in taken if not self._wanted.wants((field,))}
        if extras or unplaced:
            extras = {key: value for key, value in extras.items() if key not in STRUCTLOG_PRIVATE}
            rest = merge(merge(extras, rest), unplaced)
        return (
            values["time"],
            # Cached columns are looked up by these values, and hashing a lazy object would load it.
            tuple(simplify(values.get(name)) for name in self._wanted.site),
            tuple(simplify(values.get(name)) for name in self._wanted.thread),
            values.get("message"),
            normalized(values.get("exception")),
            values.get("stack"),
            rest or None,
            origin,
            template,
        )

    def _interpolate(self, values: dict[str, Any], rest: dict[str, Any]) -> dict[str, Any]:
        """Put positional arguments into the message as the standard library does; return the remaining keys."""
        message, args = values.get("message"), rest.get("positional_args")
        if type(message) is not str or type(args) is not tuple:
            return rest
        named = args[0] if len(args) == 1 and issubclass(type(args[0]), Mapping) else None
        try:
            values["message"] = message % (named or args) if args else message
        except Exception:  # noqa: BLE001 - the message may contain the arguments already; keep both
            return rest if named is None else {**rest, "positional_args": list(named)}
        rest = {key: value for key, value in rest.items() if key != "positional_args"}
        return merge(rest, extras_of_arguments(named, message, self._wanted.extras)) if named else rest


def _sort_keys(event: Mapping[str, Any], values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Put the fields of an event dict into `values`; return its other keys, and which key each field came from."""
    rest: dict[str, Any] = {}
    taken: dict[str, str] = {}
    for key, value in event.items():
        field = FIELD_OF_KEY.get(key)
        if field is None:
            if key not in STRUCTLOG_PRIVATE:
                rest[key] = value
        elif value is None or (field in _FLAGS and (value is False or (value is True and key == "stack_info"))):
            continue
        elif field not in taken:
            taken[field], values[field] = key, value
        else:
            # Of two keys for one field, the preferred one fills it and the other stays among the rest. An exception
            # or a stack is kept in one form only.
            other, unused = key, value
            if key == EVENT_KEYS[field][0]:
                other, unused = taken[field], values[field]
                taken[field], values[field] = key, value
            if field not in _FLAGS:
                rest[other] = unused
    return rest, taken


def _defaults_of_call(method: Any, logger_name: str | None) -> dict[str, Any]:
    """Return the values that fill in for missing keys of an event that is logged now."""
    return {
        "time": time.time(),
        "level": method,
        "logger": logger_name,
        "process_id": os.getpid(),
        "process_name": process_name(),
        "thread_id": threading.get_ident(),
        "thread_name": threading.current_thread().name,
    }


def _defaults_of_record(record: logging.LogRecord) -> dict[str, Any]:
    """Return the values that fill in for missing keys of an event that comes in a record."""
    values = {name: getattr(record, attribute, None) for name, attribute in _RECORD_ATTRIBUTES}
    values["time"] = record.created
    values["exception"] = record.exc_info if normalized(record.exc_info) is not None else record.exc_text
    values["stack"] = record.stack_info
    values["task"] = getattr(record, "taskName", None)
    return values
