"""Records and event dicts become the same fields, whatever has been done to them on the way."""

import asyncio
import copy
import json
import logging
import logging.handlers
import multiprocessing
import os
import pickle
import sys
import threading
import types

import pytest
import structlog
from django.utils.functional import SimpleLazyObject
from hypothesis import given

from logging_azmon._rows import fields as module
from logging_azmon._rows.fields import Reader, merge, span_ids, task_name
from logging_azmon.table import FIELD_TYPES, Table
from support import django_app  # noqa: F401 - lazy objects want settings
from support import rows as rows_module
from support.odd_values import ODD_VALUES, AttributesRaise, EqualsRaises, MappingRaises, StrRaises
from support.rows import Rows, fail, make, raised
from support.strategies import events, records

EVERY_FIELD = Table.from_mapping({f"The_{name}": name for name in FIELD_TYPES if name != "*"} | {"Rest": "*"})


DEFAULT = {"Time": "time", "Level": "level", "Message": "message", "Exception": "exception", "Rest": "*"}


class TestRecord:
    def test_every_field_is_filled_from_a_record(self):
        """The design's table of columns, from the left."""
        record = make("hello %s", "ada", extra={"user": 7}, exc_info=raised(), level=40, sinfo="Stack: here")
        record.created = 1_700_000_000.25
        rows = Rows(EVERY_FIELD)

        row = rows.record(record)

        assert rows.misfits == 0
        assert row == {
            "The_time": "2023-11-14T22:13:20.250000Z",
            "The_level": "ERROR",
            "The_level_number": 40,
            "The_logger": "app",
            "The_message": "hello ada",
            "The_exception": row["The_exception"],
            "The_exception_type": "LookupError",
            "The_exception_message": "lost",
            "The_exceptions": row["The_exceptions"],
            "The_stack": "Stack: here",
            "The_file": rows_module.__file__,
            "The_module": "rows",
            "The_function": "function",
            "The_line": 12,
            "The_process_id": os.getpid(),
            "The_process_name": "MainProcess",
            "The_thread_id": threading.get_ident(),
            "The_thread_name": threading.current_thread().name,
            "The_host": row["The_host"],
            "The_instance": rows.encoder.instance,
            "The_sequence": 0,
            "The_syslog_severity": "err",
            "The_cef_severity": "8",
            "The_event_level": 2,
            "The_event_level_name": "Error",
            "The_event_type": 1,
            "Rest": {"user": 7},
        }
        assert row["The_exception"].startswith("Traceback (most recent call last):")
        assert row["The_exception"].endswith("LookupError: lost")
        assert row["The_exceptions"][0]["exc_type"] == "LookupError"
        assert "locals" not in json.dumps(row["The_exceptions"])

    def test_columns_without_a_value_are_left_out(self):
        """No nulls are sent, stored or billed."""
        assert set(Rows(DEFAULT).record(make())) == {"Time", "Level", "Message"}

    @pytest.mark.parametrize(
        ("level", "words"),
        [
            (60, ("crit", "10", 1, "Critical", 1)),
            (50, ("crit", "10", 1, "Critical", 1)),
            (45, ("err", "8", 2, "Error", 1)),
            (40, ("err", "8", 2, "Error", 1)),
            (30, ("warning", "6", 3, "Warning", 2)),
            (25, ("notice", "3", 4, "Information", 4)),
            (20, ("info", "3", 4, "Information", 4)),
            (10, ("debug", "1", 5, "Verbose", 4)),
            (0, ("debug", "1", 5, "Verbose", 4)),
            (-5, ("debug", "1", 5, "Verbose", 4)),
        ],
    )
    def test_built_in_tables_get_their_own_words_for_a_level(self, level, words):
        """Custom levels count as the highest standard one that they reach."""
        row = Rows(EVERY_FIELD).record(make(level=level))

        fields = ("syslog_severity", "cef_severity", "event_level", "event_level_name", "event_type")
        assert tuple(row[f"The_{field}"] for field in fields) == words

    def test_mapping_as_single_argument_counts_as_extras(self):
        """And still fills the message."""
        row = Rows(DEFAULT).record(make("%(user)s came", {"user": "ada", "age": 36}, extra={"age": 1}))

        assert row["Message"] == "ada came"
        assert row["Rest"] == {"age": 1, "user": "ada", "age_": 36}

    def test_headers_in_a_mapping_arrive_only_if_the_message_asks_for_them(self):
        """A server hands its access log every header of the request, and tokens are among them."""

        class Atoms(dict):
            def __getitem__(self, name):
                return super().__getitem__(name.lower())

        atoms = {"m": "GET", "{authorization}i": "Bearer secret", "{cookie}i": "id=1", "{x-request-id}i": "r-17"}

        row = Rows(DEFAULT).record(make("%(m)s %({X-Request-Id}i)s", Atoms(atoms)))
        assert row["Rest"] == {"m": "GET", "{x-request-id}i": "r-17"}

        row = Rows(DEFAULT).record(make("%(m)s", atoms | {7: 8}))
        assert (row["Message"], row["Rest"]) == ("GET", {"m": "GET", "7": 8})

    def test_what_loguru_has_bound_counts_as_extras(self):
        """It hands over all of it under one name; what clashes keeps both values."""
        rows = Rows(DEFAULT | {"User": "user"})

        row = rows.record(make(extra={"extra": {"user": "ada", "order": 7}, "order": 8}))
        assert (row["User"], row["Rest"]) == ("ada", {"order": 8, "order_": 7})
        assert rows.record(make(extra={"extra": "text"}))["Rest"] == {"extra": "text"}
        assert "Rest" not in rows.record(make(extra={"extra": {}}))

    @pytest.mark.parametrize("message", [{"user": "ada"}, types.MappingProxyType({"user": "ada"})])
    def test_mapping_as_message_counts_as_extras(self, message):
        """There is no other message then."""
        row = Rows(DEFAULT).record(make(message, extra={"more": 1}))

        assert row["Rest"] == {"more": 1, "user": "ada"}
        assert "Message" not in row

    def test_arguments_beside_a_mapping_are_kept(self):
        """They cannot be formatted into anything."""
        assert Rows(DEFAULT).record(make({"event": "hi %s"}, 1))["Rest"] == {"args": [1]}

    @pytest.mark.parametrize(
        ("message", "args", "shown"),
        [
            ("%s and %s", ("a",), '%s and %s (could not be formatted with the arguments ["a"])'),
            ("nothing", ("a", 2), 'nothing (could not be formatted with the arguments ["a",2])'),
            ("%d", ("a",), '%d (could not be formatted with the arguments ["a"])'),
            ("100% sure", (), "100% sure"),
            (
                "%s",
                (StrRaises(),),
                '%s (could not be formatted with the arguments ["(odd_values.StrRaises that cannot be shown)"])',
            ),
            (5, (), "5"),
            (None, (), "None"),
            (["a"], (), "['a']"),
            (ValueError("bad"), (), "bad"),
            (StrRaises(), (), "(odd_values.StrRaises that cannot be shown)"),
            ("lone \ud800", (), "lone \\ud800"),
            ("", (), ""),
        ],
    )
    def test_a_message_that_cannot_be_formatted_keeps_all_its_parts(self, message, args, shown):
        """The standard library prints a traceback to stderr and loses the record."""
        assert Rows(DEFAULT).record(make(message, *args))["Message"] == shown

    def test_a_formatters_output_is_the_message(self):
        """As with every other handler."""
        row = Rows(DEFAULT).record(make("hello", extra={"a": 1}), logging.Formatter("<%(levelname)s %(message)s>"))

        assert (row["Message"], row["Rest"]) == ("<INFO hello>", {"a": 1})

    @pytest.mark.parametrize(
        "formatter", [logging.Formatter("%(missing)s"), types.SimpleNamespace(format=lambda _: 1 / 0)]
    )
    def test_a_formatter_that_fails_costs_nothing(self, formatter):
        """The message is there without it."""
        assert Rows(DEFAULT).record(make("hello"), formatter)["Message"] == "hello"

    def test_what_other_handlers_formatters_leave_on_the_record_is_no_extra(self):
        """A console handler before ours sets message, asctime and exc_text."""
        record = make("hello", extra={"a": 1}, exc_info=raised())
        logging.Formatter("%(asctime)s %(message)s").format(record)

        row = Rows(DEFAULT).record(record)

        assert row["Rest"] == {"a": 1}
        assert row["Exception"].endswith("LookupError: lost")

    def test_exc_info_without_an_exception_is_nothing(self):
        """logger.error(..., exc_info=True) outside of an except clause."""
        assert "Exception" not in Rows(DEFAULT).record(make(exc_info=(None, None, None)))

    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            (LookupError("lost"), "LookupError: lost"),
            ("rendered already", "rendered already"),
            ((1, 2, 3), "[1,2,3]"),
            ((1,), "[1]"),
            (["structured"], '["structured"]'),
            (1, None),
            (True, None),
            (object, "builtins.object"),
        ],
    )
    def test_odd_exc_info_set_by_hand_is_shown(self, value, shown):
        """makeLogRecord takes anything."""
        assert Rows(DEFAULT).record(logging.makeLogRecord({"exc_info": value})).get("Exception") == shown

    def test_exc_info_true_set_by_hand_is_the_exception_being_handled(self):
        """As for loggers."""
        try:
            fail()
        except LookupError:
            row = Rows(DEFAULT).record(logging.makeLogRecord({"exc_info": True}))

        assert row["Exception"].endswith("LookupError: lost")

    def test_an_exception_whose_words_raise_is_shown(self):
        """By its traceback."""
        error = StrRaises()
        row = Rows({**DEFAULT, "Words": "exception_message"}).record(
            make(exc_info=(ValueError, ValueError(error), None))
        )

        assert "ValueError" in row["Exception"]
        assert "no text" in row["Words"]

    def test_an_exception_after_a_queue_handler_is_its_text(self):
        """Records that went to another process have exc_text only."""
        record = make(exc_info=raised())
        record.exc_text, record.exc_info = "Traceback: lost", None

        assert Rows(DEFAULT).record(record)["Exception"] == "Traceback: lost"

    def test_records_unpickled_are_read_alike(self):
        """Multiprocessing applications send them over sockets and queues."""
        record = make("hello %s", "ada", extra={"a": 1, "b": 2})
        rows = Rows({"Rest": "*", "Message": "message"})

        for twin in (pickle.loads(pickle.dumps(record)), copy.copy(record), copy.deepcopy(record)):
            assert rows.record(twin) == {"Message": "hello ada", "Rest": {"a": 1, "b": 2}}

    @pytest.mark.parametrize("attribute", ["taskName", "process", "stack_info"])
    def test_records_of_another_python_are_read_alike(self, attribute):
        """One brings an attribute more, or lacks one, or has them in another order."""
        record = make("hello", extra={"a": 1, "b": 2})
        state = {"taskName": "Task-1", **{name: value for name, value in record.__dict__.items() if name != attribute}}
        twin = logging.makeLogRecord({})
        twin.__dict__.clear()
        twin.__dict__.update(state)

        assert Rows({"Rest": "*", "Message": "message"}).record(twin) == {"Message": "hello", "Rest": {"a": 1, "b": 2}}

    @pytest.mark.parametrize("attribute", list(make().__dict__))
    def test_a_standard_attribute_may_be_missing(self, attribute):
        """Some filters delete what they think nobody needs. Each other field arrives."""
        record = make("hello", extra={"a": 1})
        delattr(record, attribute)
        rows = Rows(EVERY_FIELD)

        row = rows.record(record)

        assert row["Rest"] == {"a": 1}
        assert attribute == "msg" or row["The_message"] == "hello"
        assert row["The_time"]
        assert rows.misfits == 0

    @pytest.mark.parametrize("attribute", list(make().__dict__))
    @pytest.mark.parametrize(
        ("name", "odd"), [(n, m) for n, m in ODD_VALUES if not any(large in n for large in ("000", "million"))]
    )
    def test_a_standard_attribute_may_be_anything(self, attribute, name, odd):
        """makeLogRecord({...}) checks nothing."""
        Rows(EVERY_FIELD).record(logging.makeLogRecord({"msg": "hello", attribute: odd(), "extra": 1}))

    def test_nothing_is_added_to_a_record_that_lost_as_much_as_it_gained(self):
        """The number of attributes alone says nothing."""
        record = make("hello", extra={"a": 1})
        del record.relativeCreated

        assert Rows(DEFAULT).record(record)["Rest"] == {"a": 1}

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_factories_may_add_attributes_before_and_after(self, when):
        """setLogRecordFactory takes any class."""

        class Own(logging.LogRecord):
            def __init__(self, *args, **kwargs):
                if when == "before":
                    self.request = 7
                super().__init__(*args, **kwargs)
                if when == "after":
                    self.request = 7

            def getMessage(self):  # noqa: N802 - the standard library's name
                return super().getMessage() + "!"

        record = Own("app", 20, __file__, 1, "hello %s", ("ada",), None)
        record.__dict__["a"] = 1

        row = Rows(DEFAULT).record(record)

        assert (row["Message"], row["Rest"]) == ("hello ada!", {"request": 7, "a": 1})

    def test_properties_of_a_subclass_are_asked(self):
        """A missing attribute may be one of these; it may raise."""

        class Own(logging.LogRecord):
            levelname = property(lambda self: "OWN", lambda self, value: None)
            funcName = property(lambda self: 1 / 0, lambda self, value: None)  # noqa: N815 - the standard library's

        row = Rows({"Level": "level", "Function": "function", "Message": "message"}).record(
            Own("app", 20, __file__, 1, "hello", None, None)
        )

        assert row == {"Level": "OWN", "Function": "ZeroDivisionError: division by zero", "Message": "hello"}

    def test_extras_are_not_held_to_be_text(self):
        """__dict__ takes any key."""
        record = make("hello")
        record.__dict__[5] = "five"
        record.__dict__["5"] = "text"

        assert Rows(DEFAULT).record(record)["Rest"] == {"5": "five", "5_": "text"}

    @pytest.mark.parametrize(
        "odd", [lambda: [1, 2], lambda: "text", lambda: 5, MappingRaises, EqualsRaises, AttributesRaise]
    )
    def test_odd_arguments_are_kept(self, odd):
        """A handler in between may have put anything there."""
        row = Rows(DEFAULT).record(logging.makeLogRecord({"msg": "hello", "args": odd()}))

        assert row["Message"].startswith("hello")

    def test_lazy_objects_as_messages_are_not_loaded(self):
        """logger.info(request.user)."""
        loads = []
        lazy = SimpleLazyObject(lambda: loads.append(1))
        rows = Rows(EVERY_FIELD)

        assert rows.record(make(lazy))["The_message"] == "(lazy, not loaded)"
        assert "(lazy, not loaded)" in rows.record(make(lazy, "argument"))["The_message"]
        for attribute in ("created", "exc_info", "exc_text", "stack_info", "user"):
            rows.record(logging.makeLogRecord({"msg": "hello", attribute: lazy}))
        for key in [key for keys in module.EVENT_KEYS.values() for key in keys]:
            rows.event({"event": "hello", key: lazy})
            rows.record(make({"event": "hello", key: lazy}))
        assert loads == []

    @given(records())
    def test_reading_and_encoding_a_record_is_total(self, record):
        """Whatever a filter, a factory or a caller has done to it."""
        rows = Rows(EVERY_FIELD)

        row = rows.record(record)

        assert row["The_time"].endswith("Z")
        assert row["The_instance"] == rows.encoder.instance

    @given(records())
    def test_tables_without_a_place_for_the_rest_take_every_record(self, record):
        """All joins the message then."""
        assert Rows({"Line": "line", "Message": "message", "Thread": "thread_id:int"}).record(record) is not None


