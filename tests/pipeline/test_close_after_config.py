"""Logging is configured again, or shut down, while an upload is under way and everything logs at DEBUG."""

# ruff: noqa: SLF001 - asks in a listener's stead

from __future__ import annotations

import contextlib
import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from logging_azmon import Pipeline
from logging_azmon._pipeline.close_after_config import CloseAfterConfig
from logging_azmon.pipeline import lifecycle_of
from logging_azmon.testing import FakeDestination, ManualClock
from support.delivering import a_rule
from support.endpoint import Endpoint, Hang, Held
from support.lifecycle import LIMIT_SECONDS, assert_each_once, messages, run, running

# An HTTP library that logs at every step through loggers it has just made: each needs logging's module lock.
LIBRARY = """
import itertools, logging.config, requests, time
numbers = itertools.count()
send = requests.adapters.HTTPAdapter.send
def chatty(*args, **kwargs):
    logging.getLogger(f"library.{next(numbers)}").debug("connecting")
    try:
        return send(*args, **kwargs)
    finally:
        logging.getLogger(f"library.{next(numbers)}").debug("answered")
requests.adapters.HTTPAdapter.send = chatty

CONFIG = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"azure": {"class": "logging_azmon.AzureMonitorHandler", **OPTIONS}},
    "root": {"handlers": ["azure"], "level": "DEBUG"},
}
F = "%(message)s"
def in_time(act, seconds):
    begun = time.monotonic()
    act()
    assert time.monotonic() - begun < seconds, time.monotonic() - begun
"""

HOWS = {
    "dictConfig": "logging.config.dictConfig(CONFIG)",
    "basicConfig": "logging.basicConfig(force=True, level=10, handlers=[AzureMonitorHandler(**OPTIONS)], format=F)",
}


@pytest.mark.parametrize("how", HOWS.values(), ids=HOWS)
def test_dictconfig_during_an_upload_returns_in_time_and_loses_nothing(how: str) -> None:
    """dictConfig returns within 2 s, and the old pipeline's threads end by themselves."""
    source = f"""
logging.config.dictConfig(CONFIG)
log.info('in flight')
wait()
log.info('queued')
old = [thread for thread in threading.enumerate() if thread.name.startswith('logging_azmon')]
assert old
in_time(lambda: {how}, 2)
log.info('after')
say('configured')
for thread in old:
    thread.join(20)
    assert not thread.is_alive()
wait()
"""
    held = Held()
    with Endpoint(held) as endpoint, running(LIBRARY + source, endpoint) as program:
        program.wait_until("waiting")
        assert held.arrived.wait(LIMIT_SECONDS)
        program.go_on()
        program.wait_until("configured")
        held.go()
        program.wait_until("waiting")
        program.go_on()
        program.finish()
        assert (program.process.returncode, program.stderr) == (0, "")
        assert messages(endpoint.rows) == ["after", "in flight", "queued"]
        assert_each_once(endpoint.rows)


def test_repeated_dictconfig_leaves_no_threads_and_no_rows_behind() -> None:
    """All rows of ten configurations arrive, and only one pipeline's threads are left."""
    source = """
for number in range(10):
    in_time(lambda: logging.config.dictConfig(CONFIG), 2)
    log.info('%s', number)
root.handlers[0].flush()
for thread in threading.enumerate():
    if thread.name.startswith('logging_azmon') and threading.active_count() > 2: thread.join(1)
assert threading.active_count() <= 2, threading.enumerate()
"""
    with Endpoint() as endpoint:
        assert run(LIBRARY + source, endpoint) == ""
        assert messages(endpoint.rows) == [str(number) for number in range(10)]


def test_dictconfig_during_an_outage_leaves_the_rows_to_the_exit() -> None:
    """dictConfig does not wait; the exit waits close_seconds for all pipelines together and reports what was lost."""
    source = """
for number in range(3):
    in_time(lambda: logging.config.dictConfig(CONFIG), 2)
    log.info('%s', number)
say('end')
"""
    with Endpoint() as endpoint:
        endpoint.default = Hang("answer")
        with running(LIBRARY + source, endpoint, close_seconds=1) as program:
            program.wait_until("end")
            assert program.finish() < 3.5
            assert program.process.returncode == 0
            assert program.stderr.count("1 row lost") + program.stderr.count("1 row still on the way") == 3
        endpoint.release(0)  # on a slow machine the exit may come before the first connection


