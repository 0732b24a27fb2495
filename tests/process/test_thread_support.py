"""Whether threads may be started, in the processes that uWSGI makes and everywhere else; and who inherits rows."""

# ruff: noqa: SLF001 - the pipe and the callbacks are private

import logging
import os
import signal
import sys
from types import SimpleNamespace

import pytest

from logging_azmon import AzureMonitorHandler, Pipeline
from logging_azmon._delivery import listener_threads
from logging_azmon._process import at_exit, heir
from logging_azmon._process.thread_support import Threads, is_silent_master, threads
from logging_azmon.testing import Answer, FakeDestination
from support.pipelines import address, listeners, messages

STORED = Answer(status=204)


@pytest.fixture
def uwsgi(monkeypatch):
    """Return a function that makes this a process of uWSGI, and returns the module that has its state."""

    def make(*options, has_threads=1, **state):
        state = {"worker": 0, "mule": 0, "spooler": None, "master": 0} | state
        module = SimpleNamespace(
            has_threads=has_threads,
            opt=dict.fromkeys(options, True),
            state=state,
            worker_id=lambda: state["worker"],
            mule_id=lambda: state["mule"],
            i_am_the_spooler=lambda: state["spooler"],
            masterpid=lambda: state["master"],
        )
        monkeypatch.setitem(sys.modules, "uwsgi", module)
        return module

    return make


@pytest.fixture
def pipeline():
    with FakeDestination() as destination:
        made = Pipeline(*address(), destination=destination, report=lambda _: None)
        made.destination = destination
        yield made
        made.close()


def log(pipeline, message):
    record = logging.LogRecord("app", logging.INFO, "app.py", 1, message, None, None)
    AzureMonitorHandler(pipeline=pipeline).handle(record)


class TestThreads:
    def test_outside_of_uwsgi_they_may_be_started(self):
        assert threads() is Threads.NOW
        assert not is_silent_master()

    def test_stubs_of_the_name_do_not_count(self, monkeypatch):
        """The package `uwsgi-stubs`, or a module of one's own."""
        monkeypatch.setitem(sys.modules, "uwsgi", SimpleNamespace(opt={}))
        assert threads() is Threads.NOW

    @pytest.mark.parametrize("state", [{"worker": 2}, {"mule": 1}, {"spooler": True}], ids=str)
    def test_in_a_process_that_was_forked_they_may_be_started(self, uwsgi, state):
        uwsgi(master=1, **state)
        assert threads() is Threads.NOW
        assert not is_silent_master()

    def test_before_the_fork_they_must_wait(self, uwsgi):
        uwsgi("master", master=1)
        assert threads() is Threads.LATER
        assert is_silent_master()

    def test_without_a_master_the_process_will_be_a_worker(self, uwsgi):
        uwsgi()
        assert threads() is Threads.LATER
        assert not is_silent_master()

    def test_fork_hooks_change_nothing(self, uwsgi):
        """The master runs no exit handlers, so its own thread would lose what it had not delivered by then."""
        uwsgi("py-call-uwsgi-fork-hooks", master=1)
        assert threads() is Threads.LATER
        assert is_silent_master()

    @pytest.mark.parametrize("worker", [0, 1])
    def test_without_enable_threads_they_are_never_started(self, uwsgi, worker):
        uwsgi("py-call-uwsgi-fork-hooks", has_threads=0, worker=worker, master=1)
        assert threads() is Threads.NEVER


