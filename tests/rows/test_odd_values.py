"""An odd value arrives as readable, valid JSON, and does not affect the values beside it."""

import logging

import pytest
import structlog

from logging_azmon import AzureMonitorHandler, Pipeline
from logging_azmon.testing import FakeDestination, ManualClock, capture
from support.odd_values import ODD_VALUES

ODD = pytest.mark.parametrize("odd", [make for _, make in ODD_VALUES], ids=[name for name, _ in ODD_VALUES])
COLUMNS = {
    "TimeGenerated": "time",
    "Message": "message",
    "Properties": "*",
    "Text": "text",
    "Number": "number:int",
    "When": "when:datetime",
    "Truth": "truth:boolean",
    "Bag": "bag:dynamic",
    "Good": "good",
}


@pytest.fixture(scope="module")
def handler():
    """Return a handler whose pipeline sends nothing."""
    pipeline = Pipeline(
        "http://127.0.0.1:9",
        "dcr-0123456789abcdef0123456789abcdef",
        "Custom-Odd",
        columns=COLUMNS,
        destination=FakeDestination(),
        clock=ManualClock(),
        background=False,
    )
    handler = AzureMonitorHandler(pipeline=pipeline)
    yield handler
    handler.close()


@pytest.fixture
def logger(handler):
    """Return a logger with this handler alone, which pytest's own handlers do not reach."""
    logger = logging.Logger("odd.values")
    logger.addHandler(handler)
    return logger


def check(handler, rows, accepted):
    """Check that no row is lost, and that its good values arrived."""
    stats = handler.stats()
    assert stats.dropped == {}
    assert stats.accepted == accepted
    assert [row["Good"] for row in rows] == ["good"] * len(rows)
    for row in rows:
        assert row["TimeGenerated"].endswith("Z")
        assert all(value is not None for value in row.values())


class TestHandler:
    @ODD
    def test_an_odd_extra_arrives_in_a_column_of_any_type(self, handler, logger, odd):
        """The extra is logged for a column of each type, and without a column."""
        accepted = handler.stats().accepted
        extra = {"text": odd(), "number": odd(), "when": odd(), "truth": odd(), "bag": odd(), "none": odd()}

        with capture() as rows:
            logger.info("hello", extra={"good": "good", **extra})

        check(handler, rows, accepted)
        assert [row["Message"] for row in rows] == ["hello"]
        assert "Text" in rows[0] or odd() is None

    @ODD
    def test_an_odd_message_arrives(self, handler, logger, odd):
        """Applications call `logger.error(exception)` and `logger.info(a_list)`."""
        accepted = handler.stats().accepted
        with capture() as rows:
            logger.info(odd(), extra={"good": "good"})

        check(handler, rows, accepted)
        assert len(rows) == 1

    @ODD
    def test_an_odd_argument_arrives_with_its_neighbour(self, handler, logger, odd):
        """%s calls the argument's __str__, which may raise."""
        accepted = handler.stats().accepted
        with capture() as rows:
            logger.info("hello %s and %s", odd(), "neighbour", extra={"good": "good"})

        check(handler, rows, accepted)
        assert len(rows) == 1
        assert "neighbour" in rows[0]["Message"] or "cut" in rows[0]["Message"]


class TestStructlogThroughStdlib:
    @ODD
    def test_an_odd_value_under_any_key_of_an_event_dict_arrives(self, handler, logger, odd):
        """The key may be the caller's own, or one that stands for a field."""
        accepted = handler.stats().accepted
        bound = structlog.wrap_logger(
            logger,
            processors=[structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
            wrapper_class=structlog.stdlib.BoundLogger,
        )

        with capture() as rows:
            bound.info("hello", good="good", text=odd(), number=odd(), bag=odd(), timestamp=odd(), level=odd())
            bound.info("hello", good="good", exception=odd(), stack=odd(), module=odd(), thread=odd(), lineno=odd())

        check(handler, rows, accepted)
        assert [row["Message"] for row in rows] == ["hello", "hello"]
