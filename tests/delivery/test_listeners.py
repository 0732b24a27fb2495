"""The background threads: when there are how many, and what happens if there can be none."""

# ruff: noqa: SLF001 - who is counted on is seen from inside only

from __future__ import annotations

import _thread
import asyncio
import itertools
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from logging_azmon import AzureMonitorHandler, Pipeline
from logging_azmon._delivery import listeners as listeners_module
from logging_azmon._delivery.reporter import Trouble
from logging_azmon.pipeline import lifecycle_of
from logging_azmon.testing import Answer, FakeDestination, ManualClock, capture
from support.interrupting import at

LIMIT_SECONDS = 10
STORED = Answer(status=204)
# Trouble with one rule is everybody's who sends to it, so each test has its own.
RULES = itertools.count()
# As long as four of them fill a batch.
LONG = "x" * 1_000


def where() -> tuple[str, str, str]:
    return "http://127.0.0.1:9", f"dcr-threads-{next(RULES)}", "Custom-App_CL"


def listeners() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("logging_azmon")]


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
    """Hold all uploads until they are let go, and count how many there are at once."""

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
    """Make pipelines that are closed in the end."""
    made: list[Pipeline] = []

    def make(destination: FakeDestination, **options: Any) -> Pipeline:
        pipeline = Pipeline(*where(), destination=destination, **options)
        made.append(pipeline)
        return pipeline

    yield make
    for pipeline in made:
        pipeline.close()
    assert listeners() == []


class TestHowMany:
    """From none to `uploads`."""

    def test_none_before_the_first_row(self, make: Callable[..., Pipeline]) -> None:
        """A preloading server may fork before anything was logged."""
        with FakeDestination() as destination:
            AzureMonitorHandler(pipeline=make(destination))
            assert listeners() == []

    def test_one_for_a_few_rows(self, make: Callable[..., Pipeline]) -> None:
        """Flushing does not start more, and no dummy thread is left behind by the start."""
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

    @pytest.mark.parametrize("uploads", [1, 4])
    def test_as_many_as_full_batches_wait_but_no_more(self, make: Callable[..., Pipeline], uploads: int) -> None:
        """Batches that fill up behind an upload that is held go out beside it, up to `uploads` of them."""
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

    def test_a_flush_has_waiting_rows_sent_beside_an_upload_that_is_held(self, make: Callable[..., Pipeline]) -> None:
        """One request that hangs does not hold up those that were flushed after it."""
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

    def test_several_pipelines_to_one_endpoint(self, make: Callable[..., Pipeline]) -> None:
        """They share its pauses, but neither rows nor threads."""
        destinations = [FakeDestination(), FakeDestination()]
        rule = where()
        pipelines = [Pipeline(*rule, destination=destination) for destination in destinations]
        for number, pipeline in enumerate(pipelines):
            AzureMonitorHandler(pipeline=pipeline).handle(record(str(number)))
        for number, pipeline in enumerate(pipelines):
            assert pipeline.flush()
            assert [row["Message"] for row in destinations[number].rows] == [str(number)]
            pipeline.close()


