"""The promises of every front door: one table, run against each of them.

A promise is a log call and a check of the rows it makes.
"""

import asyncio
import datetime as dt
import decimal
import logging
import os
import re
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.utils.functional import SimpleLazyObject
from opentelemetry.sdk.trace import TracerProvider

from logging_azmon._process import feedback
from support import django_app  # noqa: F401 - lazy objects need settings
from support.doors import DOORS, NAME, Door
from support.odd_values import ODD_VALUES, ReprRecurses, StrRaises

HERE = __file__


class Promise(NamedTuple):
    """Hold a log call, which takes a front door, and a check, which takes the row, or all rows unless it is one."""

    name: str
    call: Callable[[Door], object]
    check: Callable[[Any], object]


def log(message, *args, **extras):
    """Log at level info."""
    return lambda door: door.log.info(message, *args, **extras)


def has(**columns):
    """Check that these columns of a row have these values."""
    return lambda row: {name: row.get(name) for name in columns} == columns


def lacks(*columns):
    """Check that a row has none of these columns."""
    return lambda row: not set(columns) & set(row)


def rest(**extras):
    """Check what the column of `*` holds."""
    return lambda row: row.get("Properties") == (extras or None)


def both(*checks):
    return lambda row: all(check(row) for check in checks)


def matches(**patterns):
    """Check columns by regular expressions."""
    return lambda row: all(re.search(pattern, row[name], re.DOTALL) for name, pattern in patterns.items())


def fail(door, log_it):
    """Log in an except clause: the exception has a cause, and a local variable of its frame holds a secret."""
    password = "hunter2"
    try:
        try:
            {}["order"]
        except KeyError as error:
            raise LookupError("order is unknown") from error
    except LookupError as error:
        log_it(door, error)
    return password


def at_each_level(door):
    for level in ("debug", "info", "warning", "error", "critical"):
        getattr(door.log, level)(level)


def with_context(door):
    with door.bound(request="r-17", user_id=7):
        door.log.info("inside", order=1)
    door.log.info("outside")


def while_delivering(door):
    with feedback.delivering():
        door.log.info("of the library's own")
    door.log.info("of the application")


def in_a_task(door):
    async def main():
        asyncio.current_task().set_name("checkout")
        door.log.info("hello")

    asyncio.run(main())


SPANS = TracerProvider().get_tracer("tests")


def in_a_span(door):
    with SPANS.start_as_current_span("work") as span:
        door.log.info("hello")
    door.span = span.get_span_context()


def in_a_thread(door):
    thread = threading.Thread(target=door.log.info, args=("hello",), name="worker-3")
    thread.start()
    thread.join(30)


def after_close(door):
    door.log.info("before")
    door.front.close()
    door.pipeline.close()
    door.log.info("after")
    assert door.pipeline.stats().dropped == {"after_close": 1}


class LogsItself:
    """Log while being encoded."""

    def __init__(self, door):
        self.door = door

    def __repr__(self):
        self.door.log.info("inner")
        return "shown"


def lazy(door):
    loads = []
    door.log.info("hello", user=SimpleLazyObject(lambda: loads.append(1)))
    assert loads == []


def is_now(row):
    moment = dt.datetime.fromisoformat(row["The_time"])
    return re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", row["The_time"]) and (
        abs(time.time() - moment.timestamp()) < 60
    )


def structured(row):
    first, second = row["The_exceptions"]
    names = [frame["name"] for frame in first["frames"]]
    return (
        (first["exc_type"], first["exc_value"]) == ("LookupError", "order is unknown")
        and (second["exc_type"], second["is_cause"]) == ("KeyError", True)
        and names == ["fail"]
        and "hunter2" not in str(row)
    )


A_DAY = dt.datetime(2026, 3, 4, 5, 6, 7, tzinfo=dt.timezone(dt.timedelta(hours=2)))
EXCEPTIONS = ("The_exception", "The_exception_type", "The_exception_message", "The_exceptions")
FRAME = r"Traceback \(most recent call last\):.*in fail.*LookupError: order is unknown$"

