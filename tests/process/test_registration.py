"""The registration of locks and restarts for a fork, and of live objects."""

# ruff: noqa: SLF001 - locks have no public name for their owner

import gc
import os
import sys
import threading
from unittest.mock import Mock

import pytest

from logging_azmon._process import at_fork
from logging_azmon._process.at_fork import Turn
from logging_azmon._process.registry import Registry


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
        register(Turn.SPOOL_OWNERSHIP, locks=lambda: [Lock("first spool", log), Lock("second spool", log)])
        fork()

        assert log == [
            *("take import", "take first spool", "take second spool", "take ledger"),
            *("release ledger", "release second spool", "release first spool", "release import"),
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