class TestListeners:
    def test_rows_from_before_the_fork_ask_for_a_thread_again(self, uwsgi, pipeline):
        """In a uWSGI without a master, the process that loads the application serves the requests."""
        module = uwsgi()
        log(pipeline, "loaded")
        log(pipeline, "loaded too")
        assert listeners() == []
        module.state["worker"] = 1
        log(pipeline, "request")
        # Without a flush.
        pipeline.destination.wait_for(lambda destination: len(destination.rows) == 3)
        assert messages(pipeline.destination.rows) == ["loaded", "loaded too", "request"]

    def test_they_leave_uwsgis_signals_to_the_main_thread(self, uwsgi, pipeline):
        """Its handlers end the process on the thread that gets the signal, and a listener would wait for itself."""
        uwsgi(worker=1)
        masks = []
        pipeline.destination.play(lambda _: masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, ())) or STORED)
        log(pipeline, "row")
        pipeline.destination.wait_for(lambda destination: destination.rows)
        assert {signal.SIGTERM, signal.SIGINT, signal.SIGHUP} <= masks[0]
        assert signal.SIGSEGV not in masks[0]
        assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())

    def test_a_flush_before_the_fork_delivers_on_its_own_thread(self, uwsgi, pipeline):
        uwsgi()
        log(pipeline, "loaded")
        assert pipeline.flush()
        assert listeners() == []

    def test_that_no_thread_runs_is_reported_once(self, uwsgi, monkeypatch):
        """By the first row of all pipelines, because nothing else may come before the end of the process."""
        monkeypatch.setattr(listener_threads, "_has_reported", False)
        uwsgi(has_threads=0, worker=1)
        troubles = []
        for _ in range(2):
            with FakeDestination() as destination:
                pipeline = Pipeline(*address(), destination=destination, report=troubles.append)
                log(pipeline, "row")
                pipeline.close()
                assert messages(destination.rows) == ["row"]
        assert [(trouble.kind, trouble.reason) for trouble in troubles] == [("internal", "thread")]
        assert "enable-threads" in troubles[0].text

    def test_a_pipeline_without_background_reports_nothing(self, uwsgi, monkeypatch):
        monkeypatch.setattr(listener_threads, "_has_reported", False)
        uwsgi(has_threads=0, worker=1)
        troubles = []
        with FakeDestination() as destination:
            pipeline = Pipeline(*address(), destination=destination, report=troubles.append, background=False)
            log(pipeline, "row")
            pipeline.close()
        assert troubles == []


class TestHeir:
    @pytest.fixture(autouse=True)
    def _no_pipe(self, monkeypatch):
        monkeypatch.setattr(heir, "_pipe", None)

    def test_only_one_child_is_the_heir(self, uwsgi, monkeypatch):
        uwsgi(master=os.getpid())
        heir.offer()
        heir.offer()
        # The pipe, as two children would have them.
        first, second = heir._pipe, tuple(os.dup(end) for end in heir._pipe)
        monkeypatch.setattr(heir, "_pipe", first)
        assert heir.is_heir()
        assert not heir.is_heir()
        monkeypatch.setattr(heir, "_pipe", second)
        assert not heir.is_heir()

    def test_a_process_that_can_deliver_offers_nothing(self, uwsgi):
        uwsgi()
        heir.offer()
        assert not heir.is_heir()

    def test_without_a_pipe_there_is_no_heir(self, uwsgi, monkeypatch):
        """The process has too many open files."""
        monkeypatch.setattr(os, "pipe", lambda: os.close(-1))
        uwsgi(master=os.getpid())
        heir.offer()
        assert not heir.is_heir()


class TestExit:
    def test_a_worker_without_teardown_delivers_in_uwsgis_own_exit_handler(self, uwsgi):
        """With --skip-atexit-teardown the interpreter is not finalized, so no callback of atexit runs."""
        module = uwsgi("skip-atexit-teardown", worker=1)
        at_exit.ensure_hook()
        ended = []
        at_exit.register(at_exit.Turn.PIPELINES, lambda *, is_last: ended.append(is_last))
        try:
            module.atexit()
        finally:
            at_exit._registered.pop()
            at_exit.restart()
        assert ended == [True]

    def test_a_handler_of_the_applications_own_is_kept(self, uwsgi):
        module = uwsgi("skip-atexit-teardown", worker=1)
        module.atexit = own = lambda: None
        at_exit.ensure_hook()
        assert module.atexit is own

    def test_a_worker_with_teardown_needs_none(self, uwsgi):
        module = uwsgi(worker=1)
        at_exit.ensure_hook()
        assert not hasattr(module, "atexit")
