"""The field `template` is the message before its arguments are put in, the same for all calls of one kind."""

import logging
import logging.handlers

import pytest
import structlog

from support.doors import stdlib_logger
from support.odd_values import StrRaises
from support.rows import Rows, exc_info, make_record

COLUMNS = {"Template": "template", "Message": "message", "Rest": "*"}
FIELDS = {"Time": "time", **COLUMNS}


@pytest.mark.parametrize("columns", [COLUMNS, FIELDS, {**FIELDS, "Again": "template:dynamic", "Path": "a.b"}])
@pytest.mark.parametrize("more", [{}, {"exc_info": exc_info()}], ids=["", "exception"])
def test_the_template_is_the_message_before_its_arguments_are_put_in(columns, more):
    """On either path, with a formatter too."""
    rows = Rows(columns)
    for formatter in (None, logging.Formatter("<%(message)s>")):
        row = rows.record(make_record("order %d of %s", 7, "ada", extra={"a": {"b": "x", "c": 1}}, **more), formatter)

        assert row["Template"] == "order %d of %s"
        assert "order 7 of ada" in row["Message"]
        assert row.get("Again", "order %d of %s") == "order %d of %s"
        assert row["Rest"]["a"] == ({"c": 1} if "Path" in columns else {"b": "x", "c": 1})


@pytest.mark.parametrize(
    ("message", "args", "template"),
    [
        ("paid", (), "paid"),
        ("%(user)s came", ({"user": "ada"},), "%(user)s came"),
        ("100 % sure", (), "100 % sure"),
        (ValueError("lost"), (), "lost"),
        (["a"], (), "['a']"),
        (StrRaises(), (), "(support.odd_values.StrRaises that cannot be shown)"),
        ({"a": 1}, (), '{"a":1}'),
        ("x" * 70_000, (), "x" * 65_510 + "…(cut, 70,000 bytes)"),
        ("%.1s" + "x" * 70_000, ("a",), "%.1s" + "x" * 65_506 + "…(cut, 70,004 bytes)"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else None,
)
def test_every_message_has_a_template(message, args, template):
    """Without arguments it is the message itself."""
    row = Rows(FIELDS).record(make_record(message, *args))

    assert row["Template"][:60] == template[:60]
    assert row["Template"][-22:] == template[-22:]
    assert len(row["Template"].encode()) <= 65_536


def test_an_extra_called_template_wins_over_the_field():
    """A table of today goes on meaning what it means."""
    rows = Rows(FIELDS)
    for record in (
        make_record("order %d", 7, extra={"template": "mine"}),
        make_record("order %d", 7, extra={"template": "mine"}, exc_info=exc_info()),
    ):
        row = rows.record(record)
        assert row["Template"] == "mine"
        assert "template" not in row.get("Rest", {})
    assert rows.event({"event": "paid", "template": "mine"})["Template"] == "mine"
    assert Rows({"Message": "message", "Rest": "*"}).record(make_record(extra={"template": "mine"}))["Rest"] == {
        "template": "mine"
    }


def test_a_column_of_numbers_takes_only_the_extra():
    """The template would never fit it, and each row would count a misfit."""
    rows = Rows({**FIELDS, "Template": "template:int"})

    assert "Template" not in rows.record(make_record("order %d", 7))
    assert rows.record(make_record("order %d", 7, extra={"template": 5}))["Template"] == 5
    assert rows.misfits == 0


def test_the_event_of_structlog_is_its_template():
    """Its positional arguments are put into it later, if at all."""
    rows = Rows(FIELDS)

    for more in ({}, {"level": "info", "lineno": 5}):
        assert rows.event({"event": "order paid", "order": 7, **more})["Template"] == "order paid"
    row = rows.event({"event": "order %d", "positional_args": (7,)})
    assert (row["Template"], row["Message"]) == ("order %d", "order 7")


def test_a_record_that_crossed_a_queue_has_no_template():
    """QueueHandler puts the arguments into the message, and the message of each call is not a template."""
    found = []

    class Crossing(logging.handlers.QueueHandler):
        def enqueue(self, record):
            found.append(record)

    logger = stdlib_logger(Crossing(None))
    logger.info("order %d", 7)
    log = structlog.wrap_logger(logger, processors=[structlog.stdlib.ProcessorFormatter.wrap_for_formatter])
    log.info("order paid", order=7)

    plain, event = (Rows(FIELDS).record(record) for record in found)
    assert (plain["Message"], "Template" in plain) == ("order 7", False)
    assert event["Message"] == event["Template"] == "order paid"


def test_an_ordinary_record_with_a_template_is_encoded_in_one_step(monkeypatch):
    """Grouping by template must not make a log call expensive."""
    rows = Rows({**FIELDS, "Service": "service_name"})
    monkeypatch.setattr(rows.encoder.record_reader, "read", None)

    assert rows.record(make_record("order %d", 7, extra={"a": 1}))["Template"] == "order %d"