class TestEvent:
    def test_every_field_is_filled_from_an_event_dict(self):
        """The design's table of columns, from the right: structlog's own key names."""
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

        assert rows.misfits == 0
        assert {name.removeprefix("The_"): value for name, value in row.items()} == {
            "time": "2026-01-02T03:04:05.000000Z",
            "level": "WARNING",
            "level_number": 30,
            "logger": "app",
            "message": "hello",
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

    def test_what_is_missing_is_taken_from_the_call(self):
        """Method, bound logger, current process and thread, now."""
        row = Rows(EVERY_FIELD).event({"event": "hello"}, "warning", "bound")

        assert (row["The_level"], row["The_level_number"], row["The_logger"]) == ("WARNING", 30, "bound")
        assert (row["The_process_id"], row["The_thread_id"]) == (os.getpid(), threading.get_ident())
        assert (row["The_process_name"], row["The_thread_name"]) == ("MainProcess", threading.current_thread().name)
        assert row["The_time"].endswith("Z")

    def test_process_name_without_multiprocessing(self, monkeypatch):
        """Which is not imported for it."""
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
    def test_levels_have_name_and_number(self, level, method, name, number):
        """Whichever of the two is known."""
        row = Rows(EVERY_FIELD).event({"event": "x", "level": level}, method)

        assert (row["The_level"], row["The_level_number"]) == (name, number)

    def test_levels_added_by_the_application_are_known(self):
        """Also those that are added after the import."""
        logging.addLevelName(27, "AUDIT")

        assert Rows(EVERY_FIELD).event({"event": "x", "level": "audit"})["The_level_number"] == 27

    def test_a_level_number_in_the_event_wins_where_the_name_says_nothing(self):
        """structlog's add_log_level_number."""
        row = Rows(EVERY_FIELD).event({"event": "x", "level": "odd", "level_number": 33})

        assert row["The_level_number"] == 33

    @pytest.mark.parametrize("order", [1, -1])
    def test_of_two_keys_for_a_field_the_preferred_one_wins_and_the_other_stays(self, order):
        """CallsiteParameterAdder adds both, in any order."""
        keys = [("pathname", "/srv/app.py"), ("filename", "app.py"), ("logger", "a"), ("logger_name", "b")][::order]

        row = Rows(EVERY_FIELD).event({"event": "x", **dict(keys)})

        assert (row["The_file"], row["The_logger"]) == ("/srv/app.py", "a")
        assert row["Rest"] == {"filename": "app.py", "logger_name": "b"}

    @pytest.mark.parametrize("order", [1, -1])
    def test_an_exception_is_not_told_twice(self, order):
        """exc_info beside an exception already rendered."""
        keys = [("exception", "rendered"), ("exc_info", raised())][::order]

        row = Rows(DEFAULT).event({"event": "x", **dict(keys)})

        assert row["Exception"] == "rendered"
        assert "Rest" not in row

    def test_keys_whose_field_has_no_column_stay_under_the_fields_name(self):
        """Asked for, so not lost; an extra that has the name already keeps it."""
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
    def test_flags_are_not_values(self, given, exception):
        """They say that there is none, or that another processor would have made it."""
        row = Rows({**DEFAULT, "Stack": "stack"}).event({"event": "x", **given})

        assert row.get("Exception") == exception
        assert "Stack" not in row
        assert "Rest" not in row

    def test_exc_info_true_is_the_exception_being_handled(self):
        """logger.exception(...) in an except clause."""
        try:
            fail()
        except LookupError:
            row = Rows(DEFAULT).event({"event": "x", "exc_info": True}, "exception")

        assert row["Exception"].endswith("LookupError: lost")

    @pytest.mark.parametrize("event", [False, 0, "", [], 5.5])
    def test_an_event_may_be_anything(self, event):
        """And is shown, also where it is false."""
        assert "Message" in Rows(DEFAULT).event({"event": event})

    @given(events)
    def test_reading_and_encoding_an_event_is_total(self, event):
        """Keys and values of all kinds."""
        rows = Rows(EVERY_FIELD)

        assert rows.event(event)["The_instance"] == rows.encoder.instance
        assert rows.record(logging.makeLogRecord({"msg": event}))["The_instance"] == rows.encoder.instance


class TestStructlogThroughStdlib:
    @pytest.fixture
    def log(self):
        """Give a bound logger, and what reaches a handler."""
        taken = []

        class Taking(logging.Handler):
            def emit(self, record):
                taken.append(record)

        logger = logging.Logger("through.stdlib")
        logger.addHandler(Taking())
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
        return bound, taken

    def test_the_event_dict_in_the_message_is_mapped_as_one(self, log):
        """ProcessorFormatter.wrap_for_formatter; its private keys do not arrive."""
        bound, taken = log
        with structlog.contextvars.bound_contextvars(request="r-1"):
            bound.bind(user="ada").warning("hello", age=36)

        row = Rows({**DEFAULT, "Logger": "logger", "Function": "function"}).record(taken[0])

        assert (row["Message"], row["Level"], row["Logger"]) == ("hello", "WARNING", "through.stdlib")
        assert row["Rest"] == {"request": "r-1", "user": "ada", "age": 36}
        assert row["Function"]

    def test_an_exception_arrives(self, log):
        """exc_info is in the event dict, not on the record."""
        bound, taken = log
        rows = Rows(DEFAULT)
        try:
            fail()
        except LookupError:
            bound.exception("hello")
            row = rows.record(taken[0])

        assert row["Exception"].endswith("LookupError: lost")
        assert row["Level"] == "ERROR"

    def test_exc_info_on_the_record_arrives_too(self):
        """A plain mapping logged with exc_info."""
        row = Rows(DEFAULT).record(make({"event": "hello"}, exc_info=raised()))

        assert row["Exception"].endswith("LookupError: lost")

    def test_a_processor_formatter_makes_the_message_and_the_fields_stay(self, log):
        """Set on the handler, as its documentation shows."""
        bound, taken = log
        bound.info("hello", age=36)
        formatter = structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.KeyValueRenderer(key_order=["event"]),
            ]
        )

        row = Rows(DEFAULT).record(taken[0], formatter)

        assert row["Message"].startswith("event='hello'")
        assert row["Rest"] == {"age": 36, "logger": "through.stdlib"}
        assert Rows(DEFAULT).record(make("foreign"), formatter)["Message"] == "event='foreign'"

    def test_private_keys_are_kept_from_events_as_well(self):
        """Whoever puts them there."""
        event = {"event": "x", "_record": 1, "_from_structlog": True, "_logger": 2, "_name": "n"}

        assert "Rest" not in Rows(DEFAULT).event(event)


