"""A mapping that somebody logs as the message fills extras, never fields; only structlog's own is an event dict."""

import io
import json
import logging
import types

import pytest
import structlog
from django.utils.functional import SimpleLazyObject

from logging_azmon._config.presets import PRESETS
from support import django_app  # noqa: F401 - lazy objects need settings
from support.odd_values import MappingRaises
from support.rows import DEFAULT_COLUMNS, EVERY_FIELD, Rows, exc_info, make_record

# What a client may send as JSON to a service that logs it: every key that structlog or this library knows.
FORGED = {
    "event": "forged",
    "message": "forged",
    "msg": "forged",
    "level": "debug",
    "level_number": 10,
    "logger": "billing",
    "logger_name": "billing",
    "timestamp": "2026-11-20T00:00:00Z",
    "exception": "forged",
    "exc_info": ["forged"],
    "stack": "forged",
    "stack_info": "forged",
    "pathname": "/forged",
    "filename": "forged",
    "module": "forged",
    "func_name": "forged",
    "lineno": 1,
    "process": 666,
    "process_name": "evil",
    "thread": 666,
    "thread_name": "evil",
    "_record": "forged",
    "_from_structlog": True,
    "_logger": "forged",
    "_name": "forged",
    "positional_args": ["forged"],
    "order": 7,
}


def as_text(mapping):
    return json.dumps(dict(mapping), separators=(",", ":"))


class TestPlainMapping:
    @pytest.mark.parametrize("wrap", [dict, types.MappingProxyType])
    def test_a_plain_mapping_as_the_message_forges_no_field(self, wrap):
        """`log.error(payload)`: level, logger, time, place and exception are the call's own."""
        record = make_record(wrap(FORGED), level=40, name="shop")
        record.created = 1_700_000_000.25
        plain = make_record("hello", level=40, name="shop")
        plain.created = record.created
        row, expected = Rows(EVERY_FIELD).record(record), Rows(EVERY_FIELD).record(plain)

        assert row.pop("Rest") == FORGED
        assert row["The_message"] == as_text(FORGED)
        for own in ("The_message", "The_template", "The_instance"):
            del row[own], expected[own]
        assert row == expected

    def test_a_plain_mapping_fills_the_columns_of_its_keys(self):
        """These are extras like any other, beside those of the call; both values of a name are kept."""
        row = Rows({**DEFAULT_COLUMNS, "Order": "order:int"}).record(
            make_record({"order": 7, "user": "ada"}, extra={"user": "eve"})
        )

        assert (row["Order"], row["Rest"]) == (7, {"user": "eve", "user_": "ada"})
        assert row["Message"] == as_text({"order": 7, "user": "ada"})

    def test_a_plain_mapping_in_a_table_without_a_star_column_is_in_the_message(self):
        """Its content used to be gone, uncounted."""
        assert Rows({"Message": "message"}).record(make_record({"a": 1})) == {"Message": '{"a":1}'}

    def test_a_plain_mapping_in_a_table_without_a_message_is_in_the_star_column(self):
        assert Rows({"Rest": "*"}).record(make_record({"a": 1}))["Rest"]["a"] == 1

    def test_an_empty_mapping_still_says_something(self):
        assert Rows(DEFAULT_COLUMNS).record(make_record({}))["Message"] == "{}"

    def test_the_exception_of_a_plain_mapping_is_the_records(self):
        """A key called exception stays an extra."""
        row = Rows(DEFAULT_COLUMNS).record(make_record({"exception": "forged"}, exc_info=exc_info()))

        assert row["Exception"].endswith("LookupError: lost")
        assert row["Rest"] == {"exception": "forged"}

    @pytest.mark.parametrize(
        ("message", "shown"),
        [
            ({"event": "hi %s"}, '{"event":"hi 1"}'),
            ({"event": "hi"}, '{"event":"hi"} (could not be formatted with the arguments [1])'),
        ],
    )
    def test_arguments_beside_a_plain_mapping_are_in_the_message(self, message, shown):
        """The standard library formats the mapping's text with them."""
        row = Rows(DEFAULT_COLUMNS).record(make_record(message, 1))

        assert (row["Message"], row["Rest"]) == (shown, message)

    def test_a_formatter_gives_the_message_of_a_plain_mapping(self):
        row = Rows(DEFAULT_COLUMNS).record(make_record({"a": 1}), logging.Formatter("<%(levelname)s %(message)s>"))

        assert (row["Message"], row["Rest"]) == ("<INFO {'a': 1}>", {"a": 1})

    def test_what_is_lazy_in_a_plain_mapping_is_not_evaluated(self):
        """The mapping's own str would load a Django user."""
        loads = []
        row = Rows(DEFAULT_COLUMNS).record(make_record({"user": SimpleLazyObject(lambda: loads.append(1))}))

        assert row["Rest"] == {"user": "(lazy, not loaded)"}
        assert loads == []

    def test_a_mapping_that_raises_makes_a_row(self):
        assert "cannot be shown" in Rows(DEFAULT_COLUMNS).record(make_record(MappingRaises()))["Message"]

    @pytest.mark.parametrize("name", PRESETS)
    def test_a_plain_mapping_makes_a_row_of_every_preset(self, name):
        assert "forged" in json.dumps(Rows(PRESETS[name]).record(make_record(FORGED)))


