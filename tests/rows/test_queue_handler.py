"""A record from a QueueHandler, in this process or another, becomes the same row as one that was not queued."""

import datetime as dt
import io
import logging
import logging.handlers
import multiprocessing
import os
import queue
import threading
import time
import uuid

import pytest
import structlog

from logging_azmon import AzureMonitorHandler, AzureMonitorProcessor
from logging_azmon.testing import capture
from support import queueing
from support.doors import Crossing, stdlib_logger
from support.rows import exc_info

ADDRESS = ("http://127.0.0.1:9", "dcr-queued", "Custom-App")
COLUMNS = {
    "Time": "time",
    "Level": "level",
    "Logger": "logger",
    "Message": "message",
    "Exception": "exception",
    "Stack": "stack",
    "Process": "process_id",
    "UserId": "user_id:int",
    "Rest": "*",
}


@pytest.fixture(scope="module")
def handler():
    handler = AzureMonitorHandler(*ADDRESS, columns=COLUMNS)
    yield handler
    handler.close()


@pytest.fixture
def logger(handler):
    """Log through a QueueHandler whose records are pickled, as records for another process are."""
    logger = logging.getLogger("shop.orders")  # structlog's events carry their logger, which is pickled by its name
    logger.addHandler(Crossing(handler))
    logger.propagate = False
    logger.setLevel(1)
    yield logger
    logger.handlers.clear()


@pytest.fixture
def rows():
    with capture() as rows:
        yield rows


class LinesError(Exception):
    """Have a message with lines that look like those of a traceback."""

    def __str__(self):
        return "lost\n  and found"


def fail(kind=LookupError):
    try:
        {}["order"]
    except KeyError as error:
        raise kind("lost") from error


