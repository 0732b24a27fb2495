"""The registration of locks and restarts for a fork, and of live objects."""

# ruff: noqa: SLF001 - locks have no public name for their owner

import gc
import logging
import os
import sys
import threading
from unittest.mock import Mock

import pytest

from logging_azmon import AzureMonitorHandler, AzureMonitorProcessor
from logging_azmon._pipeline import intake
from logging_azmon._process import at_fork, fork_mark
from logging_azmon._process.at_fork import Turn
from logging_azmon._process.registry import Registry
from logging_azmon.pipeline import lifecycle_of
from logging_azmon.testing import FakeDestination
from support.pipelines import manual_pipeline, sorted_messages


@pytest.fixture
def register(monkeypatch):
    """Replace all registrations for forks during a test."""
    monkeypatch.setattr(at_fork, "_registered", [])
    return at_fork.register


class Lock:
    """Record when the lock is taken and released."""

    def __init__(self, name, log, *, is_free=True):
        self.name, self.log, self.is_free = name, log, is_free

    def acquire(self, timeout):
        assert 0 <= timeout <= at_fork.WAIT_SECONDS
        self.log.append(f"take {self.name}")
        return self.is_free

    def release(self):
        self.log.append(f"release {self.name}")


def fork(code=0):
    pid = os.fork()
    if pid == 0:
        os._exit(code() if callable(code) else code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
class TestFork:
    def test_locks_are_taken_in_order_of_turn_and_released_in_reverse(self, register):
        """The order in which modules were imported does not matter."""
        log = []
        register(Turn.PIPELINES, locks=lambda: [Lock("ledger", log)])
        register(Turn.SDK_IMPORT, locks=lambda: [Lock("import", log)])
        register(Turn.LOGGING, locks=lambda: [Lock("first", log), Lock("second", log)])
        fork()

        assert log == [
            *("take import", "take first", "take second", "take ledger"),
            *("release ledger", "release second", "release first", "release import"),
        ]

    def test_a_fork_goes_on_without_a_lock_that_is_not_free_in_time(self, register):
        """The fork does not release the lock, because it does not hold it."""
        log = []
        register(Turn.LOGGING, locks=lambda: [Lock("held", log, is_free=False)])
        fork()

        assert log == ["take held"]

    def test_a_child_restarts_modules_in_order_of_turn_and_touches_no_inherited_lock(self, register):
        """The locks may be held for ever in the child; the parent restarts nothing."""
        log = []
        register(Turn.PIPELINES, restart=lambda: log.append("pipelines"), locks=lambda: [Lock("ledger", log)])
        register(Turn.PROCESS, restart=lambda: log.append("process"))
        expected = ["take ledger", "process", "pipelines"]

        assert fork(lambda: 0 if log == expected else 1) == 0
        assert log == ["take ledger", "release ledger"]

    def test_a_lock_that_the_forking_thread_holds_is_left_to_it(self, register):
        """A fork inside a log call: the log call releases the lock."""
        lock = threading.RLock()
        register(Turn.PIPELINES, locks=lambda: [lock])
        with lock:
            fork()
            assert lock._is_owned()

        assert not lock._is_owned()

    def test_a_signal_handler_that_raises_after_a_fork_leaves_no_lock_held(self, register, monkeypatch):
        """The interpreter swallows the exception and ends the hook; other threads would wait for the lock for ever."""
        monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
        log = []
        interrupted = Lock("interrupted", log)
        interrupted.release = Mock(side_effect=[KeyboardInterrupt, None])
        register(Turn.SDK_IMPORT, locks=lambda: [Lock("first", log)])
        register(Turn.PIPELINES, locks=lambda: [interrupted])
        fork()

        assert interrupted.release.call_count == 2
        assert log[-1] == "release first"
        assert at_fork._held == {}


@pytest.fixture
def _unmarked(monkeypatch):
    """Make this process look like a child that was forked without hooks."""
    monkeypatch.setattr(fork_mark, "IS_WIPED", False)
    monkeypatch.setattr(fork_mark, "process", -1)


@pytest.mark.usefixtures("_unmarked")
class TestForkWithoutHooks:
    def test_the_first_call_restarts_the_modules_and_later_ones_do_not(self, register):
        log = []
        register(Turn.PIPELINES, restart=lambda: log.append("pipelines"))
        register(Turn.PROCESS, restart=lambda: log.append("process"))

        assert at_fork.ensure_restarted()
        assert at_fork.ensure_restarted()
        assert log == ["process", "pipelines"]

    def test_a_call_that_interrupts_the_restart_is_postponed_until_its_end(self, register):
        """A signal handler or finalizer logs: a row put into a queue that is about to be replaced would be lost."""
        log = []

        def restart():
            log.append(("interrupted", at_fork.ensure_restarted(log.append, "the postponed call")))
            log.append("restarted")

        register(Turn.PROCESS, restart=restart)

        assert at_fork.ensure_restarted()
        assert log == [("interrupted", False), "restarted", "the postponed call"]

    def test_a_restart_that_is_interrupted_by_an_error_is_repeated(self, register):
        """Ctrl-C in the middle of it."""
        restart = Mock(side_effect=[KeyboardInterrupt, None])
        register(Turn.PROCESS, restart=restart)
        with pytest.raises(KeyboardInterrupt):
            at_fork.ensure_restarted()

        assert at_fork.ensure_restarted()
        assert restart.call_count == 2

    def test_another_thread_waits_for_the_end_of_the_restart(self, register):
        begun, may_end, log = threading.Event(), threading.Event(), []

        def restart():
            begun.set()
            assert may_end.wait(10)
            log.append("restarted")

        register(Turn.PROCESS, restart=restart)
        first = threading.Thread(target=at_fork.ensure_restarted)
        first.start()
        assert begun.wait(10)
        second = threading.Thread(target=lambda: log.append(at_fork.ensure_restarted()))
        second.start()
        may_end.set()
        first.join(10)
        second.join(10)

        assert log == ["restarted", True]

    def test_log_calls_that_interrupt_the_restart_become_rows_after_it(self, register, monkeypatch):
        destination = FakeDestination()
        pipeline = manual_pipeline(destination)
        handler, processor = AzureMonitorHandler(pipeline=pipeline), AzureMonitorProcessor(pipeline=pipeline)
        record = logging.LogRecord("app", logging.INFO, "app.py", 1, "record", None, None)

        def restart():
            handler.handle(record)
            processor(None, "info", {"event": "event"})
            lifecycle_of(pipeline).restart()

        register(Turn.PIPELINES, restart=restart)
        monkeypatch.setattr(intake, "ASKS_RECORD", True)
        # Making a pipeline has marked the process.
        monkeypatch.setattr(fork_mark, "process", -1)
        handler.handle(logging.LogRecord("app", logging.INFO, "app.py", 1, "the first", None, None))
        pipeline.close()

        assert sorted_messages(destination.rows) == ["event", "record", "the first"]


class TestRegistry:
    def test_a_registry_knows_an_object_as_long_as_it_is_alive(self):
        registry, known = Registry(), threading.Event()
        registry.add(known)
        assert registry.alive() == [known]
        del known
        gc.collect()

        assert registry.alive() == []

    def test_a_registry_keeps_an_object_alive_until_it_is_released(self):
        registry, known = Registry(), threading.Event()
        registry.add(known)
        registry.keep(known)
        name = id(known)
        del known
        gc.collect()
        assert [id(kept) for kept in registry.alive()] == [name]
        registry.release(registry.alive()[0])
        gc.collect()

        assert registry.alive() == []