class TestMarkedByStructlog:
    def test_only_a_record_that_structlog_has_marked_holds_an_event_dict(self):
        """`wrap_for_formatter` sets two attributes, and structlog's own formatter knows its records by them."""
        event = {"event": "hello", "level": "warning", "logger": "shop", "order": 7}
        columns = {**DEFAULT_COLUMNS, "Logger": "logger"}
        for extra in ({}, {"_logger": None}, {"_name": "info"}):
            row = Rows(columns).record(make_record(event, extra=extra))
            assert (row["Level"], row["Logger"], row["Message"]) == ("INFO", "app", as_text(event))

        row = Rows(columns).record(make_record(event, extra={"_logger": None, "_name": "info"}))
        assert (row["Level"], row["Logger"], row["Message"]) == ("WARNING", "shop", "hello")
        assert row["Rest"] == {"order": 7}

    def test_a_formatter_does_not_render_the_exception_of_an_event_where_a_column_takes_it(self):
        """structlog's renderers put it behind the event."""
        formatter = structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
            ]
        )
        event = {"event": "failed", "exc_info": exc_info(), "stack": "Stack: here", "order": 7}
        record = make_record(event, extra={"_logger": None, "_name": "error"})
        row = Rows(DEFAULT_COLUMNS).record(record, formatter)

        assert row["Message"].split() == ["failed", "order=7"]
        assert row["Exception"].endswith("LookupError: lost")
        assert row["Rest"] == {"order": 7, "stack": "Stack: here"}
        assert event.keys() == {"event", "exc_info", "stack", "order"}

    def test_a_payload_that_native_structlog_gets_as_its_event_is_the_message(self):
        """`structlog.get_logger().error(payload)` is an event of structlog's, whose text is the payload."""
        row = Rows({**DEFAULT_COLUMNS, "Logger": "logger"}).event({"event": FORGED, "level": "error"}, "error", "shop")

        assert (row["Level"], row["Logger"], json.loads(row["Message"])) == ("ERROR", "shop", FORGED)


def test_arguments_by_name_of_structlog_send_only_what_the_event_names():
    """structlog keeps a mapping as its positional arguments until they are put into the event."""
    rows = Rows({**DEFAULT_COLUMNS, "Age": "age:int"})
    form = {"user": "ada", "age": 36, "password": "hunter2"}

    row = rows.event({"event": "%(user)s came", "positional_args": (form,), "order": 7})
    assert (row["Message"], row["Age"], row["Rest"]) == ("ada came", 36, {"order": 7, "user": "ada"})
    row = rows.event({"event": "%(usr)s came", "positional_args": (form,)})
    assert row["Rest"] == {"positional_args": ["user", "age", "password"]}


def test_the_handler_keeps_a_forged_level_from_the_row(capfd):
    """The same, through a logger and its handler."""
    from logging_azmon import AzureMonitorHandler
    from logging_azmon.testing import capture

    logger = logging.Logger("shop.payload")
    handler = AzureMonitorHandler("http://127.0.0.1:9", "dcr-1", "Custom-App")
    logger.addHandler(handler)
    with capture() as rows:
        logger.error(FORGED)
    handler.close()

    (row,) = rows
    assert (row["Level"], row["Logger"], row["Properties"]) == ("ERROR", "shop.payload", FORGED)
    assert "Exception" not in row
    assert not row["TimeGenerated"].startswith("2026-11-20T00:00:00")
    assert capfd.readouterr().err == ""


def test_structlog_through_the_standard_library_fills_fields():
    """Its own chain marks the record."""
    records = []
    logger = logging.Logger("through.stdlib")
    handler = logging.StreamHandler(io.StringIO())
    handler.emit = records.append
    logger.addHandler(handler)
    log = structlog.wrap_logger(
        logger,
        processors=[structlog.stdlib.add_log_level, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    log.warning("hello", order=7)

    row = Rows(DEFAULT_COLUMNS).record(records[0])
    assert (row["Level"], row["Message"], row["Rest"]) == ("WARNING", "hello", {"order": 7})
