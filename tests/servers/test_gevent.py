"""gevent and eventlet: rows are delivered by real threads, and no greenlet ever waits for them."""

import importlib.util
import signal
import subprocess
import sys

import pytest

from support.endpoint import Endpoint, Held, status
from support.lifecycle import SCRIPTS, assert_each_once, environment, messages
from support.pipelines import LIMIT_SECONDS
from support.serving import SOON_SECONDS, STOP_SECONDS, python, serving


def needs(name):
    is_missing = importlib.util.find_spec(name) is None
    return pytest.mark.skipif(is_missing, reason=f"{name} is not installed: python -m tox run -e servers")


# How long a greenlet may be kept from running. Importing the SDK takes ten times as long on a greenlet.
TURN_SECONDS = 0.25
LIBRARIES = [pytest.param(name, marks=needs(name)) for name in ("gevent", "eventlet")]
ORDERS = ["first", "before the handler", "after the handler", "after the first row"]

# `ORDER` says when the library patches everything; a greenlet measures the longest time that it could not run.
PROGRAM = """
import importlib, logging, sys, time
library, ORDER, *more = sys.argv[1:]
def patch(order):
    if order == ORDER:
        if library == "gevent":
            importlib.import_module("gevent.monkey").patch_all()
        else:
            importlib.import_module("eventlet").monkey_patch()
patch("first")
from logging_azmon import AzureMonitorHandler
patch("before the handler")
handler = AzureMonitorHandler(close_seconds=10)
patch("after the handler")
root = logging.getLogger()
root.setLevel("DEBUG")
root.addHandler(handler)
log = logging.getLogger("app")
if ORDER == "after the first row":
    log.info("early")
    assert handler.flush()
patch("after the first row")
greenlets = importlib.import_module(library)
longest = 0.0
def tick():
    global longest
    while True:
        begun = time.monotonic()
        greenlets.sleep(0.001)
        longest = max(longest, time.monotonic() - begun)
"""


def run(library, order, source, endpoint):
    """Run a program, and return its output and how long it took from its last line to its end."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM + source, library, order],
        env=environment(endpoint, {}),
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "logging_azmon:" not in done.stderr
    return done.stdout


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("order", ORDERS)
class TestPatched:
    def test_rows_are_on_their_way_while_greenlets_run(self, library, order):
        """Whenever the library patches threads, sockets and queues."""
        source = f"""
greenlets.spawn(tick)
for number in range(100): log.info("row %d", number)
begun = time.monotonic()
while not handler.stats().delivered and time.monotonic() < begun + {SOON_SECONDS}: greenlets.sleep(0.005)
assert handler.stats().delivered
assert longest < {TURN_SECONDS}, longest
"""
        with Endpoint() as endpoint:
            run(library, order, source, endpoint)
            assert len([text for text in messages(endpoint.rows) if text.startswith("row")]) == 100
            assert_each_once(endpoint.rows)

    def test_a_flush_lets_other_greenlets_run(self, library, order):
        """It waits for an answer that another greenlet of the program makes possible."""
        source = f"""
greenlets.spawn(tick)
log.info("row")
longest = 0.0
assert handler.flush()
assert longest < {TURN_SECONDS}, longest
"""
        with Endpoint() as endpoint:
            run(library, order, source, endpoint)
            assert "row" in messages(endpoint.rows)

    def test_a_short_script_delivers_at_its_exit(self, library, order):
        """Also if the SDK is imported, and the first connection made, while the interpreter ends."""
        with Endpoint() as endpoint:
            source = """
import atexit
for number in range(100): log.info("row %d", number)
end = time.monotonic()
atexit._run_exitfuncs()
assert time.monotonic() < end + 8
"""
            run(library, order, source, endpoint)
            assert len([text for text in messages(endpoint.rows) if text.startswith("row")]) == 100
            assert_each_once(endpoint.rows)


@needs("gevent")
@needs("gunicorn")
@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["", "preload"])
class TestGunicorn:
    def serve(self, preload):
        own = ["--worker-class=gevent", "--workers=2", "--bind=fd://FD"]
        return serving(python("-m", "gunicorn", *own, *preload, "server_wsgi:application"))

    def test_each_row_arrives_once(self, preload):
        with self.serve(preload) as server:
            server.ask_until(2)
            server.ask_often(40)
            assert server.stop() < STOP_SECONDS
            server.check_rows(loaded=1 if preload else None)

    def test_rows_are_on_their_way_soon(self, preload):
        with self.serve(preload) as server:
            server.ask("/0")
            server.endpoint.wait_for_rows(2, SOON_SECONDS)
            # The worker is warm by now.
            server.longest_seconds = 0.0
            server.ask_often(40)
            assert server.longest_seconds < 1

    def test_requests_are_answered_and_the_stop_is_bounded_while_nothing_is_delivered(self, preload):
        """The service holds all requests."""
        held = Held()
        with self.serve(preload) as server:
            server.endpoint.default = held
            server.ask("/0")
            assert held.arrived.wait(LIMIT_SECONDS)
            server.longest_seconds = 0.0
            server.ask_often(40)
            assert server.longest_seconds < 1
            server.ask_until(2)
            held.go()
            assert server.stop(signal.SIGTERM) < STOP_SECONDS
            server.check_rows(loaded=1 if preload else None)


@needs("gevent")
def test_celery_delivers_the_rows_of_its_gevent_pool(tmp_path):
    with Endpoint(status(503)) as endpoint:
        env = environment(endpoint, {}) | {"BROKER": str(tmp_path)}
        subprocess.run(
            [sys.executable, "-c", "import lifecycle_celery as app; [app.work.delay(n) for n in range(6)]"],
            cwd=SCRIPTS,
            env=env,
            timeout=LIMIT_SECONDS,
            check=True,
        )
        celery = python("-W", "ignore", "-m", "celery", "-A", "lifecycle_celery")
        process = subprocess.Popen(
            [*celery, "worker", "--pool=gevent", "--concurrency=4", "--loglevel=INFO", "--without-gossip"],
            cwd=SCRIPTS,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            done = 0
            for printed in process.stdout:
                done += printed.strip() == "done"
                if done == 6:
                    break
            process.send_signal(signal.SIGTERM)
            _, stderr = process.communicate(timeout=LIMIT_SECONDS)
        finally:
            process.kill()
            process.communicate()
        assert process.returncode == 0, stderr
        expected = [f"task {number} {step}" for number in range(6) for step in ("begins", "prints", "ends")]
        assert [text for text in messages(endpoint.rows) if text.startswith("task ")] == sorted(expected)
        assert_each_once(endpoint.rows)