class TestNone:
    """No thread can be started."""

    @pytest.fixture(params=["by the interpreter", "by the thread that starts it"])
    def refusal(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
        """Refuse threads of ours while the list is not empty."""
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

    def test_rows_are_delivered_by_a_flush(self, make: Callable[..., Pipeline], refusal: list[bool]) -> None:
        """On the thread that flushes; the refusal is told."""
        told: list[Trouble] = []
        with FakeDestination() as destination:
            pipeline = make(destination, report=told.append)
            handler = AzureMonitorHandler(pipeline=pipeline)
            handler.handle(record())
            assert handler.flush()
            assert len(destination.rows) == 1
            assert listeners() == []
            assert handler.flush()
            assert [str(trouble) for trouble in told] == [
                "no thread can be started (can't start new thread); rows wait for a flush, or for a thread"
            ]

    @pytest.mark.parametrize("error", [RecursionError, KeyboardInterrupt])
    def test_a_row_that_is_interrupted_while_it_asks_leaves_it_to_the_next(
        self, make: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
    ) -> None:
        """At the end of the stack, or by a Ctrl-C: it is in, and is not counted as lost besides."""
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

    def test_nobody_is_woken_who_is_not_there(self, make: Callable[..., Pipeline], refusal: list[bool]) -> None:
        """Or else tokens would pile up, one for each row."""
        assert refusal
        with FakeDestination() as destination:
            pipeline = make(destination, clock=ManualClock(), report=lambda _: None)
            for _ in range(100):
                lifecycle_of(pipeline).intake.accept(record(), None)
            assert lifecycle_of(pipeline).listeners.tokens.qsize() <= 1

    @pytest.mark.parametrize("is_started", [True, False])
    @pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
    def test_whatever_comes_out_of_starting_one_none_is_counted_that_is_not_there(
        self,
        make: Callable[..., Pipeline],
        monkeypatch: pytest.MonkeyPatch,
        error: type[BaseException],
        is_started: bool,
    ) -> None:
        """Nor does one run uncounted, where a signal handler raised just after it had begun."""
        clock, start = ManualClock(), _thread.start_new_thread

        def broken(*args: Any) -> None:
            monkeypatch.undo()
            if is_started:
                start(*args)
            raise error

        monkeypatch.setattr(_thread, "start_new_thread", broken)
        with FakeDestination() as destination:
            told: list[Trouble] = []
            pipeline = make(destination, clock=clock, report=told.append)
            with suppress(KeyboardInterrupt):
                lifecycle_of(pipeline).intake.accept(record("first"), None)
            assert (lifecycle_of(pipeline).listeners._live, lifecycle_of(pipeline).listeners._free) == (0, 0)
            clock.advance(1.1)
            lifecycle_of(pipeline).intake.accept(record("second"), None)
            assert lifecycle_of(pipeline).listeners._live == 1
            assert pipeline.flush()
            assert [row["Message"] for row in destination.rows] == ["first", "second"]
            assert len(listeners()) == 1
            # An error without words, too; a Ctrl-C is the application's own affair.
            assert [error.__name__ in str(trouble) for trouble in told] == [True] * (error is MemoryError)

    def test_a_later_row_finds_a_thread(self, make: Callable[..., Pipeline], refusal: list[bool]) -> None:
        """Each row asks again, a second after the last refusal, although its batch has begun long ago."""
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

    def test_a_refusal_while_rows_are_captured(self, make: Callable[..., Pipeline], refusal: list[bool]) -> None:
        """A test that captures rows has them, whatever the threads do."""
        clock = ManualClock()
        with FakeDestination() as destination:
            handler = AzureMonitorHandler(pipeline=make(destination, clock=clock, report=lambda _: None))
            handler.handle(record("sent"))
            with capture() as rows:
                clock.advance(2)
                lifecycle_of(handler.pipeline).urge()
                handler.handle(record("captured"))
            assert [row["Message"] for row in rows] == ["captured"]
            refusal.clear()
            log_until_there_is_a_thread(handler, clock)
            assert handler.flush()
            assert {row["Message"] for row in destination.rows} == {"sent", "later"}

    def test_one_thread_refused_beside_others(self, make: Callable[..., Pipeline], refusal: list[bool]) -> None:
        """The listener that there is goes on."""
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


def test_a_refused_thread_leaves_captured_rows_alone(
    make: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits is delivered by a flush; what the test captures stays with the test."""

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


class TestErrors:
    """A listener survives."""

    @pytest.mark.parametrize(
        "error",
        [ValueError("bug"), SystemExit(1), KeyboardInterrupt(), asyncio.CancelledError(), MemoryError()],
        ids=repr,
    )
    def test_whatever_an_upload_raises(self, make: Callable[..., Pipeline], error: BaseException) -> None:
        """The rows are tried again, and those that come later arrive, too."""

        def fail(rows: list[dict[str, Any]]) -> Answer:
            failed.set()
            raise error

        failed = threading.Event()
        told: list[Trouble] = []
        clock = ManualClock()
        with FakeDestination(fail) as destination:
            pipeline = make(destination, clock=clock, retry_seconds=0.01, report=told.append)
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
            assert told[0].kind == "internal"

    def test_whatever_looking_for_rows_raises(self, make: Callable[..., Pipeline]) -> None:
        """It is told, and the listener looks again."""

        class Faulty(ManualClock):
            faults = 1

            def monotonic(self) -> float:
                if self.faults and threading.current_thread().name.startswith("logging_azmon"):
                    self.faults -= 1
                    raise ValueError("no time")
                return super().monotonic()

        told: list[Trouble] = []
        clock = Faulty()
        with FakeDestination() as destination:
            handler = AzureMonitorHandler(pipeline=make(destination, clock=clock, report=told.append))
            handler.handle(record())
            clock.wait_for_waiters()
            clock.advance(2)
            destination.wait_for(lambda d: len(d.rows) == 1)
            assert handler.flush()
            assert [str(trouble) for trouble in told] == ["unexpected ValueError('no time') while looking for rows"]

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_a_listener_that_dies_is_replaced(self, make: Callable[..., Pipeline]) -> None:
        """Whatever ends a thread, the next row finds another."""

        class Deadly(ManualClock):
            is_armed = True

            def wait(self, tokens: Any, seconds: float) -> None:
                if self.is_armed:
                    self.is_armed = False
                    raise SystemExit
                super().wait(tokens, seconds)

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


def test_a_manual_clock_drives_real_listeners(make: Callable[..., Pipeline]) -> None:
    """Advancing wakes those who wait for it: the first row goes at once, the next after `batch_seconds`."""
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


def test_ctrl_c_while_a_listener_is_asked_for_leaves_none_that_is_only_counted() -> None:
    """At each place where it could come: the next row has a listener that delivers it."""
    modules = frozenset([listeners_module.__file__])

    def interrupt() -> None:
        raise KeyboardInterrupt

    def first_row() -> tuple[Pipeline, FakeDestination, Callable[[], None]]:
        destination = FakeDestination()
        pipeline = Pipeline(*where(), destination=destination, batch_seconds=0.01)
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
