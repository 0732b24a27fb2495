"""Read LogRecords into fields, even if filters, factories and other handlers have changed them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

from . import queue_handler
from .fields import SITE_FIELDS, THREAD_FIELDS, Fields, WantedFields, merge
from .jsonable import convert, is_lazy, text
from .read_event import EventReader, defaults_of_record
from .record_extras import STANDARD, extras_of, extras_of_arguments, has_extras
from .tracebacks import normalized


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

    def read(self, record: logging.LogRecord, formatter: logging.Formatter | None = None) -> Fields:
        """Read a record; never raise. With a formatter, its output is the message."""
        try:
            return self._read(record, formatter)
        except Exception:  # noqa: BLE001, S110 - a filter has deleted standard attributes, or set them to odd values
            pass
        # Not in the except clause, where exc_info=True would mean our own exception.
        return self._read_odd(record, formatter)

    def _read(self, record: logging.LogRecord, formatter: logging.Formatter | None) -> Fields:
        if queue_handler.is_prepared(record):
            record = queue_handler.restored(record)
        message: Any = record.msg
        args = record.args
        if formatter is None and type(message) is str and type(record) is logging.LogRecord:
            if args:
                try:
                    message = message % args
                except Exception:  # noqa: BLE001 - the caller's arguments do not fit; message and arguments are kept
                    message = _mismatched(message, args)
        elif issubclass(type(message), Mapping):
            return self._read_with_event(record, message, formatter)
        else:
            message = _message(record, formatter)

        attributes = record.__dict__
        extras = extras_of(attributes) if has_extras(attributes) else None
        if args and type(args) is not tuple and issubclass(type(args), Mapping):
            extras = merge(extras, extras_of_arguments(args, record.msg))
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

    def _read_with_event(
        self, record: logging.LogRecord, event: Mapping[str, Any], formatter: logging.Formatter | None
    ) -> Fields:
        """Read a record whose message is an event dict or a plain mapping."""
        extras = extras_of(record.__dict__) or {}
        if record.args:  # structlog passes none, and there is no text to put them into
            extras = merge(extras, {"args": record.args})
        fields = self._events.read_mapping(event, defaults_of_record(record), extras, record)
        if formatter is None:
            return fields
        moment, site, thread, _, exception, stack, rest, origin = fields
        return moment, site, thread, _message(record, formatter), exception, stack, rest, origin

    def _read_odd(self, record: logging.LogRecord, formatter: logging.Formatter | None) -> Fields:
        """Read a record attribute by attribute, because `_read` has raised."""

        def get(name: str) -> Any:
            try:
                return getattr(record, name, None)
            except Exception as error:  # noqa: BLE001 - a property of a subclass raises; the error is shown as its value
                return convert(error)

        try:
            message: Any = _message(record, formatter)
        except Exception:  # noqa: BLE001 - the message or the arguments are missing
            message = get("msg")
        extras = {name: value for name, value in record.__dict__.copy().items() if name not in STANDARD}
        args = get("args")
        if args is not None and type(args) is not tuple:
            extras = merge(extras, {"args": args})
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
        )


def _message(record: logging.LogRecord, formatter: logging.Formatter | None) -> str:
    try:
        if formatter is not None:
            return text(formatter.format(record))
        if is_lazy(record.msg):
            template = text(record.msg)
            return template % record.args if record.args else template
        return text(record.getMessage())
    except Exception:  # noqa: BLE001 - a formatter, a message object or an argument that raises must not cost the row
        return _mismatched(record.msg, record.args)


def _mismatched(message: object, args: object) -> str:
    """Return a message followed by its arguments, because they do not fit its placeholders."""
    template = text(message)
    return f"{template} (could not be formatted with the arguments {text(args)})" if args else template
