"""Log calls during log calls, by logged objects, finalizers and signal handlers; and with an exhausted stack."""

from __future__ import annotations

import gc
import logging
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import logging_azmon
from logging_azmon import AzureMonitorHandler, Pipeline
from logging_azmon.testing import FakeDestination, ManualClock
from support.pipelines import address

PACKAGE = str(Path(logging_azmon.__file__).parent)


@pytest.fixture
def destination() -> Iterator[FakeDestination]:
    with FakeDestination() as destination:
        yield destination


@pytest.fixture
def logger(destination: FakeDestination) -> Iterator[logging.Logger]:
    """Log to a pipeline with small batches, which begin and fill up all the time."""
    logger = logging.Logger("app")  # not in the tree, so no other handler sees its records
    pipeline = Pipeline(
        *address(),
        destination=destination,
        batch_bytes=4_096,
    )
    logger.addHandler(AzureMonitorHandler(pipeline=pipeline))
    yield logger
    pipeline.close()


def pipeline_of(logger: logging.Logger) -> Pipeline:
    return logger.handlers[0].pipeline  # type: ignore[attr-defined,no-any-return]


def assert_all_arrived(logger: logging.Logger, destination: FakeDestination, rows: int) -> None:
    pipeline = pipeline_of(logger)
    assert pipeline.flush()
    stats = pipeline.stats()
    assert (stats.accepted, stats.delivered, dict(stats.dropped)) == (rows, rows, {})
    assert sorted(row["Sequence"] for row in destination.rows) == list(range(rows))


def test_no_row_is_lost_when_objects_log_while_they_are_formatted(
    logger: logging.Logger, destination: FakeDestination
) -> None:
    """A `__str__` logs for the message, a `__repr__` for the extras, and both again inside those log calls."""

    class Chatty:
        def __init__(self, depth: int) -> None:
            self.depth = depth

        def __str__(self) -> str:
            if self.depth:
                logger.error("in str: %s", Chatty(self.depth - 1))
            return f"chatty {self.depth}"

        def __repr__(self) -> str:
            logger.error("in repr")
            return "chatty"

    for _ in range(100):
        logger.error("outside: %s", Chatty(3), extra={"chatty": Chatty(0)})
    assert pipeline_of(logger).flush()
    texts = [row["Message"] for row in destination.rows]
    assert texts.count("outside: chatty 3") == 100
    assert texts.count("in str: chatty 0") == 100
    assert_all_arrived(logger, destination, len(texts))


def test_no_row_is_lost_when_finalizers_log_during_a_log_call(
    logger: logging.Logger, destination: FakeDestination
) -> None:
    """The garbage collector may run anywhere; here it runs everywhere."""

    class Cycle:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            finalised.append(1)
            logger.error("finalised")

    finalised: list[int] = []
    thresholds = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(500):
            Cycle()
            logger.error("row", extra={"some": ["thing", {}]})
    finally:
        gc.set_threshold(*thresholds)
    # `gc.collect` returns at once if a collection is running on another thread, so it is repeated.
    patience = threading.Event()
    for _ in range(5_000):
        gc.collect()
        if len(finalised) == 500 or patience.wait(0.002):
            break
    assert len(finalised) == 500
    assert_all_arrived(logger, destination, 1_000)
    assert Counter(row["Message"] for row in destination.rows) == {"row": 500, "finalised": 500}


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this platform has no interval timers")
def test_no_row_is_lost_when_a_signal_handler_logs_during_log_calls(
    logger: logging.Logger, destination: FakeDestination
) -> None:
    """However often it interrupts the main thread's log calls, every row of both arrives once."""
    signals = 0

    def interrupt(*_: object) -> None:
        nonlocal signals
        signals += 1
        logger.error("signal")

    before = signal.signal(signal.SIGALRM, interrupt)
    rows = 0
    try:
        while signals < 300:
            # The timer fires once each time: on a slow machine, repeated signals would only interrupt each other.
            signal.setitimer(signal.ITIMER_REAL, rows % 50 * 0.000_002 + 0.000_001)
            for _ in range(10):
                logger.error("row")
                rows += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert_all_arrived(logger, destination, rows + signals)


def test_the_first_row_does_not_wait_for_a_thread_that_is_being_started(
    logger: logging.Logger, destination: FakeDestination
) -> None:
    """A signal handler interrupted Thread.start, which holds a lock that every start needs: no row may wait for it."""
    with threading._active_limbo_lock:  # noqa: SLF001 - what is held then
        logger.error("first")
        assert destination.rows == []
    assert_all_arrived(logger, destination, 1)


@pytest.mark.parametrize("size", [1, 3_000], ids=["small rows", "a batch a row"])
def test_log_calls_at_the_recursion_limit_are_delivered_or_counted(
    logger: logging.Logger, destination: FakeDestination, size: int
) -> None:
    """The handler raises no RecursionError of its own; each row is delivered or counted as lost, never both."""
    pipeline = pipeline_of(logger)
    handler = logger.handlers[0]
    record = logging.LogRecord("app", logging.ERROR, __file__, 1, "x" * size, None, None)
    offered = 0

    def descend() -> None:
        nonlocal offered
        try:
            handler.handle(record)
        except RecursionError as error:
            innermost = error.__traceback__
            while innermost is not None and innermost.tb_next is not None:
                innermost = innermost.tb_next
            assert innermost is not None
            assert not innermost.tb_frame.f_code.co_filename.startswith(PACKAGE), "raised by the handler"
            raise
        offered += 1
        descend()

    for _ in range(8):
        with pytest.raises(RecursionError):
            descend()
    pipeline.flush()
    stats = pipeline.stats()
    assert stats.queued == stats.in_flight == 0
    assert stats.delivered == len(destination.rows)
    arrived = sum(row["Message"].startswith("x") for row in destination.rows)
    assert arrived + stats.dropped.get("internal", 0) == offered
    assert stats.accepted == stats.delivered + sum(stats.dropped.values())


def test_no_row_is_lost_when_log_calls_that_begin_and_fill_batches_interrupt_another(
    destination: FakeDestination,
) -> None:
    """A log call that begins a batch is interrupted by one that begins a batch, and by one that fills it."""

    class Interrupting(ManualClock):
        depth = 0
        interruptions = 0

        def monotonic(self) -> float:
            if self.depth:
                self.depth -= 1
                self.interruptions += 1
                handler.handle(record)
            return super().monotonic()

    clock = Interrupting(jumps=True)
    pipeline = Pipeline(
        *address(),
        destination=destination,
        clock=clock,
        background=False,
        batch_bytes=4_096,
    )
    handler = AzureMonitorHandler(pipeline=pipeline)
    record = logging.LogRecord("app", logging.ERROR, __file__, 1, "x" * 1_500, None, None)
    for _ in range(10):
        clock.depth = 3
        handler.handle(record)
    clock.depth = 0
    assert pipeline.flush()
    assert clock.interruptions > 10
    assert pipeline.stats().delivered == len(destination.rows) == 10 + clock.interruptions
    pipeline.close()
