"""A LogRecord becomes the same fields, even if filters, factories and other handlers have changed it."""

import copy
import json
import logging
import os
import pickle
import threading
import types

import pytest
from django.utils.functional import SimpleLazyObject
from hypothesis import given

from logging_azmon._rows.read_event import EVENT_KEYS
from logging_azmon._rows.record_extras import LAST_STANDARD, STANDARD
from support import django_app  # noqa: F401 - lazy objects want settings
from support import rows as rows_module
from support.odd_values import ODD_VALUES, AttributesRaise, EqualsRaises, MappingRaises, StrRaises
from support.rows import DEFAULT_COLUMNS, EVERY_FIELD, Rows, exc_info, fail, make_record
from support.strategies import records

UNREADABLE = "(support.odd_values.StrRaises that cannot be shown)"


class TestRecord:
    def test_every_field_is_filled_from_a_record(self):
        """Each field of a record has its column."""
        record = make_record("hello %s", "ada", extra={"user": 7}, exc_info=exc_info(), level=40, sinfo="Stack: here")
        record.created = 1_700_000_000.25
        rows = Rows(EVERY_FIELD)

        row = rows.record(record)

        # These fields are the environment's, see test_service.
        row = {name: value for name, value in row.items() if "service" not in name and name != "The_environment"}
        assert rows.misfits == 0
        assert row == {
            "The_time": "2023-11-14T22:13:20.250000Z",
            "The_level": "ERROR",
            "The_level_number": 40,
            "The_logger": "app",
            "The_message": "hello ada",
            "The_template": "hello %s",
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

    def test_columns_without_a_value_are_left_out_of_the_row(self):
        """No nulls are sent, stored or billed."""
        assert set(Rows(DEFAULT_COLUMNS).record(make_record())) == {"Time", "Level", "Message"}

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
    def test_each_built_in_table_has_its_own_word_for_a_level(self, level, words):
        """A custom level counts as the highest standard level that it reaches."""
        row = Rows(EVERY_FIELD).record(make_record(level=level))

        fields = ("syslog_severity", "cef_severity", "event_level", "event_level_name", "event_type")
        assert tuple(row[f"The_{field}"] for field in fields) == words

    def test_of_a_mapping_as_the_single_argument_only_what_the_template_names_is_an_extra(self):
        """People log a whole form to show one value of it: `log.info("%(user)s came", form)`."""
        form = {"user": "ada", "age": 36, "password": "hunter2", 7: 8}
        rows = Rows(DEFAULT_COLUMNS)

        row = rows.record(make_record("%(user)s came, %(age)03d %%(password)s", form, extra={"age": 1}))
        assert row["Message"] == "ada came, 036 %(password)s"
        assert row["Rest"] == {"age": 1, "user": "ada", "age_": 36}
        assert rows.record(make_record("came", form)).keys() == {"Time", "Level", "Message"}

    def test_of_a_mapping_as_the_single_argument_a_column_takes_what_it_asks_for(self):
        """By its name or by a path, and no more of a nested mapping than that."""
        form = {"user": {"name": "ada", "password": "hunter2"}, "age": 36, "a(b)c": 5, "other": 7}
        columns = {**DEFAULT_COLUMNS, "Name": "user.name", "Age": "age:int", "Missing": "user.mail"}

        row = Rows(columns).record(make_record("came %(a(b)c)s", form))
        assert row["Message"] == "came 5"
        assert {name: row[name] for name in ("Name", "Age", "Rest")} == {
            "Name": "ada",
            "Age": 36,
            "Rest": {"a(b)c": 5},
        }
        assert "hunter2" not in str(row)

    @pytest.mark.parametrize("template", ["%(usr)s came", "%(age)d %(user)d", "100% %(user)s"])
    def test_of_a_mapping_that_does_not_fit_the_template_only_the_keys_are_shown(self, template):
        """A typo in the template must not send the password."""
        row = Rows(DEFAULT_COLUMNS).record(make_record(template, {"user": "ada", "password": "hunter2"}))

        assert row["Message"] == f'{template} (could not be formatted with the arguments ["user","password"])'
        assert "hunter2" not in str(row)

    def test_of_a_mapping_on_an_odd_record_only_what_the_template_names_is_an_extra(self):
        """A filter has deleted a standard attribute."""
        record = make_record("%(user)s came", {"user": "ada", "password": "hunter2"})
        del record.created

        assert Rows(DEFAULT_COLUMNS).record(record)["Rest"] == {"user": "ada"}

    def test_headers_in_an_access_log_arrive_only_if_the_message_uses_them(self):
        """A server passes every header of the request to its access log, tokens among them."""

        class Atoms(dict):
            def __getitem__(self, name):
                return super().__getitem__(name.lower())

        atoms = {"m": "GET", "{authorization}i": "Bearer secret", "{cookie}i": "id=1", "{x-request-id}i": "r-17"}

        row = Rows(DEFAULT_COLUMNS).record(make_record("%(m)s %({X-Request-Id}i)s", Atoms(atoms)))
        assert row["Rest"] == {"m": "GET", "{x-request-id}i": "r-17"}

        row = Rows(DEFAULT_COLUMNS).record(make_record("%(m)s", atoms | {7: 8}))
        assert (row["Message"], row["Rest"]) == ("GET", {"m": "GET"})

    def test_uvicorns_coloured_message_does_not_arrive(self):
        """It repeats the message, with the terminal's escape codes; an extra of that name of anybody else arrives."""
        extra = {"color_message": "Started [\x1b[36m%d\x1b[0m]", "a": 1}
        rows = Rows(DEFAULT_COLUMNS)

        for name in ("uvicorn", "uvicorn.error"):
            row = rows.record(make_record("Started [%d]", 7, extra=extra, name=name))
            assert (row["Message"], row["Rest"]) == ("Started [7]", {"a": 1})
        assert rows.record(make_record(extra={"color_message": "x"}, name="uvicorn.error")).keys() == {
            "Time",
            "Level",
            "Message",
        }
        for name in ("shop", "uvicornish"):
            assert rows.record(make_record(extra=extra, name=name))["Rest"] == extra

    def test_values_bound_by_loguru_count_as_extras(self):
        """loguru passes them as a mapping under one name; if a name is taken, both values are kept."""
        rows = Rows(DEFAULT_COLUMNS | {"User": "user"})

        row = rows.record(make_record(extra={"extra": {"user": "ada", "order": 7}, "order": 8}))
        assert (row["User"], row["Rest"]) == ("ada", {"order": 8, "order_": 7})
        assert rows.record(make_record(extra={"extra": "text"}))["Rest"] == {"extra": "text"}
        assert "Rest" not in rows.record(make_record(extra={"extra": {}}))

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
                f'%s (could not be formatted with the arguments ["{UNREADABLE}"])',
            ),
            (5, (), "5"),
            (None, (), "None"),
            (["a"], (), "['a']"),
            (ValueError("bad"), (), "bad"),
            (StrRaises(), (), UNREADABLE),
            ("lone \ud800", (), "lone \\ud800"),
            ("", (), ""),
        ],
    )
    def test_a_message_that_cannot_be_formatted_is_kept_with_its_arguments(self, message, args, shown):
        """The standard library prints a traceback to stderr and loses the record."""
        assert Rows(DEFAULT_COLUMNS).record(make_record(message, *args))["Message"] == shown

    def test_the_output_of_a_formatter_is_the_message(self):
        """Every other handler uses its formatter's output too."""
        row = Rows(DEFAULT_COLUMNS).record(
            make_record("hello", extra={"a": 1}), logging.Formatter("<%(levelname)s %(message)s>")
        )

        assert (row["Message"], row["Rest"]) == ("<INFO hello>", {"a": 1})

    @pytest.mark.parametrize(
        "formatter", [logging.Formatter("%(missing)s"), types.SimpleNamespace(format=lambda _: 1 / 0)]
    )
    def test_the_message_arrives_if_the_formatter_raises(self, formatter):
        assert Rows(DEFAULT_COLUMNS).record(make_record("hello"), formatter)["Message"] == "hello"

    def test_attributes_that_another_handlers_formatter_adds_are_not_extras(self):
        """A console handler before ours sets message, asctime and exc_text."""
        record = make_record("hello", extra={"a": 1}, exc_info=exc_info())
        logging.Formatter("%(asctime)s %(message)s").format(record)

        row = Rows(DEFAULT_COLUMNS).record(record)

        assert row["Rest"] == {"a": 1}
        assert row["Exception"].endswith("LookupError: lost")

    def test_exc_info_without_an_exception_is_left_out(self):
        """logger.error(..., exc_info=True) outside an except clause passes no exception."""
        assert "Exception" not in Rows(DEFAULT_COLUMNS).record(make_record(exc_info=(None, None, None)))

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
        """makeLogRecord accepts a value of any type."""
        assert Rows(DEFAULT_COLUMNS).record(logging.makeLogRecord({"exc_info": value})).get("Exception") == shown

    def test_exc_info_true_set_by_hand_is_the_exception_being_handled(self):
        """Loggers treat the flag in the same way."""
        try:
            fail()
        except LookupError:
            row = Rows(DEFAULT_COLUMNS).record(logging.makeLogRecord({"exc_info": True}))

        assert row["Exception"].endswith("LookupError: lost")

    def test_exc_info_true_on_an_odd_record_is_not_an_exception_of_the_library(self):
        """A record without its message is read again after an internal error, which must not become its exception."""
        record = make_record()
        record.exc_info = True
        del record.msg

        assert "Exception" not in Rows(DEFAULT_COLUMNS).record(record)

    def test_an_exception_whose_str_raises_is_shown_by_its_traceback(self):
        error = StrRaises()
        row = Rows({**DEFAULT_COLUMNS, "Words": "exception_message"}).record(
            make_record(exc_info=(ValueError, ValueError(error), None))
        )

        assert "ValueError" in row["Exception"]
        assert "no text" in row["Words"]

    def test_the_exception_of_a_record_without_exc_info_is_its_exc_text(self):
        """Records from another process have exc_text only."""
        record = make_record(exc_info=exc_info())
        record.exc_text, record.exc_info = "Traceback: lost", None

        assert Rows(DEFAULT_COLUMNS).record(record)["Exception"] == "Traceback: lost"

    def test_a_pickled_or_copied_record_is_read_like_the_original(self):
        """Applications with several processes send records over sockets and queues."""
        record = make_record("hello %s", "ada", extra={"a": 1, "b": 2})
        rows = Rows({"Rest": "*", "Message": "message"})

        for twin in (pickle.loads(pickle.dumps(record)), copy.copy(record), copy.deepcopy(record)):
            assert rows.record(twin) == {"Message": "hello ada", "Rest": {"a": 1, "b": 2}}

    @pytest.mark.parametrize("attribute", ["taskName", "process", "stack_info"])
    def test_a_record_from_another_python_is_read_like_one_from_this(self, attribute):
        """Such a record has one attribute more or less, or another order of attributes."""
        record = make_record("hello", extra={"a": 1, "b": 2})
        state = {"taskName": "Task-1", **{name: value for name, value in record.__dict__.items() if name != attribute}}
        twin = logging.makeLogRecord({})
        twin.__dict__.clear()
        twin.__dict__.update(state)

        assert Rows({"Rest": "*", "Message": "message"}).record(twin) == {"Message": "hello", "Rest": {"a": 1, "b": 2}}

    @pytest.mark.parametrize("attribute", list(make_record().__dict__))
    def test_each_other_field_arrives_if_a_standard_attribute_is_missing(self, attribute):
        """Some filters delete attributes."""
        record = make_record("hello", extra={"a": 1})
        delattr(record, attribute)
        rows = Rows(EVERY_FIELD)

        row = rows.record(record)

        assert row["Rest"] == {"a": 1}
        assert attribute == "msg" or row["The_message"] == "hello"
        assert row["The_time"]
        assert rows.misfits == 0

    @pytest.mark.parametrize("attribute", list(make_record().__dict__))
    @pytest.mark.parametrize(
        ("name", "odd"), [(n, m) for n, m in ODD_VALUES if not any(large in n for large in ("000", "million"))]
    )
    def test_any_value_of_a_standard_attribute_is_encoded(self, attribute, name, odd):
        """makeLogRecord({...}) checks nothing."""
        Rows(EVERY_FIELD).record(logging.makeLogRecord({"msg": "hello", attribute: odd(), "extra": 1}))

    def test_extras_are_found_if_as_many_standard_attributes_are_missing(self):
        """The number of attributes alone does not show whether there are extras."""
        record = make_record("hello", extra={"a": 1})
        del record.relativeCreated

        assert Rows(DEFAULT_COLUMNS).record(record)["Rest"] == {"a": 1}

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_attributes_that_a_record_factory_adds_are_extras(self, when):
        """setLogRecordFactory accepts any class."""

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

        row = Rows(DEFAULT_COLUMNS).record(record)

        assert (row["Message"], row["Rest"]) == ("hello ada!", {"request": 7, "a": 1})

    def test_a_property_of_a_record_subclass_stands_for_a_missing_attribute(self):
        """If the property raises, the error is shown."""

        class Own(logging.LogRecord):
            levelname = property(lambda self: "OWN", lambda self, value: None)
            funcName = property(lambda self: 1 / 0, lambda self, value: None)  # noqa: N815 - the standard library's

        row = Rows({"Level": "level", "Function": "function", "Message": "message"}).record(
            Own("app", 20, __file__, 1, "hello", None, None)
        )

        assert row == {"Level": "OWN", "Function": "ZeroDivisionError: division by zero", "Message": "hello"}

    def test_extras_whose_names_are_not_text_arrive(self):
        """A record's __dict__ takes any key."""
        record = make_record("hello")
        record.__dict__[5] = "five"
        record.__dict__["5"] = "text"

        assert Rows(DEFAULT_COLUMNS).record(record)["Rest"] == {"5": "five", "5_": "text"}

    @pytest.mark.parametrize(
        "odd", [lambda: [1, 2], lambda: "text", lambda: 5, MappingRaises, EqualsRaises, AttributesRaise]
    )
    def test_a_record_with_odd_arguments_keeps_its_message(self, odd):
        """An earlier handler may have replaced the arguments with any value."""
        row = Rows(DEFAULT_COLUMNS).record(logging.makeLogRecord({"msg": "hello", "args": odd()}))

        assert row["Message"].startswith("hello")

    def test_a_lazy_object_in_any_place_of_a_record_or_event_is_not_loaded(self):
        """Applications call `logger.info(request.user)`."""
        loads = []
        lazy = SimpleLazyObject(lambda: loads.append(1))
        rows = Rows(EVERY_FIELD)

        assert rows.record(make_record(lazy))["The_message"] == "(lazy, not loaded)"
        assert "(lazy, not loaded)" in rows.record(make_record(lazy, "argument"))["The_message"]
        for attribute in ("created", "exc_info", "exc_text", "stack_info", "user"):
            rows.record(logging.makeLogRecord({"msg": "hello", attribute: lazy}))
        for key in [key for keys in EVENT_KEYS.values() for key in keys]:
            rows.event({"event": "hello", key: lazy})
            for marks in ({}, {"_logger": None, "_name": "info"}):
                rows.record(make_record({"event": "hello", key: lazy}, extra=marks))
        assert loads == []

    @given(records())
    def test_any_record_is_read_and_encoded(self, record):
        """A filter, a factory or a caller may have changed it in any way."""
        rows = Rows(EVERY_FIELD)

        row = rows.record(record)

        assert row["The_time"].endswith("Z")
        assert row["The_instance"] == rows.encoder.instance

    @given(records())
    def test_a_table_without_a_star_column_takes_any_record(self, record):
        """All values without a column join the message."""
        assert Rows({"Line": "line", "Message": "message", "Thread": "thread_id:int"}).record(record) is not None


def test_the_standard_attributes_are_those_of_this_python():
    """The attributes differ between versions of Python."""
    assert set(make_record().__dict__) == STANDARD & set(make_record().__dict__)
    assert next(reversed(make_record().__dict__)) == LAST_STANDARD


def test_the_module_of_a_record_is_named_after_its_file():
    """The standard library does the same."""
    assert Rows({"Module": "module"}).record(make_record()) == {"Module": "rows"}
