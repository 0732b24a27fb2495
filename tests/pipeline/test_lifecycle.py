"""Flush and close in every order: all orders are legal. The exit of the process is tested elsewhere."""

from __future__ import annotations

import gc
import logging
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from logging_azmon import AzureMonitorHandler, Pipeline
from logging_azmon._queue.pipeline_state import State
from logging_azmon.pipeline import lifecycle_of
from logging_azmon.testing import Answer, Failure, FakeDestination, ManualClock
from logging_azmon.trouble import Trouble
from support.endpoint import Endpoint
from support.pipelines import LIMIT_SECONDS, address, listeners

OUTAGE = Answer(failure=Failure.CONNECTION, message="refused")


class Gate:
    """Hold an upload until the test releases it."""

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self.opened = threading.Event()

    def __call__(self, rows: list[dict[str, Any]]) -> Answer:
        self.arrived.set()
        assert self.opened.wait(LIMIT_SECONDS)
        return Answer(status=204)

    def wait(self) -> None:
        assert self.arrived.wait(LIMIT_SECONDS)


@contextmanager
def logging_to(pipeline: Pipeline) -> Iterator[logging.Logger]:
    """Return a logger that logs to a pipeline only."""
    logger = logging.Logger("app")  # not in the tree, so no other handler gets its records
    handler = AzureMonitorHandler(pipeline=pipeline)
    logger.addHandler(handler)
    yield logger
    handler.close()


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(listeners())
    yield
    for thread in set(listeners()) - before:
        thread.join(LIMIT_SECONDS)
        assert not thread.is_alive(), "a listener outlives its pipeline"


