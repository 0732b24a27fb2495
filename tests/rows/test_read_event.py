"""An event dict becomes the same fields as a record, with structlog's names for its keys."""

import logging
import multiprocessing
import os
import sys
import threading

import pytest
import structlog
from hypothesis import given

from support.rows import DEFAULT_COLUMNS, EVERY_FIELD, Rows, exc_info, fail, make_record
from support.strategies import events


class TestEvent:
    def test_every_field_is_filled_from_an_event_dict(self):
        """The event's keys have structlog's own names."""
        rows = Rows(EVERY_FIELD)

        row = rows.event(
            {
                "event": "hello",
                "timestamp": "2026-01-02T03:04:05Z",
                "level": "warning",
                "logger": "app",
                "exception": "Traceback: lost",
                "stack": "Stack: here",
                "pathname": "/srv/app.py",
                "module": "app",
                "func_name": "main",
                "lineno": 5,
                "process": 7,
                "process_name": "Worker",
                "thread": 9,
                "thread_name": "T-1",
                "user": "ada",
            }
        )

        # These fields are the environment's, see test_service.
        row = {name: value for name, value in row.items() if "service" not in name and name != "The_environment"}
        assert rows.misfits == 0
        assert {name.removeprefix("The_"): value for name, value in row.items()} == {
            "time": "2026-01-02T03:04:05.000000Z",
            "level": "WARNING",
            "level_number": 30,
            "logger": "app",
            "message": "hello",
            "template": "hello",
            "exception": "Traceback: lost",
            "stack": "Stack: here",
            "file": "/srv/app.py",
            "module": "app",
            "function": "main",
            "line": 5,
            "process_id": 7,
            "process_name": "Worker",
            "thread_id": 9,
            "thread_name": "T-1",
            "host": row["The_host"],
            "instance": rows.encoder.instance,
            "sequence": 0,
            "syslog_severity": "warning",
            "cef_severity": "6",
            "event_level": 3,
            "event_level_name": "Warning",
            "event_type": 2,
            "Rest": {"user": "ada"},
        }

    def test_missing_keys_are_filled_in_from_the_call(self):
        """The values come from the method, the bound logger, the current process and thread, and the clock."""
        row = Rows(EVERY_FIELD).event({"event": "hello"}, "warning", "bound")

        assert (row["The_level"], row["The_level_number"], row["The_logger"]) == ("WARNING", 30, "bound")
        assert (row["The_process_id"], row["The_thread_id"]) == (os.getpid(), threading.get_ident())
        assert (row["The_process_name"], row["The_thread_name"]) == ("MainProcess", threading.current_thread().name)
        assert row["The_time"].endswith("Z")

    def test_the_process_is_the_main_process_if_multiprocessing_is_not_imported(self, monkeypatch):
        """multiprocessing is not imported to find the name."""
        assert multiprocessing.current_process().name == "MainProcess"
        monkeypatch.delitem(sys.modules, "multiprocessing.process")

        assert Rows(EVERY_FIELD).event({"event": "x"})["The_process_name"] == "MainProcess"

    @pytest.mark.parametrize(
        ("level", "method", "name", "number"),
        [
            ("info", "error", "INFO", 20),
            (None, "exception", "ERROR", 40),
            (None, "msg", "INFO", 20),
            ("trace", "info", "TRACE", 5),
            ("warn", "info", "WARNING", 30),
            ("fatal", "info", "CRITICAL", 50),
            ("exception", "info", "ERROR", 40),
            (40, "info", "ERROR", 40),
            (41, "info", "Level 41", 41),
            (4.5, "info", "4.5", 20),
        ],
    )
    def test_the_name_and_the_number_of_a_level_are_filled_in_from_each_other(self, level, method, name, number):
        """Either of the two may be known."""
        row = Rows(EVERY_FIELD).event({"event": "x", "level": level}, method)

        assert (row["The_level"], row["The_level_number"]) == (name, number)

    def test_levels_added_by_the_application_are_known(self):
        """This includes levels that are added after the import."""
        logging.addLevelName(27, "AUDIT")

        assert Rows(EVERY_FIELD).event({"event": "x", "level": "audit"})["The_level_number"] == 27

    def test_a_level_number_in_the_event_is_used_if_the_name_is_unknown(self):
        """structlog's add_log_level_number writes it."""
        row = Rows(EVERY_FIELD).event({"event": "x", "level": "odd", "level_number": 33})

        assert row["The_level_number"] == 33

    @pytest.mark.parametrize("order", [1, -1])
    def test_the_preferred_of_two_keys_for_a_field_fills_it_and_the_other_is_an_extra(self, order):
        """CallsiteParameterAdder adds both keys, in any order."""
        keys = [("pathname", "/srv/app.py"), ("filename", "app.py"), ("logger", "a"), ("logger_name", "b")][::order]

        row = Rows(EVERY_FIELD).event({"event": "x", **dict(keys)})

        assert (row["The_file"], row["The_logger"]) == ("/srv/app.py", "a")
        assert row["Rest"] == {"filename": "app.py", "logger_name": "b"}

    @pytest.mark.parametrize("order", [1, -1])
    def test_exc_info_beside_a_rendered_exception_is_left_out(self, order):
        keys = [("exception", "rendered"), ("exc_info", exc_info())][::order]

        row = Rows(DEFAULT_COLUMNS).event({"event": "x", **dict(keys)})

        assert row["Exception"] == "rendered"
        assert "Rest" not in row

    def test_a_key_whose_field_has_no_column_is_an_extra_under_the_fields_name(self):
        """The caller logged the value, so it is not lost; an extra that already has the name keeps it."""
        row = Rows({"Message": "message", "Rest": "*"}).event(
            {"event": "x", "lineno": 5, "pathname": "/a", "file": "mine"}
        )

        assert row["Rest"] == {"file": "mine", "line": 5, "file_": "/a"}

    @pytest.mark.parametrize(
        ("given", "exception"),
        [
            ({"exc_info": False}, None),
            ({"exc_info": None}, None),
            ({"exc_info": True}, None),
            ({"exc_info": (None, None, None)}, None),
            ({"exc_info": LookupError("lost")}, "LookupError: lost"),
            ({"exception": ""}, ""),
            ({"exception": [{"exc_type": "E"}]}, '[{"exc_type":"E"}]'),
            ({"stack_info": True}, None),
            ({"stack_info": False, "stack": False}, None),
        ],
    )
    def test_flags_under_the_keys_of_exceptions_and_stacks_are_not_values(self, given, exception):
        """A flag says that there is no exception, or that another processor was to render it."""
        row = Rows({**DEFAULT_COLUMNS, "Stack": "stack"}).event({"event": "x", **given})

        assert row.get("Exception") == exception
        assert "Stack" not in row
        assert "Rest" not in row

    def test_exc_info_true_in_an_event_is_the_exception_being_handled(self):
        """logger.exception(...) sets this flag in an except clause."""
        try:
            fail()
        except LookupError:
            row = Rows(DEFAULT_COLUMNS).event({"event": "x", "exc_info": True}, "exception")

        assert row["Exception"].endswith("LookupError: lost")

    @pytest.mark.parametrize("event", [False, 0, "", [], 5.5])
    def test_an_event_of_any_type_is_the_message(self, event):
        """This includes events that are false."""
        assert "Message" in Rows(DEFAULT_COLUMNS).event({"event": event})

    @given(events)
    def test_any_event_is_read_and_encoded(self, event):
        """Keys and values may be of any kind."""
        rows = Rows(EVERY_FIELD)

        assert rows.event(event)["The_instance"] == rows.encoder.instance
        for marks in ({}, {"_logger": None, "_name": "info"}):
            record = logging.makeLogRecord({"msg": event, **marks})
            assert rows.record(record)["The_instance"] == rows.encoder.instance