class TestRecords:
    def test_a_queued_record_arrives_as_it_was_logged(self, logger, rows):
        """Time, logger, level and extras are kept; the message has been formatted already."""
        before = time.time()
        logger.warning("%s of %d", "one", 2, extra={"user_id": 7, "note": "x"})

        (row,) = rows
        assert before - 1e-5 <= dt.datetime.fromisoformat(row.pop("Time")).timestamp() <= time.time()
        assert row == {
            "Level": "WARNING",
            "Logger": "shop.orders",
            "Message": "one of 2",
            "Process": os.getpid(),
            "UserId": 7,
            "Rest": {"note": "x"},
        }

    @pytest.mark.parametrize("kind", [LookupError, LinesError])
    def test_a_queued_record_has_its_exception_in_the_exception_column(self, logger, rows, kind):
        """The QueueHandler has appended the traceback to the message."""
        try:
            fail(kind)
        except kind:
            logger.exception("two\nlines", extra={"user_id": 7})

        assert (rows[0]["Message"], rows[0]["UserId"]) == ("two\nlines", 7)
        assert rows[0]["Exception"].startswith("Traceback (most recent call last):\n")
        assert "KeyError: 'order'\n\nThe above exception was the direct cause" in rows[0]["Exception"]
        assert rows[0]["Exception"].endswith(str(kind("lost")))
        assert "Rest" not in rows[0]

    def test_a_queued_record_has_its_exception_group_in_the_exception_column(self, logger, rows):
        """The traceback of a group has another header."""
        logger.error("failed", exc_info=exc_info(ExceptionGroup("several", [ValueError("one"), KeyError("two")])))

        assert rows[0]["Message"] == "failed"
        assert rows[0]["Exception"].startswith("  + Exception Group Traceback (most recent call last):\n")

    def test_a_queued_record_has_its_stack_in_the_stack_column(self, logger, rows):
        """This holds with and without an exception."""
        try:
            fail()
        except LookupError:
            logger.error("failed", exc_info=True, stack_info=True)
        logger.error("not failed", stack_info=True)

        assert [row["Message"] for row in rows] == ["failed", "not failed"]
        assert all(row["Stack"].startswith("Stack (most recent call last):\n  File") for row in rows)
        assert [row.get("Exception", "")[-17:] for row in rows] == ["LookupError: lost", ""]

    def test_a_queued_record_with_exc_info_true_outside_an_except_clause_has_no_exception(self, logger, rows):
        """A formatter writes "NoneType: None" in that case."""
        logger.error("hello", exc_info=True)

        assert rows[0]["Message"] == "hello"
        assert "Exception" not in rows[0]

    def test_a_record_formatted_by_another_handler_outside_an_except_clause_has_no_exception(self, handler, rows):
        """The formatter stores its text on the record."""
        console = logging.StreamHandler(io.StringIO())
        stdlib_logger(console, handler).error("hello", exc_info=True)

        assert "NoneType: None" in console.stream.getvalue()
        assert (rows[0]["Message"], rows[0].get("Exception")) == ("hello", None)

    def test_a_formatter_gives_the_same_row_with_and_without_a_queue(self, rows):
        """The formatter's output is the message; all other values have their columns as usual."""
        handler = AzureMonitorHandler(*ADDRESS, columns=COLUMNS)
        handler.setFormatter(logging.Formatter("<%(message)s>"))
        for logger in (stdlib_logger(handler), stdlib_logger(Crossing(handler))):
            try:
                fail()
            except LookupError:
                logger.exception("failed")
        handler.close()

        direct, queued = rows
        assert direct["Message"] == queued["Message"] == "<failed>"
        assert direct["Exception"] == queued["Exception"]
        assert direct["Exception"].startswith("Traceback")

    def test_a_record_without_arguments_that_was_not_queued_keeps_its_message(self, handler, rows):
        """The record may come from a socket, with another handler's text on it."""
        for msg in ("mine", 5):
            handler.handle(logging.makeLogRecord({"msg": msg, "args": None, "message": "another's"}))

        assert [row["Message"] for row in rows] == ["mine", "5"]

    def test_a_message_with_the_text_of_a_traceback_is_not_split_if_it_was_not_queued(self, handler, rows):
        text = "see below\nTraceback (most recent call last):\nnothing"
        console = logging.StreamHandler(io.StringIO())
        console.setFormatter(logging.Formatter("%(message)s"))
        stdlib_logger(console, handler).info(text)
        stdlib_logger(console, handler).info("%s", text)

        assert [row["Message"] for row in rows] == [text, text]