class TestFlush:
    """Flush delivers every row logged before the call."""

    def test_flush_before_the_first_row_returns_true(self) -> None:
        """There is nothing to wait for, and nothing is started."""
        with FakeDestination() as destination:
            pipeline = Pipeline(*address(), destination=destination)
            assert pipeline.flush() is True
            assert listeners() == []
            assert destination.batches == []

    def test_flush_delivers_waiting_rows(self) -> None:
        """True means that all rows have arrived."""
        with FakeDestination() as destination:
            pipeline = Pipeline(*address(), destination=destination)
            with logging_to(pipeline) as logger:
                for number in range(10):
                    logger.error("%s", number)
                assert pipeline.flush() is True
                assert [row["Message"] for row in destination.rows] == [str(number) for number in range(10)]
            pipeline.close()

    def test_flush_returns_false_at_its_timeout(self) -> None:
        """The rows are kept, and arrive later."""
        gate = Gate()
        with FakeDestination(gate) as destination:
            pipeline = Pipeline(*address(), destination=destination)
            with logging_to(pipeline) as logger:
                logger.error("row")
                gate.wait()
                assert pipeline.flush(0.05) is False
                assert pipeline.flush(0) is False
                gate.opened.set()
                assert pipeline.flush() is True
            pipeline.close()
            assert len(destination.rows) == 1

    def test_flush_does_not_wait_for_rows_logged_after_the_call(self) -> None:
        """Rows logged during the flush are not part of it."""
        with FakeDestination() as destination:
            clock = ManualClock(jumps=True)
            pipeline = Pipeline(*address(), destination=destination, clock=clock, background=False)
            with logging_to(pipeline) as logger:

                def answer(rows: list[dict[str, Any]]) -> Answer:
                    other = threading.Thread(target=logger.error, args=("later",))
                    other.start()
                    other.join(LIMIT_SECONDS)
                    return Answer(status=204)

                destination.play(answer)
                logger.error("row")
                assert pipeline.flush() is True
                assert pipeline.stats().queued == 1
            pipeline.close()

    def test_flush_returns_false_if_a_row_was_dropped_meanwhile(self) -> None:
        """That holds even though no row is left."""
        with FakeDestination(OUTAGE) as destination:
            clock = ManualClock(jumps=True)
            options = {"give_up_seconds": 0.01, "close_seconds": 60, "report": lambda trouble: clock.advance(1)}
            pipeline = Pipeline(*address(), destination=destination, clock=clock, background=False, **options)
            with logging_to(pipeline) as logger:
                logger.error("row")
                assert pipeline.flush() is False
                assert pipeline.stats().dropped == {"gave_up": 1}
            pipeline.close()

    def test_flush_without_listeners_waits_for_a_pause_to_end(self) -> None:
        """The flushing thread waits for the end of the pause, and neither gives up at once nor spins."""
        with FakeDestination(OUTAGE, OUTAGE) as destination:
            clock = ManualClock(jumps=True)
            pipeline = Pipeline(
                *address(), destination=destination, clock=clock, background=False, report=lambda _: None
            )
            with logging_to(pipeline) as logger:
                logger.error("row")
                assert pipeline.flush() is True
            pipeline.close()

    @pytest.mark.parametrize("is_exit", [False, True], ids=["flush", "exit"])
    def test_retries_come_each_second_while_a_flush_or_the_exit_waits(self, is_exit: bool) -> None:
        """Otherwise a service that is back in a quarter of the time that they have would be asked too late."""
        with FakeDestination(*[OUTAGE] * 20) as destination:
            clock = ManualClock(jumps=True)
            begun = clock.monotonic()
            pipeline = Pipeline(
                *address(), destination=destination, clock=clock, background=False, retry_seconds=300, close_seconds=80
            )
            with logging_to(pipeline) as logger:
                logger.error("row")
                if is_exit:
                    lifecycle_of(pipeline).finish_at_exit(is_last=False)
                else:
                    assert pipeline.flush()
                assert pipeline.stats().delivered == 1
                assert clock.monotonic() - begun <= 20
            pipeline.close()

    def test_flush_without_listeners_times_out_during_a_longer_pause(self) -> None:
        """A pause that the service asked for may be longer than the timeout."""
        with FakeDestination(Answer(status=429, retry_after="120")) as destination:
            clock = ManualClock(jumps=True)
            pipeline = Pipeline(
                *address(), destination=destination, clock=clock, background=False, report=lambda _: None
            )
            with logging_to(pipeline) as logger:
                logger.error("row")
                begun = clock.monotonic()
                assert pipeline.flush(10) is False
                assert clock.monotonic() - begun == pytest.approx(10)
                assert len(destination.batches) == 1
                pipeline.close()
            assert pipeline.stats().dropped == {"closed": 1}

    @pytest.mark.parametrize("act", ["flush", "close"])
    def test_flush_and_close_on_a_delivering_thread_do_not_wait(self, act: str) -> None:
        """A `report` that flushes or closes does not wait for itself."""
        called = threading.Event()

        def report(trouble: Trouble) -> None:
            if not called.is_set():
                getattr(handler, act)()
                called.set()

        with FakeDestination(OUTAGE) as destination:
            pipeline = Pipeline(*address(), destination=destination, report=report)
            handler = AzureMonitorHandler(pipeline=pipeline)
            handler.handle(RECORD)
            assert called.wait(5)
            assert pipeline.flush() is True
            pipeline.close()
            assert len(destination.rows) == 1

    def test_flush_that_interrupts_a_log_call_does_not_deadlock(self) -> None:
        """A signal handler that interrupted a log call holds the lock that listeners need, so it delivers itself."""

        class Interrupting(ManualClock):
            is_armed = False

            def monotonic(self) -> float:
                if self.is_armed and lifecycle_of(pipeline).fork_lock._is_owned():  # noqa: SLF001 - as Condition does
                    self.is_armed = False
                    flushed.append(pipeline.flush(5))
                return super().monotonic()

        flushed: list[bool] = []
        clock = Interrupting()
        with FakeDestination() as destination:
            pipeline = Pipeline(*address(), destination=destination, clock=clock, batch_bytes=4_096)
            with logging_to(pipeline) as logger:
                logger.error("x" * 2_500)
                clock.wait_for_waiters()
                clock.is_armed = True
                # This row begins another batch, while the first one waits until it is due.
                logger.error("y" * 2_500)
                assert flushed == [True]
                assert [row["Message"][0] for row in destination.rows] == ["x"]
                assert pipeline.flush()
                assert [row["Message"][0] for row in destination.rows] == ["x", "y"]
            pipeline.close()