class TestSurroundings:
    def test_merge_keeps_both_values_of_a_name(self):
        """Nothing is overwritten."""
        assert merge({"a": 1, "a_": 2}, {"a": 3, "b": 4}) == {"a": 1, "a_": 2, "a__": 3, "b": 4}
        assert merge(None, None) == {}

    def test_a_task_is_named(self):
        """From the record where Python 3.12 put it there, else the current one."""

        async def main():
            asyncio.current_task().set_name("job")
            return task_name(None), Rows({"Task": "task"}).event({"event": "x"}), Rows({"Task": "task"}).record(make())

        assert asyncio.run(main()) == ("job", {"Task": "job"}, {"Task": "job"})
        assert task_name(logging.makeLogRecord({"taskName": "other"})) == "other"

    def test_outside_of_a_task_there_is_none(self, monkeypatch):
        """With a loop or without, with asyncio imported or not."""

        async def main():
            done = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(lambda: done.set_result(task_name(None)))
            return await done

        assert asyncio.run(main()) is None
        assert task_name(None) is None
        monkeypatch.delitem(sys.modules, "asyncio")
        assert task_name(None) is None

    def test_span_ids_are_there_while_a_span_is_current(self):
        """And absent otherwise."""
        from opentelemetry.sdk.trace import TracerProvider

        tracer = TracerProvider().get_tracer("tests")
        rows = Rows({"Trace": "trace_id", "Span": "span_id", "Message": "message"})

        with tracer.start_as_current_span("work") as span:
            context = span.get_span_context()
            inside = rows.record(make())
        outside = rows.record(make())

        assert inside["Trace"] == f"{context.trace_id:032x}"
        assert inside["Span"] == f"{context.span_id:016x}"
        assert outside == {"Message": "hello"}

    def test_without_opentelemetry_there_are_none(self, monkeypatch):
        """The API is looked for, never imported."""
        monkeypatch.delitem(sys.modules, "opentelemetry.trace", raising=False)

        assert span_ids() is None
        assert Rows({"Trace": "trace_id", "Message": "message"}).record(make()) == {"Message": "hello"}

    def test_a_tracer_that_fails_costs_nothing(self, monkeypatch):
        """Another thread may be importing it just now."""
        monkeypatch.setitem(sys.modules, "opentelemetry.trace", types.ModuleType("opentelemetry.trace"))

        assert Rows({"Trace": "trace_id", "Message": "message"}).record(make()) == {"Message": "hello"}

    def test_standard_attributes_are_derived_from_this_pythons_records(self):
        """They differ between versions."""
        assert set(make().__dict__) == module.STANDARD & set(make().__dict__)
        assert next(reversed(make().__dict__)) == module.LAST_STANDARD

    def test_a_reader_asks_for_what_its_table_uses(self):
        """Names are worked out once, not per record."""
        reader = Reader({"line", "thread_id"})

        assert "line" in reader.site_fields
        assert "thread_id" in reader.thread_fields
        assert "file" not in reader.site_fields

    def test_the_module_of_the_caller_is_the_files(self):
        """As the standard library has it."""
        assert Rows({"Module": "module"}).record(make()) == {"Module": "rows"}
