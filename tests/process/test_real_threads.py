"""Threads, locks and waits where gevent or eventlet has patched the standard library, which fakes stand in for here.

`tests/servers` has them themselves.
"""

# ruff: noqa: SLF001 - what `platform` caches is private

import _thread
import itertools
import logging
import platform
import socket
import sys
import threading
import time
from contextlib import closing
from queue import SimpleQueue
from types import SimpleNamespace

import pytest

from logging_azmon import AzureMonitorHandler, Pipeline
from logging_azmon._azure import real_sockets
from logging_azmon._azure.uploader import Uploader
from logging_azmon._delivery.answer import Failure
from logging_azmon._process import at_exit, feedback, real_threads
from logging_azmon._process.clock import SystemClock
from logging_azmon.testing import FakeDestination
from support.delivering import line, settings_of
from support.endpoint import Endpoint
from support.pipelines import address, listeners, messages

LIMIT_SECONDS = 10


@pytest.fixture
def sleeps(monkeypatch):
    """Make `time.sleep` look patched, and return the sleeps; a test may set what happens during one."""

    class Sleeps(list):
        meanwhile = staticmethod(lambda: None)

        def __call__(self, seconds):
            self.append(seconds)
            self.meanwhile()

    monkeypatch.setattr(time, "sleep", Sleeps())
    return time.sleep  # noqa: TID251 - the fake


class TestOriginals:
    def test_without_a_patch_they_are_what_the_modules_have(self):
        assert real_threads.original("_thread", "start_new_thread") is _thread.start_new_thread
        assert not real_threads.is_patched()

    def test_gevent_is_asked_for_what_it_has_replaced(self, monkeypatch):
        fake = SimpleNamespace(get_original=lambda module, name: (module, name))
        monkeypatch.setitem(sys.modules, "gevent.monkey", fake)
        assert real_threads.original("socket", "socket") == ("socket", "socket")

    def test_eventlet_is_asked_for_the_module_as_it_was(self, monkeypatch):
        fake = SimpleNamespace(original=lambda module: SimpleNamespace(name=f"the original {module}"))
        monkeypatch.setitem(sys.modules, "eventlet.patcher", fake)
        assert real_threads.original("socket", "name") == "the original socket"


class TestWait:
    def test_it_lets_other_greenlets_run(self, sleeps):
        wakeups = SimpleQueue()
        turns = itertools.count(1)
        sleeps.meanwhile = lambda: next(turns) == 3 and wakeups.put(None)
        SystemClock.wait(wakeups, LIMIT_SECONDS)
        assert len(sleeps) == 3
        assert wakeups.empty()

    def test_it_ends_in_time(self, sleeps):
        """Its pauses grow, and the last one does not exceed the limit."""
        sleeps.meanwhile = lambda: None
        SystemClock.wait(SimpleQueue(), 0.02)
        assert sleeps[:3] == [0.001, 0.002, 0.004]
        assert max(sleeps) <= 0.05

    def test_a_listener_waits_on_its_real_thread(self, sleeps):
        """No greenlets run there."""
        with feedback.listening():
            SystemClock.wait(SimpleQueue(), 0.001)
        assert sleeps == []


class TestListening:
    def test_a_thread_is_delivering_while_it_listens(self):
        with feedback.listening():
            assert feedback.is_listener()
            assert feedback.is_delivering()
        assert not feedback.is_delivering()

    def test_a_listener_is_known_by_its_real_thread(self, monkeypatch):
        """gevent is patched in later, and identifiers are those of greenlets from then on."""
        with feedback.listening():
            monkeypatch.setattr(threading, "get_ident", lambda: 1)
            assert feedback.is_delivering()

    def test_a_greenlet_that_delivers_does_not_stand_for_its_thread(self, monkeypatch):
        """A flush may deliver on one greenlet, while the others of the thread log."""
        greenlet = [1]
        monkeypatch.setattr(threading, "get_ident", lambda: greenlet[0])
        with feedback.delivering():
            assert feedback.is_delivering()
            greenlet[0] = 2
            assert not feedback.is_delivering()
            greenlet[0] = 1