class TestClose:
    """Close ends a pipeline, not the process."""

    def test_close_before_the_first_row_starts_nothing(self) -> None:
        """Nothing was started, so there is nothing to wait for."""
        handler = AzureMonitorHandler(*address())
        handler.close()
        assert handler.stats().accepted == 0

    def test_second_close_does_nothing(self) -> None:
        """The second call does nothing."""
        with FakeDestination() as destination:
            pipeline = Pipeline(*address(), destination=destination)
            with logging_to(pipeline) as logger:
                logger.error("row")
                pipeline.close()
                pipeline.close()
                logger.handlers[0].close()
            assert len(destination.rows) == 1

    def test_close_delivers_waiting_rows_and_ends_the_threads(self) -> None:
        """When it returns, all rows have arrived and the threads have ended."""
        with FakeDestination() as destination:
            handler = AzureMonitorHandler(pipeline=Pipeline(*address(), destination=destination))
            handler.handle(RECORD)
            handler.pipeline.close()
            assert listeners() == []
            assert len(destination.rows) == 1

    def test_a_row_after_close_is_counted_and_reported(self) -> None:
        """The call does not raise; the report is repeated at each power of ten."""
        reports: list[Trouble] = []
        handler = AzureMonitorHandler(*address(), report=reports.append)
        handler.close()
        for _ in range(12):
            handler.handle(RECORD)
        assert handler.stats().dropped == {"after_close": 12}
        assert [(trouble.reason, trouble.rows) for trouble in reports] == [("after_close", 1), ("after_close", 9)]
        assert [str(trouble) for trouble in reports] == [
            "1 row logged after close dropped: after_close",
            "10 rows logged after close dropped: after_close",
        ]

    def test_close_right_after_a_timed_out_flush_does_not_wait_again(self) -> None:
        """logging.shutdown flushes and closes: both together take one close_seconds."""
        clock = ManualClock(jumps=True)
        with FakeDestination(*[OUTAGE] * 999) as destination:
            pipeline = Pipeline(
                *address(), destination=destination, clock=clock, background=False, report=lambda _: None
            )
            with logging_to(pipeline) as logger:
                logger.error("row")
                begun = clock.monotonic()
                assert pipeline.flush() is False
                pipeline.close()
                assert clock.monotonic() - begun == pytest.approx(10)
            assert pipeline.stats().dropped == {"closed": 1}

    def test_close_long_after_a_timed_out_flush_waits_again(self) -> None:
        """Only a close that directly follows a flush shares its time."""
        clock = ManualClock(jumps=True)
        with FakeDestination(*[OUTAGE] * 999) as destination:
            pipeline = Pipeline(
                *address(), destination=destination, clock=clock, background=False, report=lambda _: None
            )
            with logging_to(pipeline) as logger:
                logger.error("row")
                assert pipeline.flush() is False
                clock.advance(60)
                begun = clock.monotonic()
                pipeline.close()
                assert clock.monotonic() - begun == pytest.approx(10)

    def test_an_upload_in_flight_at_close_closes_the_connection_when_it_ends(self) -> None:
        """Close does not wait for ever; the listener finds nothing more to do after its upload, and ends."""
        gate = Gate()
        said: list[str] = []
        with FakeDestination(gate) as destination:
            pipeline = Pipeline(
                *address(), destination=destination, close_seconds=0.1, report=lambda trouble: said.append(str(trouble))
            )
            with logging_to(pipeline) as logger:
                logger.error("row")
                gate.wait()
                (listener,) = listeners()
                pipeline.close()
                assert pipeline.stats().in_flight == 1
                assert said == [
                    "1 row still on the way when the pipeline was closed: whether they arrived is not known"
                ]
                gate.opened.set()
                listener.join(LIMIT_SECONDS)
                assert pipeline.stats().delivered == 1

    def test_close_waits_for_a_notice_in_flight(self) -> None:
        """A notice about dropped rows is neither lost by the close nor reported as a loss."""

        def refuse_one(rows: list[dict[str, Any]]) -> Answer:
            late = threading.Thread(target=logger.error, args=("late",))
            late.start()
            late.join(LIMIT_SECONDS)
            return Answer(status=204)

        reports: list[str] = []
        with FakeDestination(refuse_one) as destination:
            pipeline = Pipeline(
                *address(),
                destination=destination,
                clock=ManualClock(jumps=True),
                background=False,
                report=lambda trouble: reports.append(trouble.reason),
            )
            with logging_to(pipeline) as logger:
                logger.error("row")
                pipeline.close()
            assert pipeline.stats().dropped == {"after_close": 1}
            assert "closed" not in reports
            assert [row["Message"].partition(",")[0] for row in destination.rows] == [
                "row",
                "1 row dropped: after_close",
            ]

    def test_close_while_other_threads_log_loses_no_row_uncounted(self) -> None:
        """Every row is delivered or counted as after_close; no thread hangs, and nothing is raised."""
        with FakeDestination() as destination:
            pipeline = Pipeline(*address(), destination=destination, report=lambda _: None)
            with logging_to(pipeline) as logger:
                begun = threading.Barrier(4)
                closed = threading.Event()

                def work() -> None:
                    begun.wait(LIMIT_SECONDS)
                    while not closed.is_set():
                        logger.error("row")
                    logger.error("row")

                threads = [threading.Thread(target=work) for _ in range(3)]
                for thread in threads:
                    thread.start()
                begun.wait(LIMIT_SECONDS)
                destination.wait_for(lambda d: bool(d.rows))
                pipeline.close()
                closed.set()
                for thread in threads:
                    thread.join(LIMIT_SECONDS)
                stats = pipeline.stats()
                # The notice about the rows after close may itself be too late.
                assert stats.dropped.get("closed", 0) <= 1
                assert stats.accepted == stats.delivered + sum(stats.dropped.values())
                assert stats.delivered == len(destination.rows)

    def test_close_by_two_threads_at_once_closes_once(self) -> None:
        """Only one of the threads closes the pipeline."""
        with FakeDestination() as destination:
            handler = AzureMonitorHandler(pipeline=Pipeline(*address(), destination=destination))
            handler.handle(RECORD)
            threads = [threading.Thread(target=handler.pipeline.close) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(LIMIT_SECONDS)
            handler.pipeline.close()
            assert len(destination.rows) == 1


class TestUsers:
    """A pipeline is closed by the front doors that made it, or by its maker."""

    def test_a_shared_pipeline_is_closed_with_its_last_handler(self) -> None:
        """The handler that made the pipeline may be closed first."""
        with Endpoint() as endpoint:
            first = AzureMonitorHandler(endpoint.url, *address()[1:])
            second = AzureMonitorHandler(pipeline=first)
            first.close()
            first.close()
            second.handle(RECORD)
            second.close()
            assert second.stats().delivered == 1
            second.handle(RECORD)
            assert second.stats().dropped == {"after_close": 1}

    def test_a_pipeline_made_by_the_user_outlives_its_handlers(self) -> None:
        """Another handler may use the pipeline after the first is closed, as when dictConfig runs again."""
        with FakeDestination() as destination:
            pipeline = Pipeline(*address(), destination=destination)
            for _ in range(2):
                handler = AzureMonitorHandler(pipeline=pipeline)
                handler.handle(RECORD)
                handler.close()
            assert pipeline.flush()
            assert len(destination.rows) == 2
            pipeline.close()

    def test_a_garbage_collected_handler_leaves_no_pipeline_or_thread(self) -> None:
        """Its rows are delivered in the background; then thread and pipeline are gone."""
        with Endpoint() as endpoint:
            handler = AzureMonitorHandler(endpoint.url, *address()[1:])
            reference = weakref.ref(handler.pipeline)
            handler.handle(RECORD)
            del handler
            endpoint.wait_for_rows(1)
            for thread in listeners():
                thread.join(LIMIT_SECONDS)
            gc.collect()
            assert reference() is None

    def test_a_handler_garbage_collected_after_its_pipeline_was_closed_does_nothing(self) -> None:
        """The user closed the pipeline before the handler that made it was garbage-collected."""
        handler = AzureMonitorHandler(*address())
        pipeline = handler.pipeline
        pipeline.close()
        del handler
        gc.collect()

        assert lifecycle_of(pipeline).state is State.CLOSED

    def test_a_handler_garbage_collected_without_a_row_leaves_no_pipeline_or_thread(self) -> None:
        """No thread was started, and none is started then."""
        handler = AzureMonitorHandler(*address())
        reference = weakref.ref(handler.pipeline)
        del handler
        gc.collect()
        assert reference() is None
        assert listeners() == []


RECORD = logging.LogRecord("app", logging.ERROR, __file__, 1, "row", None, None)
