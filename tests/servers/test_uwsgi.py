"""uWSGI: it forks in C, and Python's hooks do not run. Each row of each worker arrives once, however it is set up."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from support.pipelines import LIMIT_SECONDS
from support.serving import SOON_SECONDS, STOP_SECONDS, serving

# uWSGI, or pyuwsgi, which is the same as a wheel.
UWSGI = shutil.which("uwsgi", path=Path(sys.executable).parent)
pytestmark = pytest.mark.skipif(UWSGI is None, reason="uWSGI is not installed: python -m tox run -e servers")

MASTER = ["--master", "--processes=2"]
# How uWSGI may be set up. Each is tested with and without a master and two workers.
OPTIONS = {
    "default": [],
    "enable-threads": ["--enable-threads"],
    "lazy-apps": ["--lazy-apps"],
    "both": ["--enable-threads", "--lazy-apps"],
    "two threads": ["--threads=2"],
    "fork hooks": ["--enable-threads", "--py-call-uwsgi-fork-hooks"],
    "no teardown": ["--skip-atexit-teardown"],
}


OWN = ["--http-socket=fd://FD", "--wsgi=server_wsgi:application", "--need-app", "--disable-logging", "--die-on-term"]


@contextmanager
def uwsgi(*options, command=(UWSGI, f"--home={sys.prefix}")):
    """Serve the application with these options."""
    with (
        TemporaryDirectory() as directory,
        serving([*command, *OWN, f"--stats={directory}/stats", *options]) as server,
    ):
        server.statistics = f"{directory}/stats"
        yield server


def stop_when_idle(server, number=signal.SIGTERM):
    """Stop uWSGI once no request is left: in a worker that is busy, it runs no exit handlers.

    A worker that has just been forked may miss the signal.
    """
    deadline = time.monotonic() + LIMIT_SECONDS
    while not all(map(is_idle, statistics(server)["workers"])):
        assert time.monotonic() < deadline
    assert server.stop(number) < STOP_SECONDS


def is_idle(worker):
    """Return whether a worker waits for requests, or is not needed."""
    has_request = any(core["in_request"] for core in worker["cores"])
    return worker["status"] == "cheap" or (worker["accepting"] and worker["apps"] and not has_request)


def statistics(server):
    """Ask uWSGI what its workers do."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(server.statistics)
        with connection.makefile("rb") as told:
            return json.load(told)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
class TestEachRowArrivesOnce:
    def test_with_a_master_and_two_workers(self, options):
        """Also rows from before the fork, and the last rows before SIGTERM."""
        with uwsgi(*MASTER, *options) as server:
            server.ask_often(40)
            stop_when_idle(server)
            # Each lazy worker loads the application for itself; one of them may not have come that far.
            server.check_rows(loaded=None if "--lazy-apps" in options else 1)

    def test_without_a_master(self, options):
        with uwsgi(*options) as server:
            server.ask_often(20)
            stop_when_idle(server)
            server.check_rows()

    def test_soon(self, options):
        """Rows are on their way before the server stops."""
        with uwsgi(*MASTER, *options) as server:
            server.ask("/0")
            server.endpoint.wait_for_rows(2, SOON_SECONDS)

    def test_by_a_flush(self, options):
        """A request may flush; the row that waits with it is then there."""
        with uwsgi(*MASTER, *options) as server:
            server.ask("/flush")
            assert "request /flush" in [row["Message"] for row in server.endpoint.rows]


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_a_reload_loses_nothing(options):
    """The workers end, and the master starts uWSGI anew, in the same process."""
    # By itself, pyuwsgi would start the interpreter that this virtual environment was made from.
    with uwsgi(*MASTER, *options, f"--binary-path={sys.executable}") as server:
        before = server.ask_until(2)
        server.process.send_signal(signal.SIGHUP)
        server.ask_until(2, before)
        stop_when_idle(server)
        server.check_rows(loaded=None)


def test_workers_that_are_replaced_deliver_their_last_rows():
    """With `max-requests`. The master forks the new ones while the others serve."""
    with uwsgi(*MASTER, "--max-requests=5", "--min-worker-lifetime=1") as server:
        workers = server.ask_often(1)
        while len(workers) < 4:
            workers |= server.ask_often(5)
        stop_when_idle(server)
        server.check_rows()


def test_workers_that_are_started_later_deliver_their_rows():
    """With `cheaper`. Rows from before the fork are not delivered a second time."""
    with uwsgi("--master", "--processes=4", "--cheaper=1", "--cheaper-initial=1") as server:
        server.ask_often(60)
        stop_when_idle(server)
        server.check_rows()


def test_ctrl_c_stops_as_sigterm_does():
    with uwsgi(*MASTER) as server:
        server.ask_often(20)
        stop_when_idle(server, signal.SIGINT)
        server.check_rows()


def test_the_example_lets_requests_end_at_sigterm(tmp_path):
    """With it, rows arrive also if a worker is busy when it is told to stop."""
    example = Path(__file__).parent.parent.parent / "examples" / "uwsgi_app" / "uwsgi.ini"
    settings = [
        line for line in example.read_text("utf-8").splitlines() if not line.startswith(("module", "pythonpath"))
    ]
    (tmp_path / "uwsgi.ini").write_text("\n".join(settings), "utf-8")
    own = [option for option in OWN if option != "--die-on-term"]
    with serving([UWSGI, f"--home={sys.prefix}", *own, f"--ini={tmp_path}/uwsgi.ini"]) as server:
        server.ask_often(40)
        assert server.stop() < STOP_SECONDS
        server.check_rows()


def _without_threads():
    """Return the command of an older uWSGI of Debian's, for this version of Python; None if there is none."""
    program = shutil.which("uwsgi", path="/usr/bin")
    plugin = f"python{sys.version_info.major}{sys.version_info.minor}"
    if program is None or not Path(f"/usr/lib/uwsgi/plugins/{plugin}_plugin.so").exists():
        return None
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return [program, f"--plugin={plugin}"] if told.startswith("2.0.2") and told < "2.0.30" else None


@pytest.mark.skipif(_without_threads() is None, reason="no uWSGI of Debian's without threads for this Python")
@pytest.mark.parametrize("options", [[], MASTER], ids=["alone", "master"])
class TestWithoutThreads:
    def serve(self, options):
        # Debian's interpreter, with what is installed for this one.
        return uwsgi(f"--pythonpath={sysconfig.get_path('purelib')}", *options, command=_without_threads())

    def test_rows_are_delivered_at_the_end_and_that_is_said_once(self, options):
        with self.serve(options) as server:
            server.ask_often(20)
            stop_when_idle(server)
            said = [line for line in server.output.splitlines() if line.startswith("logging_azmon:")]
            assert len(said) == 1
            assert "set enable-threads = true" in said[0]
            server.output = ""
            server.check_rows()

    def test_rows_are_delivered_by_a_flush(self, options):
        with self.serve(options) as server:
            server.ask("/flush")
            assert server.endpoint.wait_for_rows(1, LIMIT_SECONDS)
