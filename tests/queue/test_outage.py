"""An outage with more rows than the queue holds: memory is bounded, log calls stay fast, and losses are reported."""

import logging
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from logging_azmon import AzureMonitorHandler, Pipeline
from logging_azmon.pipeline import lifecycle_of
from logging_azmon.testing import Answer, FakeDestination, ManualClock
from support.delivering import a_rule, is_balanced, messages
from support.endpoint import STORED, Endpoint, status

SMALL = {"batch_bytes": 4_096, "queue_bytes": 16_384, "columns": {"Message": "message", "Sequence": "sequence:int"}}
NOTICE = re.compile(r"^([\d,]+) rows? dropped: queue_full, (\d\d:\d\d:\d\d) to (\d\d:\d\d:\d\d) UTC$")


def logger_of(pipeline):
    handler = AzureMonitorHandler(pipeline=pipeline)
    logger = logging.Logger("app")
    logger.addHandler(handler)
    return logger, handler


@pytest.mark.parametrize(("overflow", "kept"), [("drop_new", "first"), ("drop_old", "last"), ("block", "first")])
def test_kept_rows_arrive_and_losses_are_reported_after_an_outage(overflow, kept):
    """This uses real sockets, with a manual clock."""
    clock, reports = ManualClock(), []
    with Endpoint() as server:
        server.default = status(503, retry_after=205)
        pipeline = Pipeline(
            server.url,
            "dcr-0123",
            "Custom-App_CL",
            clock=clock,
            overflow=overflow,
            block_seconds=0.0,
            report=reports.append,
            **SMALL,
        )
        logger, handler = logger_of(pipeline)
        logger.warning("before")
        lifecycle_of(pipeline).make_all_due()
        server.wait_for_requests(1)
        clock.wait_for_waiters(1)
        for number in range(3_000):
            logger.warning("%s", number)
        lost = handler.stats().dropped
        assert set(lost) == {"queue_full"}
        assert 2_000 < lost["queue_full"] < 3_000
        server.default = STORED
        clock.advance(205)
        assert handler.flush()
        assert handler.flush(), "the notice, too"
        arrived = messages(server.rows)
        pipeline.close()
    numbers = sorted(int(message) for message in arrived if message.isdigit())
    expected = range(len(numbers)) if kept == "first" else range(3_000 - len(numbers), 3_000)
    assert numbers == list(expected)
    (notice,) = [match for message in arrived if (match := NOTICE.match(message))]
    assert int(notice[1].replace(",", "")) == lost["queue_full"]
    assert handler.stats().dropped == lost
    assert is_balanced(handler.stats())
    # The outage and its end were also reported to the operator.
    assert sum(one.rows for one in reports if one.kind == "lost" and one.reason == "queue_full") == lost["queue_full"]
    assert "503" in next(str(one) for one in reports if one.kind == "outage")
    assert [one.kind for one in reports].count("recovered") == 1


def test_a_second_outage_has_its_own_notice_and_lost_notices_cause_none():
    clock, destination = ManualClock(jumps=True), FakeDestination()
    pipeline = Pipeline(
        **a_rule(), **SMALL, destination=destination, clock=clock, background=False, report=lambda _: None
    )
    logger, handler = logger_of(pipeline)
    lost = 0
    for _ in range(3):
        for number in range(1_000):
            logger.warning("%s", number)
        assert handler.flush()
        assert handler.flush()
        notices = [match for message in messages(destination.rows) if (match := NOTICE.match(message))]
        lost = handler.stats().dropped["queue_full"]
        assert sum(int(notice[1].replace(",", "")) for notice in notices) == lost
        clock.advance(60)
    assert len(notices) == 3
    assert handler.stats().delivered == len(destination.rows) == 3_000 - lost + 3
    pipeline.close()