@pytest.mark.usefixtures("sleeps")
def test_a_listener_runs_on_a_bare_thread_if_a_thread_would_be_a_greenlet(monkeypatch):
    def greenlet(*_, **__):
        raise AssertionError("a Thread was made")

    with FakeDestination() as destination:
        pipeline = Pipeline(*address(), destination=destination)
        record = logging.LogRecord("app", logging.INFO, "app.py", 1, "row", None, None)
        with monkeypatch.context() as patched:
            patched.setattr(threading, "Thread", greenlet)
            AzureMonitorHandler(pipeline=pipeline).handle(record)
            destination.wait_for(lambda destination: destination.rows)
            assert listeners() == []
        pipeline.close()
        assert messages(destination.rows) == ["row"]


@pytest.mark.usefixtures("sleeps")
class TestUploads:
    def test_a_listener_connects_through_real_sockets(self, monkeypatch):
        """gevent's would resolve names on threads that can no longer be started at the exit of the process."""
        connected = []
        connect = real_sockets.connect

        def note(*args, **options):
            connected.append(args)
            return connect(*args, **options)

        monkeypatch.setattr(real_sockets, "connect", note)
        with Endpoint() as endpoint, closing(Uploader(settings_of(endpoint=endpoint.url))) as uploader:
            with feedback.listening():
                assert uploader.send(line("a")).status == 204
            assert connected == [("127.0.0.1", int(endpoint.url.rpartition(":")[2]))]

    def test_another_thread_lets_greenlets_run_until_the_exit(self, monkeypatch):
        assert not real_sockets.blocks_nobody()
        monkeypatch.setattr(at_exit, "_seconds_left", 1.0)
        assert real_sockets.blocks_nobody()

    def test_a_server_that_refuses_is_an_outage(self):
        with socket.create_server(("127.0.0.1", 0)) as unused:
            port = unused.getsockname()[1]
        with closing(Uploader(settings_of(endpoint=f"http://127.0.0.1:{port}"))) as uploader, feedback.listening():
            answer = uploader.send(line("a"))
        assert answer.failure is Failure.CONNECTION
        assert "refused" in answer.message

    @pytest.mark.parametrize("error", [TimeoutError("timed out"), socket.gaierror("no such name")], ids=repr)
    def test_a_connection_that_fails_is_an_outage(self, monkeypatch, error):
        def fail(*_, **__):
            raise error

        monkeypatch.setattr(real_sockets, "connect", fail)
        with closing(Uploader(settings_of(endpoint="http://127.0.0.1:9"))) as uploader, feedback.listening():
            assert uploader.send(line("a")).failure is Failure.CONNECTION

    def test_the_next_address_is_tried_if_one_fails(self, monkeypatch):
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as unused:
            refusing, port = unused.getsockname(), server.getsockname()[1]
            unused.close()
            found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", place) for place in (refusing, server.getsockname())]
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found)
            with real_sockets.connect("name", port, timeout=LIMIT_SECONDS, options=None) as connection:
                assert connection.getpeername()[1] == port

    def test_a_name_without_addresses_is_an_error(self, monkeypatch):
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [])
        with pytest.raises(OSError, match="no address"):
            real_sockets.connect("name", 1, timeout=1, options=[])

    def test_no_program_is_run_to_name_the_platform(self, monkeypatch):
        """gevent can run programs on the main thread alone, and `platform` runs `uname`."""
        monkeypatch.setattr(platform, "_uname_cache", None)
        monkeypatch.setattr(platform, "_platform_cache", {})
        monkeypatch.setattr(platform._Processor, "get", lambda: pytest.fail("a program was run"))
        with Endpoint() as endpoint, closing(Uploader(settings_of(endpoint=endpoint.url))) as uploader:
            assert uploader.send(line("a")).status == 204
        assert "Linux" in platform.platform() or sys.platform != "linux"