PROMISES = [
    Promise("the message is text", log("hello"), has(The_message="hello")),
    Promise("arguments are in the message", log("%s of %d", "one", 2), has(The_message="one of 2")),
    Promise("arguments may have names", log("%(a)s and %(b)s", {"a": 1, "b": 2}), has(The_message="1 and 2")),
    Promise("without arguments a percent sign stays as it is", log("100 % sure"), has(The_message="100 % sure")),
    Promise("an empty message is kept", log(""), has(The_message="")),
    Promise("a message may have several lines", log("one\ntwo"), has(The_message="one\ntwo")),
    Promise("a message may be a number", log(42), has(The_message="42")),
    Promise("a long message is cut with a mark", log("x" * 70_000), matches(The_message=r"…\(cut, 70,000 bytes\)$")),
    Promise("a lone surrogate is readable", log("\ud800"), has(The_message="\\ud800")),
    Promise(
        "each level has its name and number",
        at_each_level,
        lambda rows: (
            [(row["The_level"], row["The_level_number"]) for row in rows]
            == [("DEBUG", 10), ("INFO", 20), ("WARNING", 30), ("ERROR", 40), ("CRITICAL", 50)]
        ),
    ),
    Promise(
        "the level has the severities of syslog and CEF",
        log("hello"),
        has(The_syslog_severity="info", The_cef_severity="3"),
    ),
    Promise("the name of the logger is known", log("hello"), has(The_logger=NAME)),
    Promise("the time is now, in UTC, with six decimals", log("hello"), is_now),
    Promise(
        "extras of each type go to their columns",
        log("hello", user_id=42, amount=59.9, paid=True, due=A_DAY, basket={"7": [1, 2]}),
        both(
            has(UserId=42, Amount=59.9, Paid=True, Due="2026-03-04T03:06:07.000000Z", Basket={"7": [1, 2]}),
            rest(),
        ),
    ),
    Promise("extras without a column go to *", log("hello", order=7, note="x"), rest(order=7, note="x")),
    Promise("without extras the column of * is absent", log("hello"), lacks("Properties")),
    Promise("None leaves its column out", log("hello", user_id=None), lacks("UserId", "Properties")),
    Promise(
        "dots reach into mappings, of which the rest stays among the rest",
        log("hello", cloud={"region": "north", "zone": 1}),
        both(has(Region="north"), rest(cloud={"zone": 1})),
    ),
    Promise(
        "text that stands for a number fills a column of numbers",
        log("hello", user_id="200", amount="59.9"),
        both(has(UserId=200, Amount=59.9), rest()),
    ),
    Promise(
        "a mapping as the message forges no field",
        log({"level": "critical", "logger": "evil", "timestamp": 0, "exception": "forged"}),
        both(has(The_level="INFO", The_logger=NAME), is_now, lacks("The_exception"), matches(The_message="forged")),
    ),
    Promise(
        "of a mapping as the argument no key arrives that the message does not name",
        log("login of %(user)s", {"user": "ada", "password": "hunter2"}),
        both(has(The_message="login of ada"), lambda row: "hunter2" not in str(row)),
    ),
    Promise("a constant is in every row", log("hello"), has(Release="1.4.2")),
    Promise(
        "a value that does not fit its column goes to *",
        log("hello", user_id="many", amount=float("nan")),
        both(lacks("UserId", "Amount"), rest(user_id="many", amount="NaN")),
    ),
    Promise(
        "an extra cannot forge a column",
        log("hello", The_level="CRITICAL", The_instance="mine", The_time=0),
        both(has(The_level="INFO"), rest(The_level="CRITICAL", The_instance="mine", The_time=0), is_now),
    ),
    Promise(
        "extras named like fields are extras",
        log("hello", host="h", instance="i", sequence=9, trace_id="t", task="t", time="noon"),
        rest(host="h", instance="i", sequence=9, trace_id="t", task="t", time="noon"),
    ),
    Promise(
        "an exception has a text, a type and a message",
        lambda door: fail(door, lambda door, _: door.log.error("failed", exc_info=True)),
        both(
            matches(The_exception=rf"KeyError: 'order'.*direct cause.*{FRAME}"),
            has(The_exception_type="LookupError", The_exception_message="order is unknown"),
            rest(),
        ),
    ),
    Promise(
        "an exception is structured, with its cause, without local variables",
        lambda door: fail(door, lambda door, _: door.log.error("failed", exc_info=True)),
        structured,
    ),
    Promise(
        "exception() logs an error with the exception",
        lambda door: fail(door, lambda door, _: door.log.exception("failed")),
        both(matches(The_exception=FRAME), has(The_level="ERROR", The_level_number=40)),
    ),
    Promise(
        "exc_info may be an exception",
        lambda door: fail(door, lambda door, error: door.log.error("failed", exc_info=error)),
        both(matches(The_exception=FRAME), structured),
    ),
    Promise(
        "exc_info=True without an exception leaves the columns out",
        log("hello", exc_info=True),
        both(lacks(*EXCEPTIONS), rest()),
    ),
    Promise(
        "exc_info=False leaves the columns of an exception out",
        log("hello", exc_info=False),
        both(lacks(*EXCEPTIONS), rest()),
    ),
    Promise(
        "stack_info adds the stack",
        log("hello", stack_info=True),
        both(matches(The_stack=r"Stack \(most recent call last\):.*in <lambda>"), rest()),
    ),
    Promise("without stack_info there is no stack", log("hello"), lacks("The_stack")),
    Promise(
        "the place of the call is known",
        lambda door: door.log.info("hello"),
        both(
            has(The_file=HERE, The_module="test_conformance", The_function="<lambda>"),
            lambda row: row["The_line"] == PLACE,
        ),
    ),
    Promise(
        "process and thread are the caller's",
        in_a_thread,
        both(
            has(The_process_id=os.getpid(), The_process_name="MainProcess", The_thread_name="worker-3"),
            lambda row: row["The_thread_id"] != threading.get_ident(),
        ),
    ),
    Promise("the name of the host is known", log("hello"), has(The_host=socket.gethostname())),
    Promise(
        "rows of an instance are numbered in order",
        lambda door: [door.log.info("hello") for _ in range(3)],
        lambda rows: [row["The_sequence"] for row in rows] == [0, 1, 2] and len({r["The_instance"] for r in rows}) == 1,
    ),
    Promise("the name of an asyncio task is known", in_a_task, has(The_task="checkout")),
    Promise("outside an asyncio task there is no task name", log("hello"), lacks("The_task")),
    Promise(
        "a row has the ids of the current span",
        in_a_span,
        lambda row: (
            re.fullmatch("[0-9a-f]{32}", row["The_trace_id"]) and re.fullmatch("[0-9a-f]{16}", row["The_span_id"])
        ),
    ),
    Promise("outside a span there are no ids", log("hello"), lacks("The_trace_id", "The_span_id")),
    Promise(
        "context arrives with each call, until its block ends",
        with_context,
        lambda rows: (
            [(row.get("UserId"), row.get("Properties")) for row in rows]
            == [(7, {"request": "r-17", "order": 1}), (None, None)]
        ),
    ),
    Promise(
        "a record of a delivering thread makes no row",
        while_delivering,
        has(The_message="of the application"),
    ),
    Promise(
        "any object as an extra is readable",
        log("hello", a={1}, b=b"x", c=decimal.Decimal("1.5"), d=StrRaises(), e=ReprRecurses(), f=LookupError("lost")),
        lambda row: (
            {name: row["Properties"][name] for name in "abcf"}
            == {"a": [1], "b": "x", "c": "1.5", "f": "LookupError: lost"}
            and set(row["Properties"]) == set("abcdef")
        ),
    ),
    Promise("a lazy object is not loaded", lazy, rest(user="(lazy, not loaded)")),
    Promise(
        "a value that logs makes a row of its own",
        lambda door: door.log.info("outer", value=LogsItself(door)),
        lambda rows: {row["The_message"] for row in rows} == {"inner", "outer"},
    ),
    Promise("a call after close is counted and does not raise", after_close, has(The_message="before")),
]
PLACE = 1 + Path(HERE).read_text("utf-8").splitlines().index('        lambda door: door.log.info("hello"),')