def test_block_makes_threads_wait_for_room_and_loses_no_row():
    """If the service answers, however slowly, each delivery lets waiting threads go on."""
    with Endpoint() as server:
        pipeline = Pipeline(
            server.url,
            "dcr-0123",
            "Custom-App_CL",
            overflow="block",
            block_seconds=30.0,
            report=lambda _: None,
            **SMALL,
        )
        logger, handler = logger_of(pipeline)

        def log(name):
            for number in range(500):
                logger.warning("%s %s", name, number)

        threads = [threading.Thread(target=log, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert handler.flush()
        pipeline.close()
        assert handler.stats().dropped == {}
        assert len(set(messages(server.rows))) == len(server.rows) == 2_000
        for name in "abcd":
            order = [row for row in server.rows if row["Message"].startswith(name)]
            assert len(order) == 500


def test_a_pipeline_that_never_delivers_reports_all_losses_at_close():
    reports = []
    pipeline = Pipeline(
        **a_rule(),
        **SMALL,
        destination=FakeDestination(*[Answer(status=503)] * 1_000),
        clock=ManualClock(jumps=True),
        background=False,
        report=reports.append,
    )
    logger, handler = logger_of(pipeline)
    for number in range(1_000):
        logger.warning("%s", number)
    pipeline.close()
    dropped = handler.stats().dropped
    assert sum(dropped.values()) == 1_000
    assert handler.stats().queued == handler.stats().in_flight == 0
    assert {one.reason: one.rows for one in reports if one.kind == "lost"} == dropped


RSS = """
import logging, os, sys, threading
from logging_azmon import AzureMonitorHandler

def rss():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

MIB = 1024 * 1024
outage = threading.Event()
overflow, size = sys.argv[2], int(sys.argv[3])
handler = AzureMonitorHandler(
    sys.argv[1], "dcr-1", "Custom-A_CL", columns="lean", overflow=overflow, block_seconds=0.0, queue_bytes=16 * MIB,
    close_seconds=0.0, report=lambda trouble: outage.set(),
)
logger = logging.Logger("app")
logger.addHandler(handler)
# The SDK is there, and the outage has begun.
logger.warning("first")
assert outage.wait(30)
before = rss()
text = "x" * size
for number in range(3 * 16 * MIB // (size + 100)):
    logger.warning("%s %s", number, text)
after = rss()
stats = handler.stats()
assert stats.dropped["queue_full"] > stats.accepted // 3, stats
handler.close()
print((after - before) / (16 * MIB))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="measures the process's memory where Linux shows it")
@pytest.mark.parametrize(("overflow", "size"), [("drop_new", 600), ("drop_old", 600), ("drop_old", 5_000)])
def test_the_memory_of_the_process_is_bounded_in_an_outage(overflow, size):
    """It grows by at most 1.5 times queue_bytes, with three times as many rows as fit."""
    with Endpoint() as server:
        server.default = status(503, retry_after=300)
        done = subprocess.run(
            [sys.executable, "-c", RSS, server.url, overflow, str(size)],
            env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert 0.8 < float(done.stdout) <= 1.5


@pytest.mark.parametrize("overflow", ["drop_new", "drop_old", "block"])
def test_log_calls_are_about_as_fast_with_a_full_queue_as_before(overflow):
    """The test counts function calls, not seconds: a full queue may cost a few more, whatever its size."""
    pipeline = Pipeline(
        **a_rule(),
        columns={"Message": "message"},
        batch_bytes=4_096,
        queue_bytes=1_000_000,
        overflow=overflow,
        destination=FakeDestination(),
        clock=ManualClock(),
        background=False,
        block_seconds=0.0,
    )
    logger, handler = logger_of(pipeline)

    def calls():
        count = 0

        def see(frame, event, _):
            nonlocal count
            count += event in {"call", "c_call"}

        sys.setprofile(see)
        try:
            for _ in range(200):
                logger.warning("some message, always the same")
        finally:
            sys.setprofile(None)
        return count / 200

    before = calls()
    for _ in range(100_000):
        if handler.stats().dropped:
            break
        logger.warning("some message, always the same")
    assert handler.stats().dropped
    assert calls() <= before + 30
    pipeline.close(timeout=0)