def test_rows_logged_during_dictconfig_are_not_dropped() -> None:
    """dictConfig closes the old handler first, but it takes rows until dictConfig is done."""
    source = """
stop = threading.Event()
def work():
    while not stop.wait(0.0005): log.info('row')
class Slow(logging.NullHandler):
    def __init__(self):
        super().__init__()
        stop.wait(0.05)
CONFIG['handlers']['slow'] = {'()': Slow}
handlers = []
threads = [threading.Thread(target=work) for _ in range(3)]
for _ in range(5):
    in_time(lambda: logging.config.dictConfig(CONFIG), 2)
    handlers += root.handlers
    for thread in threads:
        if thread.ident is None: thread.start()
    stop.wait(0.05)
stop.set()
for thread in threads: thread.join(20)
logging.shutdown()
for handler in handlers:
    for thread in threading.enumerate():
        if thread.name.startswith('logging_azmon'): thread.join(10)
    stats = handler.stats()
    assert stats.accepted == stats.delivered, stats
"""
    with Endpoint() as endpoint:
        assert run(LIBRARY + source, endpoint) == ""
        assert messages(endpoint.rows).count("row") > 0
        numbers = [(row["Instance"], row["Sequence"]) for row in endpoint.rows]
        assert len(numbers) == len(set(numbers))


def test_a_thread_that_has_just_found_the_old_handler_has_time_to_log_its_row() -> None:
    """That holds however often listeners look meanwhile, and also if logging is configured again."""
    clock = ManualClock()
    pipeline = Pipeline(**a_rule(), destination=FakeDestination(), clock=clock, background=False, report=lambda _: None)
    lifecycle = lifecycle_of(pipeline)
    try_to_close = CloseAfterConfig(clock, lifecycle.close_in_background).close_if_free
    with contextlib.closing(pipeline):
        assert [try_to_close(), try_to_close(), try_to_close()] == [False] * 3
        clock.advance(0.04)
        assert not try_to_close()
        with ThreadPoolExecutor() as elsewhere, logging._lock:
            assert not elsewhere.submit(try_to_close).result(LIMIT_SECONDS)
        clock.advance(0.04)
        assert not try_to_close()
        lifecycle_of(pipeline).intake.accept(logging.makeLogRecord({"msg": "late"}), None)
        assert pipeline.stats().queued == 1
        clock.advance(0.06)
        assert try_to_close()
        assert try_to_close(), "also if it is closed already"
        lifecycle_of(pipeline).intake.accept(logging.makeLogRecord({"msg": "too late"}), None)
        assert pipeline.stats().dropped == {"after_close": 1}


def test_logging_shutdown_waits_for_an_upload_in_flight() -> None:
    """logging.shutdown holds the handler's lock and the library logs: the rows arrive as soon as the server answers."""
    source = """
logging.config.dictConfig(CONFIG)
log.info('in flight')
wait()
log.info('queued')
say('shutting down')
in_time(logging.shutdown, 30)
assert root.handlers[0].stats().delivered == 2
"""
    held = Held()
    with Endpoint(held) as endpoint, running(LIBRARY + source, endpoint) as program:
        program.wait_until("waiting")
        assert held.arrived.wait(LIMIT_SECONDS)
        program.go_on()
        program.wait_until("shutting down")
        held.go()
        program.finish()
        assert (program.process.returncode, program.stderr) == (0, "")
        assert messages(endpoint.rows) == ["in flight", "queued"]


def test_logging_shutdown_with_a_hanging_upload_takes_close_seconds_once() -> None:
    """The flush and the close that follows share one wait; the loss is reported."""
    source = """
logging.config.dictConfig(CONFIG)
log.info('row')
wait()
in_time(logging.shutdown, 2.5)
say('end')
"""
    with Endpoint() as endpoint:
        endpoint.default = Hang("answer")
        with running(LIBRARY + source, endpoint, close_seconds=1.5) as program:
            program.wait_until("waiting")
            endpoint.wait_for_hung(1)
            program.go_on()
            program.wait_until("end")
            assert program.finish() < 1
            assert "1 row still on the way" in program.stderr
        endpoint.release()