@pytest.fixture(params=DOORS.values(), ids=DOORS)
def door(request):
    door = Door(request.param)
    yield door
    door.close()


@pytest.mark.parametrize("promise", PROMISES, ids=[promise.name for promise in PROMISES])
def test_every_front_door_keeps_every_promise(door, promise):
    promise.call(door)

    rows = door.rows()
    assert promise.check(rows[0] if len(rows) == 1 else rows), rows


@pytest.mark.parametrize("level", ["WARNING", logging.WARNING])
@pytest.mark.parametrize("open_door", DOORS.values(), ids=DOORS)
def test_every_front_door_ignores_calls_below_its_level(open_door, level):
    """The level is a name or a number; calls below it make no row and are not counted."""
    door = Door(open_door, level=level)
    if isinstance(door.front, logging.Handler):
        assert door.front.level == logging.WARNING
    at_each_level(door)

    assert [row["The_message"] for row in door.rows()] == ["warning", "error", "critical"]
    assert door.front.stats().accepted == 3
    door.close()


@pytest.mark.parametrize("odd", [make for _, make in ODD_VALUES], ids=[name for name, _ in ODD_VALUES])
@pytest.mark.parametrize("name", [*DOORS][:3])
def test_no_front_door_raises_whatever_object_is_logged(name, odd):
    """The object fills columns of several types, or none; if it logs, that may make further rows."""
    door = Door(DOORS[name])
    door.log.info("hello", user_id=odd(), amount=odd(), paid=odd(), due=odd(), basket=odd(), cloud=odd(), other=odd())

    assert [row["The_message"] for row in door.rows()].count("hello") == 1
    assert door.front.stats().dropped == {}
    door.close()
