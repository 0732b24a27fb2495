"""Read LogRecords into fields, even if filters, factories and other handlers have changed them."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

from . import queue_handler
from .fields import SITE_FIELDS, THREAD_FIELDS, Fields, WantedFields, merge
from .jsonable import convert, is_lazy, text
from .read_event import EVENT_KEYS, EventReader, is_event, is_marked
from .record_extras import STANDARD, extras_of, extras_of_arguments, has_extras
from .tracebacks import normalized


def carries_event(record: logging.LogRecord) -> bool:
    """Return whether structlog made this record, even if a QueueHandler has put its event dict into text."""
    try:
        return is_event(record) or (is_marked(record) and queue_handler.is_prepared(record))
    except AttributeError:  # a filter has deleted standard attributes
        return False


class RecordReader:
    """Read the fields of LogRecords that a table wants."""

    def __init__(self, wanted: WantedFields, events: EventReader) -> None:
        """Prepare for the fields that the table wants; `events` reads records whose message is an event dict."""
        self._wanted = wanted
        self._events = events
        self._site: Callable[[logging.LogRecord], tuple[Any, ...]] = attrgetter(
            *(SITE_FIELDS[name] for name in wanted.site)
        )
        self._thread: Callable[[logging.LogRecord], tuple[Any, ...]] = attrgetter(
            *(THREAD_FIELDS[name] for name in wanted.thread)
        )
        # The attributes of a record and the keys of an event that a formatter need not write.
        exception, stack = wanted.places_exception, wanted.places_stack
        self._placed = (
            (("exc_info", "exc_text") if exception else ()) + (("stack_info",) if stack else ()),
            frozenset((EVENT_KEYS["exception"] if exception else ()) + (EVENT_KEYS["stack"] if stack else ())),
        )

    def read(self, record: logging.LogRecord, formatter: logging.Formatter | None = None) -> Fields:
        """Read a record; never raise. With a formatter, its output is the message."""
        try:
            return self._read(record, formatter)
        except Exception:  # noqa: BLE001, S110 - a filter has deleted standard attributes, or set them to odd values
            pass
        # Not in the except clause, where exc_info=True would mean our own exception.
        return self._read_odd(record, formatter)

    def _read(self, record: logging.LogRecord, formatter: logging.Formatter | None) -> Fields:
        template: Any = record.msg
        if queue_handler.is_prepared(record):
            record, template = queue_handler.restored(record), None
        message: Any = record.msg
        args = record.args
        if formatter is None and type(message) is str and type(record) is logging.LogRecord:
            if args:
                try:
                    message = message % args
                except Exception:  # noqa: BLE001 - the caller's arguments do not fit; message and arguments are kept
                    message = _mismatched(message, args)
        elif is_event(record):
            return self._read_event(record, formatter)
        else:
            message = self._message(record, formatter)

        attributes = record.__dict__
        extras = extras_of(attributes) if has_extras(attributes) else None
        if args and type(args) is not tuple and issubclass(type(args), Mapping):
            extras = merge(extras, extras_of_arguments(args, record.msg, self._wanted.extras)) or None
        if issubclass(type(record.msg), Mapping):
            extras = merge(extras, record.msg)
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
            template,
        )

    def _read_event(self, record: logging.LogRecord, formatter: logging.Formatter | None) -> Fields:
        """Read a record whose message is an event dict; with a formatter, its output is the message."""
        fields = self._events.read_record(record)
        if formatter is None:
            return fields
        moment, site, thread, _, *others = fields
        return moment, site, thread, self._message(record, formatter), *others

    def _read_odd(self, record: logging.LogRecord, formatter: logging.Formatter | None) -> Fields:
        """Read a record attribute by attribute, because `_read` has raised."""

        def get(name: str) -> Any:
            try:
                return getattr(record, name, None)
            except Exception as error:  # noqa: BLE001 - a property of a subclass raises; the error is shown as its value
                return convert(error)

        try:
            message: Any = self._message(record, formatter)
        except Exception:  # noqa: BLE001 - the message or the arguments are missing
            message = get("msg")
        extras = {name: value for name, value in record.__dict__.copy().items() if name not in STANDARD}
        args = get("args")
        if args is not None and type(args) is not tuple:
            extras = merge(extras, self._odd_arguments(args, get("msg")))
        exception = normalized(get("exc_info"))
        return (
            get("created"),
            tuple(get(SITE_FIELDS[name]) for name in self._wanted.site),
            tuple(get(THREAD_FIELDS[name]) for name in self._wanted.thread),
            None if message is None else text(message),
            exception if exception is not None else normalized(get("exc_text")),
            get("stack_info"),
            extras or None,
            record,
            get("msg"),
        )

    def _odd_arguments(self, args: Any, template: object) -> dict[Any, Any]:
        try:
            if issubclass(type(args), Mapping):
                return extras_of_arguments(args, template, self._wanted.extras)
        except Exception:  # noqa: BLE001, S110 - a mapping that raises; it is shown as what it is
            pass
        return {"args": args}

    def _message(self, record: logging.LogRecord, formatter: logging.Formatter | None) -> str:
        try:
            if formatter is not None:
                return text(formatter.format(self._without_placed(record)))
            if _is_shown_by_text(record.msg):
                template = text(record.msg)
                return template % record.args if record.args else template
            return text(record.getMessage())
        except Exception:  # noqa: BLE001 - a formatter, a message object or an argument that raises must not cost the row
            return _mismatched(record.msg, record.args)

    def _without_placed(self, record: logging.LogRecord) -> logging.LogRecord:
        """Return the record without the exception and the stack, if these have a place of their own in the row."""
        attributes, keys = self._placed
        changed: dict[str, Any] = {name: None for name in attributes if record.__dict__.get(name) is not None}
        event: Any = record.msg
        if is_event(record) and not keys.isdisjoint(event):
            changed["msg"] = {key: value for key, value in event.items() if key not in keys}
        if changed:
            record = copy.copy(record)
            record.__dict__.update(changed)
        return record


def template_text(message: object) -> str:
    """Return a message as the standard library writes it if there are no arguments."""
    try:
        return text(message if _is_shown_by_text(message) else str(message))
    except Exception:  # noqa: BLE001 - an object's str may raise anything
        return text(message)


def _is_shown_by_text(message: object) -> bool:
    """Return whether the message's own str would evaluate what is lazy, in it or in a mapping's values."""
    return issubclass(type(message), Mapping) or is_lazy(message)


def _mismatched(message: object, args: object) -> str:
    """Return a message followed by its arguments, because they do not fit its placeholders; of a mapping, its keys."""
    if issubclass(type(args), Mapping):
        args = [*args]  # type: ignore[misc]
    template = text(message)
    return f"{template} (could not be formatted with the arguments {text(args)})" if args else template