class TestEvents:
    """A QueueHandler turns structlog's event dict into its repr."""

    def bound(self, logger, *processors):
        return structlog.wrap_logger(
            logger,
            processors=[*processors, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
            wrapper_class=structlog.stdlib.BoundLogger,
        )

    def test_a_queued_event_arrives_as_an_event(self, logger, rows):
        """The event's keys fill columns or are extras; structlog's own keys are left out."""
        log = self.bound(logger, structlog.stdlib.add_log_level, structlog.processors.TimeStamper(fmt="iso"))
        log.bind(user_id=7).warning("hello", basket={"7": [1, 2.5, None, True]}, note="it's")

        assert (rows[0]["Message"], rows[0]["Level"], rows[0]["UserId"]) == ("hello", "WARNING", 7)
        assert rows[0]["Rest"] == {"basket": {"7": [1, 2.5, None, True]}, "note": "it's"}

    def test_a_queued_event_keeps_its_literals_and_the_repr_of_other_values(self, logger, rows):
        number = uuid.UUID(int=7)
        self.bound(logger).info("hello", user_id=7, when=dt.date(2026, 1, 2), number=number)

        assert (rows[0]["Message"], rows[0]["UserId"]) == ("hello", 7)
        assert rows[0]["Rest"] == {"when": "datetime.date(2026, 1, 2)", "number": repr(number)}

    @pytest.mark.parametrize("odd", [object(), "x" * 70_000], ids=["not a literal", "too long"])
    def test_a_queued_event_that_cannot_be_parsed_is_the_message(self, logger, rows, odd):
        """Only the event's columns are lost; structlog's own keys are not extras."""
        self.bound(logger).info("hello", odd=odd)

        assert rows[0]["Message"].startswith("{'odd': ")
        assert "Rest" not in rows[0]

    def test_a_queued_event_is_not_parsed_on_a_small_stack(self, logger, rows):
        """A deeply nested repr would overrun the parser's stack and crash the process."""

        class Deep:
            def __repr__(self):
                return "(" * 150 + "1" + ")" * 150

        log = self.bound(logger)
        before = threading.stack_size(256 * 1024)
        try:
            thread = threading.Thread(target=log.info, args=["hello"], kwargs={"odd": Deep()})
            thread.start()
            thread.join(30)
        finally:
            threading.stack_size(before)

        assert rows[0]["Message"].startswith("{'odd': ((((")

    def test_a_queued_event_that_a_formatter_has_turned_into_text_is_the_message(self, logger, rows):
        """A formatter on the QueueHandler can turn an event into any text."""
        logger.handlers[0].setFormatter(logging.Formatter("event: %(message)s"))
        self.bound(logger).info("hello")

        assert rows[0]["Message"] == "event: {'event': 'hello'}"

    def test_a_queued_event_rendered_as_json_arrives_as_an_event(self, logger, rows):
        """A ProcessorFormatter on the QueueHandler renders it."""
        logger.handlers[0].setFormatter(
            structlog.stdlib.ProcessorFormatter(
                processors=[
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.JSONRenderer(),
                ]
            )
        )
        self.bound(logger).info("hello", user_id=7, flag=True, nothing=None)

        assert (rows[0]["Message"], rows[0]["UserId"]) == ("hello", 7)
        assert rows[0]["Rest"] == {"flag": True, "nothing": None}

    def test_a_queued_event_keeps_an_exception_that_was_already_rendered(self, logger, rows):
        """structlog advises rendering an exception before its event leaves the process."""
        try:
            fail()
        except LookupError:
            self.bound(logger, structlog.processors.format_exc_info).exception("failed")

        assert rows[0]["Message"] == "failed"
        assert rows[0]["Exception"].endswith("LookupError: lost")

    def test_an_event_that_the_processor_encodes_before_the_queue_loses_nothing(self, rows):
        """The row is encoded in the log call; the QueueHandler serves other handlers."""
        processor = AzureMonitorProcessor(*ADDRESS, columns=COLUMNS)
        records = queue.SimpleQueue()
        log = self.bound(stdlib_logger(logging.handlers.QueueHandler(records)), processor)
        when = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
        try:
            fail()
        except LookupError:
            log.exception("failed", when=when, odd=object)

        assert rows[0]["Message"] == "failed"
        assert rows[0]["Exception"].endswith("LookupError: lost")
        assert rows[0]["Rest"] == {"when": "2026-01-02T00:00:00.000000Z", "odd": "builtins.object"}
        assert records.get_nowait().msg.startswith("{")


def test_a_queued_record_from_another_process_keeps_exception_extras_and_time(handler, rows):
    """The other process has a QueueHandler, and this one a QueueListener."""
    context = multiprocessing.get_context("spawn")
    records = context.Queue()
    listener = logging.handlers.QueueListener(records, handler)
    listener.start()
    before = time.time()
    worker = context.Process(target=queueing.log_to, args=(records,))
    worker.start()
    worker.join(60)
    after = time.time()
    listener.stop()
    records.close()

    assert worker.exitcode == 0
    assert [(row["Message"], row["UserId"]) for row in rows] == [("begun", 7), ("failed after 5 s", 8), ("event", 9)]
    assert rows[1]["Exception"].endswith("LookupError: lost")
    assert {row["Process"] for row in rows} == {rows[0]["Rest"]["process_id"]} != {os.getpid()}
    assert all(before < dt.datetime.fromisoformat(row["Time"]).timestamp() < after for row in rows)