class TestStructlogThroughStdlib:
    @pytest.fixture
    def log(self):
        """Return a bound logger, and the list of records that reach a handler."""
        records = []

        class Recording(logging.Handler):
            def emit(self, record):
                records.append(record)

        logger = logging.Logger("through.stdlib")
        logger.addHandler(Recording())
        bound = structlog.wrap_logger(
            logger,
            processors=[
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.add_log_level,
                structlog.processors.TimeStamper(fmt="iso"),
                structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
            ],
            wrapper_class=structlog.stdlib.BoundLogger,
        )
        return bound, records

    def test_an_event_dict_as_the_message_of_a_record_is_read_as_an_event(self, log):
        """ProcessorFormatter.wrap_for_formatter makes such records; its private keys do not arrive."""
        bound, records = log
        with structlog.contextvars.bound_contextvars(request="r-1"):
            bound.bind(user="ada").warning("hello", age=36)

        row = Rows({**DEFAULT_COLUMNS, "Logger": "logger", "Function": "function"}).record(records[0])

        assert (row["Message"], row["Level"], row["Logger"]) == ("hello", "WARNING", "through.stdlib")
        assert row["Rest"] == {"request": "r-1", "user": "ada", "age": 36}
        assert row["Function"]

    def test_an_exception_in_the_event_dict_of_a_record_arrives(self, log):
        """The exc_info is in the event dict, not on the record."""
        bound, records = log
        rows = Rows(DEFAULT_COLUMNS)
        try:
            fail()
        except LookupError:
            bound.exception("hello")
            row = rows.record(records[0])

        assert row["Exception"].endswith("LookupError: lost")
        assert row["Level"] == "ERROR"

    def test_exc_info_of_a_record_whose_message_is_an_event_dict_arrives(self):
        record = make_record({"event": "hello"}, exc_info=exc_info(), extra={"_logger": None, "_name": "error"})

        assert Rows(DEFAULT_COLUMNS).record(record)["Exception"].endswith("LookupError: lost")

    def test_a_processor_formatter_renders_the_message_and_the_extras_are_kept(self, log):
        """The formatter is set on the handler, as structlog's documentation shows."""
        bound, records = log
        bound.info("hello", age=36)
        formatter = structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.KeyValueRenderer(key_order=["event"]),
            ]
        )

        row = Rows(DEFAULT_COLUMNS).record(records[0], formatter)

        assert row["Message"].startswith("event='hello'")
        assert row["Rest"] == {"age": 36, "logger": "through.stdlib"}
        assert Rows(DEFAULT_COLUMNS).record(make_record("foreign"), formatter)["Message"] == "event='foreign'"

    def test_private_keys_of_structlog_are_not_extras(self):
        event = {"event": "x", "_record": 1, "_from_structlog": True, "_logger": 2, "_name": "n"}

        assert "Rest" not in Rows(DEFAULT_COLUMNS).event(event)
