"""The number of background threads, and deliveries when no thread can be started."""

# ruff: noqa: SLF001 - the counts of listeners are private

from __future__ import annotations

import _thread
import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from unittest.mock import Mock

import pytest

from logging_azmon import AzureMonitorHandler, Pipeline
from logging_azmon._delivery import listener_threads as listeners_module
from logging_azmon.pipeline import lifecycle_of
from logging_azmon.testing import Answer, FakeDestination, ManualClock, capture
from logging_azmon.trouble import Trouble
from support.interrupting import at
from support.pipelines import LIMIT_SECONDS, address, listeners

STORED = Answer(status=204)
# Four such rows fill a batch.
LONG = "x" * 1_000


def record(message: str = "row") -> logging.LogRecord:
    return logging.LogRecord("app", logging.ERROR, __file__, 1, message, None, None)


def log_until_there_is_a_thread(handler: AzureMonitorHandler, clock: ManualClock) -> None:
    waiting = threading.Event()
    for _ in range(1_000):
        clock.advance(1.1)
        handler.handle(record("later"))
        if listeners() or waiting.wait(0.01):
            break
    assert len(listeners()) == 1


class Uploads:
    """Hold all uploads until `go`, and count how many are held at once."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._now = 0
        self._is_open = False
        self.most = 0

    def __call__(self, rows: list[dict[str, Any]]) -> Answer:
        with self._changed:
            self._now += 1
            self.most = max(self.most, self._now)
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._is_open, LIMIT_SECONDS)
            self._now -= 1
        return STORED

    def wait_for(self, number: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._now >= number, LIMIT_SECONDS), f"only {self._now} uploads"

    def go(self) -> None:
        with self._changed:
            self._is_open = True
            self._changed.notify_all()


@pytest.fixture
def make() -> Iterator[Callable[..., Pipeline]]:
    """Make pipelines, and close them at the end of the test."""
    made: list[Pipeline] = []

    def make(destination: FakeDestination, **options: Any) -> Pipeline:
        pipeline = Pipeline(*address(), destination=destination, **options)
        made.append(pipeline)
        return pipeline

    yield make
    for pipeline in made:
        pipeline.close()
    assert listeners() == []


class TestNumberOfListeners:
    def test_no_listener_is_started_before_the_first_row(self, make: Callable[..., Pipeline]) -> None:
        """A preloading server may fork before anything is logged."""
        with FakeDestination() as destination:
            AzureMonitorHandler(pipeline=make(destination))
            assert listeners() == []

    def test_one_listener_delivers_a_few_rows(self, make: Callable[..., Pipeline]) -> None:
        """A flush starts no second listener, and no dummy thread is left behind."""
        before = threading.active_count()
        with FakeDestination() as destination:
            pipeline = make(destination)
            handler = AzureMonitorHandler(pipeline=pipeline)
            for _ in range(3):
                handler.handle(record())
                assert handler.flush()
            assert [thread.name for thread in listeners()] == ["logging_azmon-1"]
            assert all(thread.daemon for thread in listeners())
            assert threading.active_count() == before + 1

    def test_a_log_call_interrupted_by_another_starts_no_second_listener(self, make: Callable[..., Pipeline]) -> None:
        """The other one comes between the look for a free listener and the lock."""

        class Interrupted:
            def __init__(self, lock: Any, interrupt: Callable[[], object]) -> None:
                self._lock = lock
                self._interrupts = [interrupt]

            def __enter__(self) -> None:
                while self._interrupts:
                    self._interrupts.pop()()
                self._lock.acquire()

            def __exit__(self, *_: object) -> None:
                self._lock.release()

        with FakeDestination() as destination:
            pool = lifecycle_of(make(destination)).listeners
            pool._lock = Interrupted(pool._lock, pool.ensure_listener)
            assert pool.ensure_listener()
            assert repr(pool) == "<Listeners 1 of 4 live, 1 free>"

    @pytest.mark.parametrize("uploads", [1, 4])
    def test_full_batches_get_a_listener_each_up_to_uploads(self, make: Callable[..., Pipeline], uploads: int) -> None:
        """Batches that fill up during an upload are sent at the same time."""
        held = Uploads()
        with FakeDestination(*[held] * 99) as destination:
            handler = AzureMonitorHandler(pipeline=make(destination, uploads=uploads, batch_bytes=4_096))
            handler.handle(record())
            held.wait_for(1)
            assert len(listeners()) == 1
            for _ in range(60):
                handler.handle(record(LONG))
            held.wait_for(uploads)
            assert len(listeners()) == uploads
            held.go()
            assert handler.flush()
            assert held.most == uploads
            assert len({thread.name for thread in listeners()}) == uploads
            assert len(destination.rows) == 61

    def test_flush_sends_waiting_rows_while_another_upload_hangs(self, make: Callable[..., Pipeline]) -> None:
        """A request that hangs does not hold up rows that are flushed after it."""
        held = Uploads()
        with FakeDestination(held) as destination:
            handler = AzureMonitorHandler(pipeline=make(destination))
            handler.handle(record("held"))
            held.wait_for(1)
            handler.handle(record("flushed"))
            flushed = threading.Thread(target=handler.flush)
            flushed.start()
            destination.wait_for(lambda d: [row["Message"] for row in d.rows] == ["flushed"])
            held.go()
            flushed.join(LIMIT_SECONDS)
            assert handler.flush()

    def test_pipelines_to_one_endpoint_share_neither_rows_nor_threads(self, make: Callable[..., Pipeline]) -> None:
        """Such pipelines share only the pauses."""
        destinations = [FakeDestination(), FakeDestination()]
        rule = address()
        pipelines = [Pipeline(*rule, destination=destination) for destination in destinations]
        for number, pipeline in enumerate(pipelines):
            AzureMonitorHandler(pipeline=pipeline).handle(record(str(number)))
        for number, pipeline in enumerate(pipelines):
            assert pipeline.flush()
            assert [row["Message"] for row in destinations[number].rows] == [str(number)]
            pipeline.close()

    def test_repr_counts_live_and_free_listeners(self, make: Callable[..., Pipeline]) -> None:
        held = Uploads()
        with FakeDestination(held) as destination:
            pipeline = make(destination)
            states = [repr(lifecycle_of(pipeline).listeners)]
            AzureMonitorHandler(pipeline=pipeline).handle(record())
            held.wait_for(1)
            states.append(repr(lifecycle_of(pipeline).listeners))
            held.go()
            pipeline.close()
            states.append(repr(lifecycle_of(pipeline).listeners))
        assert states == [
            "<Listeners 0 of 4 live, 0 free>",
            "<Listeners 1 of 4 live, 0 free>",
            "<Listeners 0 of 4 live, 0 free>",
        ]


class TestRefusedThreads:
    @pytest.fixture(params=["by the interpreter", "by the thread that starts it"])
    def refusal(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
        """Refuse our threads as long as this list is not empty."""
        refused = [True]
        start_new_thread, start = _thread.start_new_thread, threading.Thread.start

        def refuse_new(*args: Any) -> int:
            if refused:
                raise RuntimeError("can't start new thread")
            return start_new_thread(*args)

        def refuse(thread: threading.Thread) -> None:
            if refused and thread.name.startswith("logging_azmon"):
                raise RuntimeError("can't start new thread")
            start(thread)

        if request.param == "by the interpreter":
            monkeypatch.setattr(_thread, "start_new_thread", refuse_new)
        else:
            monkeypatch.setattr(threading.Thread, "start", refuse)
        return refused

    def test_flush_delivers_rows_and_reports_that_no_thread_can_be_started(
        self, make: Callable[..., Pipeline], refusal: list[bool]
    ) -> None:
        """The flushing thread delivers the rows."""
        reports: list[Trouble] = []
        with FakeDestination() as destination:
            pipeline = make(destination, report=reports.append)
            handler = AzureMonitorHandler(pipeline=pipeline)
            handler.handle(record())
            assert handler.flush()
            assert len(destination.rows) == 1
            assert listeners() == []
            assert handler.flush()
            assert [str(trouble) for trouble in reports] == [
                "no thread can be started (can't start new thread); rows wait for a flush, or for a thread"
            ]

    def test_refusal_by_an_interpreter_that_is_ending_is_not_reported(
        self, make: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another thread may log just after the main thread has ended; the exit delivers its row."""
        refuse = Mock(side_effect=RuntimeError("can't create new thread at interpreter shutdown"))
        monkeypatch.setattr(_thread, "start_new_thread", refuse)
        reports: list[Trouble] = []
        with FakeDestination() as destination:
            pipeline = make(destination, clock=ManualClock(), report=reports.append)
            lifecycle_of(pipeline).intake.accept(record(), None)
            assert refuse.called
            assert pipeline.flush()
            assert len(destination.rows) == 1
            assert reports == []

    def test_repr_shows_when_a_thread_was_refused(
        self, make: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_thread, "start_new_thread", Mock(side_effect=RuntimeError))
        with FakeDestination() as destination:
            pipeline = make(destination, clock=ManualClock(), report=lambda _: None)
            lifecycle_of(pipeline).intake.accept(record(), None)
            assert (
                repr(lifecycle_of(pipeline).listeners) == "<Listeners 0 of 4 live, 0 free, a thread refused at 1000.0>"
            )

    @pytest.mark.parametrize("error", [RecursionError, KeyboardInterrupt])
    def test_after_a_log_call_interrupted_in_starting_a_thread_the_next_one_starts_it(
        self, make: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
    ) -> None:
        """The stack is exhausted, or Ctrl-C is pressed: the row is queued, and must not be counted as lost, too."""
        clock = ManualClock()

        def refuse(*_: Any) -> None:
            raise RuntimeError

        with FakeDestination() as destination:
            pipeline = make(destination, clock=clock, report=lambda _: None)
            with monkeypatch.context() as patched:
                patched.setattr(_thread, "start_new_thread", refuse)
                lifecycle_of(pipeline).intake.accept(record("first"), None)
            put, wake = lifecycle_of(pipeline).intake._put, lifecycle_of(pipeline).listeners.wake
            clock.advance(1.1)

            def interrupted() -> bool:
                lifecycle_of(pipeline).listeners.wake = wake  # type: ignore[method-assign]
                raise error

            lifecycle_of(pipeline).listeners.wake = interrupted  # type: ignore[method-assign]
            with suppress(KeyboardInterrupt):
                lifecycle_of(pipeline).intake.accept(record("second"), None)
            assert lifecycle_of(pipeline).intake._put == put
            lifecycle_of(pipeline).intake.accept(record("third"), None)
            assert pipeline.flush()
            assert [row["Message"] for row in destination.rows] == ["first", "second", "third"]
            assert pipeline.stats().dropped == {}

    def test_rows_do_not_pile_up_wakeups_while_there_is_no_listener(
        self, make: Callable[..., Pipeline], refusal: list[bool]
    ) -> None:
        """Each row asks for a listener, but no wake-up may be left for one that never starts."""
        assert refusal
        with FakeDestination() as destination:
            pipeline = make(destination, clock=ManualClock(), report=lambda _: None)
            for _ in range(100):
                lifecycle_of(pipeline).intake.accept(record(), None)
            assert lifecycle_of(pipeline).listeners.wakeups.qsize() <= 1

    @pytest.mark.parametrize("is_started", [True, False])
    @pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
    def test_listener_whose_start_raises_is_neither_counted_nor_run(
        self,
        make: Callable[..., Pipeline],
        monkeypatch: pytest.MonkeyPatch,
        error: type[BaseException],
        is_started: bool,
    ) -> None:
        """A signal handler may raise just before the thread is started, or just after."""
        clock, start = ManualClock(), _thread.start_new_thread

        def broken(*args: Any) -> None:
            monkeypatch.undo()
            if is_started:
                start(*args)
            raise error

        monkeypatch.setattr(_thread, "start_new_thread", broken)
        with FakeDestination() as destination:
            reports: list[Trouble] = []
            pipeline = make(destination, clock=clock, report=reports.append)
            with suppress(KeyboardInterrupt):
                lifecycle_of(pipeline).intake.accept(record("first"), None)
            assert (lifecycle_of(pipeline).listeners._live, lifecycle_of(pipeline).listeners._free) == (0, 0)
            clock.advance(1.1)
            lifecycle_of(pipeline).intake.accept(record("second"), None)
            assert lifecycle_of(pipeline).listeners._live == 1
            assert pipeline.flush()
            assert [row["Message"] for row in destination.rows] == ["first", "second"]
            assert len(listeners()) == 1
            # An error without a text is reported by its type; Ctrl-C is not reported.
            assert [error.__name__ in str(trouble) for trouble in reports] == [True] * (error is MemoryError)

    def test_row_after_a_refusal_starts_a_listener_once_threads_can_be_started(
        self, make: Callable[..., Pipeline], refusal: list[bool]
    ) -> None:
        """From a second after the last refusal each row asks again, even one that joins a batch."""
        clock = ManualClock()
        with FakeDestination() as destination:
            pipeline = make(destination, clock=clock, report=lambda _: None)
            handler = AzureMonitorHandler(pipeline=pipeline)
            handler.handle(record("first"))
            assert listeners() == []
            refusal.clear()
            log_until_there_is_a_thread(handler, clock)
            assert handler.flush()
            assert len(destination.rows) == handler.stats().accepted

    def test_rows_queued_before_a_capture_are_delivered_despite_a_refused_thread(
        self, make: Callable[..., Pipeline], refusal: list[bool]
    ) -> None:
        """Captured rows are not delivered."""
        clock = ManualClock()
        with FakeDestination() as destination:
            handler = AzureMonitorHandler(pipeline=make(destination, clock=clock, report=lambda _: None))
            handler.handle(record("sent"))
            with capture() as rows:
                clock.advance(2)
                lifecycle_of(handler.pipeline).make_all_due()
                handler.handle(record("captured"))
            assert [row["Message"] for row in rows] == ["captured"]
            refusal.clear()
            log_until_there_is_a_thread(handler, clock)
            assert handler.flush()
            assert {row["Message"] for row in destination.rows} == {"sent", "later"}

    def test_refused_thread_leaves_other_listeners_delivering(
        self, make: Callable[..., Pipeline], refusal: list[bool]
    ) -> None:
        held = Uploads()
        refusal.clear()
        with FakeDestination(held) as destination:
            handler = AzureMonitorHandler(pipeline=make(destination, batch_bytes=4_096, report=lambda _: None))
            handler.handle(record())
            held.wait_for(1)
            refusal.append(True)
            for _ in range(20):
                handler.handle(record(LONG))
            held.go()
            assert handler.flush()
            assert len(listeners()) == 1
            assert len(destination.rows) == 21


def test_flush_after_a_refused_thread_leaves_captured_rows_alone(
    make: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The flush delivers the waiting row; captured rows are not delivered."""

    def refuse(*_: object) -> int:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    clock = ManualClock(jumps=True)
    with FakeDestination() as destination:
        handler = AzureMonitorHandler(pipeline=make(destination, clock=clock, report=lambda _: None))
        handler.handle(record("for Azure"))
        with capture() as rows:
            clock.advance(2)
            assert handler.flush()
            handler.handle(record("for the test"))
        assert [row["Message"] for row in destination.rows] == ["for Azure"]
        assert [row["Message"] for row in rows] == ["for the test"]


class TestErrorsOnAListener:
    @pytest.mark.parametrize(
        "error",
        [ValueError("bug"), SystemExit(1), KeyboardInterrupt(), asyncio.CancelledError(), MemoryError()],
        ids=repr,
    )
    def test_listener_survives_any_error_of_an_upload(
        self, make: Callable[..., Pipeline], error: BaseException
    ) -> None:
        """The rows of the failed upload are sent again, and later rows arrive, too."""

        def fail(rows: list[dict[str, Any]]) -> Answer:
            failed.set()
            raise error

        failed = threading.Event()
        reports: list[Trouble] = []
        clock = ManualClock()
        with FakeDestination(fail) as destination:
            pipeline = make(destination, clock=clock, retry_seconds=0.01, report=reports.append)
            handler = AzureMonitorHandler(pipeline=pipeline)
            handler.handle(record("first"))
            clock.wait_for_waiters()
            clock.advance(1)
            assert failed.wait(LIMIT_SECONDS)
            clock.wait_for_waiters()
            clock.advance(1)
            handler.handle(record("second"))
            assert handler.flush()
            assert sorted(row["Message"] for row in destination.rows) == ["first", "second"]
            assert reports[0].kind == "internal"

    def test_listener_survives_and_reports_an_error_while_looking_for_rows(self, make: Callable[..., Pipeline]) -> None:

        class Faulty(ManualClock):
            faults = 1

            def monotonic(self) -> float:
                if self.faults and threading.current_thread().name.startswith("logging_azmon"):
                    self.faults -= 1
                    raise ValueError("no time")
                return super().monotonic()

        reports: list[Trouble] = []
        clock = Faulty()
        with FakeDestination() as destination:
            handler = AzureMonitorHandler(pipeline=make(destination, clock=clock, report=reports.append))
            handler.handle(record())
            clock.wait_for_waiters()
            clock.advance(2)
            destination.wait_for(lambda d: len(d.rows) == 1)
            assert handler.flush()
            assert [str(trouble) for trouble in reports] == ["unexpected ValueError('no time') while looking for rows"]

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_listener_that_dies_is_replaced_at_the_next_row(self, make: Callable[..., Pipeline]) -> None:
        """SystemExit ends the listener's thread."""

        class Deadly(ManualClock):
            is_armed = True

            def wait(self, wakeups: Any, seconds: float) -> None:
                if self.is_armed:
                    self.is_armed = False
                    raise SystemExit
                super().wait(wakeups, seconds)

        clock = Deadly()
        with FakeDestination() as destination:
            handler = AzureMonitorHandler(pipeline=make(destination, clock=clock))
            handler.handle(record("first"))
            for _ in range(LIMIT_SECONDS * 100):
                if not (clock.is_armed or listeners()) or threading.Event().wait(0.01):
                    break
            assert listeners() == []
            assert handler.flush()
            assert len(destination.rows) == 1


def test_manual_clock_drives_real_listeners(make: Callable[..., Pipeline]) -> None:
    """Advancing it wakes the listener: the first row is sent at once, the next one after `batch_seconds`."""
    clock = ManualClock()
    with FakeDestination() as destination:
        handler = AzureMonitorHandler(pipeline=make(destination, clock=clock, batch_seconds=5))
        handler.handle(record("first"))
        clock.wait_for_waiters()
        clock.advance(0.2)
        destination.wait_for(lambda d: len(d.rows) == 1)
        handler.handle(record("second"))
        clock.wait_for_waiters()
        clock.advance(0.2)
        clock.wait_for_waiters()
        assert len(destination.batches) == 1
        clock.advance(5)
        destination.wait_for(lambda d: len(d.rows) == 2)


def test_ctrl_c_anywhere_while_a_listener_is_started_costs_no_later_row() -> None:
    """Wherever Ctrl-C interrupts the log call, a listener delivers the next row."""
    modules = frozenset([listeners_module.__file__])

    def interrupt() -> None:
        raise KeyboardInterrupt

    def first_row() -> tuple[Pipeline, FakeDestination, Callable[[], None]]:
        destination = FakeDestination()
        pipeline = Pipeline(*address(), destination=destination, batch_seconds=0.01)
        return pipeline, destination, lambda: lifecycle_of(pipeline).intake.accept(record("first"), None)

    pipeline, _, log = first_row()
    places = at(modules, 0, interrupt, log)
    pipeline.close()
    assert places > 5
    for place in range(1, places + 1):
        pipeline, destination, log = first_row()
        with pytest.raises(KeyboardInterrupt):
            at(modules, place, interrupt, log)
        lifecycle_of(pipeline).intake.accept(record("second"), None)
        assert pipeline.flush(LIMIT_SECONDS), place
        assert [row["Message"] for row in destination.rows][-1] == "second"
        pipeline.close()
