"""The spool in an application: a handler's argument, exits, forks, a second run, and a long outage."""

import json
import logging
import logging.config
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from logging_azmon import AzureMonitorHandler, Pipeline
from logging_azmon._process import at_fork
from logging_azmon.pipeline import lifecycle_of
from logging_azmon.testing import Answer, FakeDestination, ManualClock
from support.delivering import a_rule, leave_in_spool
from support.endpoint import STORED, Endpoint, status
from support.lifecycle import assert_each_once, messages, run, running
from support.spools import Directory, ownership_held

IMPORTED = "import requests, isal.igzip, azure.monitor.ingestion, azure.core.pipeline.transport._requests_basic\n"
NO_FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
# The whole figure is measured by hand; it takes half a minute.
OUTAGE_ROWS = int(os.environ.get("SPOOL_OUTAGE_ROWS", "20000"))


@pytest.fixture
def spool(tmp_path):
    return tmp_path / "spool"


@pytest.fixture
def logger():
    return logging.Logger("app")


def left(spool):
    return sorted(path.name for path in spool.glob("*-*.ndjson"))


def handler_of(endpoint, spool, **options):
    return AzureMonitorHandler(endpoint.url, "dcr-1", "Custom-App_CL", spool=spool, report=lambda _: None, **options)


class TestHandler:
    @pytest.mark.parametrize("kind", [str, Path])
    def test_spool_is_a_directory_as_text_or_path(self, spool, logger, kind):
        with Endpoint() as endpoint:
            handler = handler_of(endpoint, kind(spool))
            assert not spool.exists(), "nothing is made before there is a row"
            logger.addHandler(handler)
            logger.warning("hello")
            assert len(left(spool)) == 1
            assert handler.flush()
            handler.close()
        assert messages(endpoint.rows) == ["hello"]
        assert list(spool.iterdir()) == []

    def test_spool_options_are_read_by_dict_config(self, spool, monkeypatch):
        with Endpoint() as endpoint:
            configuration = {
                "version": 1,
                "disable_existing_loggers": False,
                "handlers": {
                    "azure": {
                        "class": "logging_azmon.AzureMonitorHandler",
                        "endpoint": endpoint.url,
                        "rule_id": "dcr-1",
                        "stream": "Custom-App_CL",
                        "spool": str(spool),
                        "spool_bytes": 10_000_000,
                        "spool_fsync": "batch",
                    }
                },
                "loggers": {"spooled": {"handlers": ["azure"], "level": "INFO"}},
            }
            logger = logging.getLogger("spooled")
            try:
                for number in range(3):
                    # After each dictConfig, the new pipeline takes over the rows that the old one has not delivered.
                    logging.config.dictConfig(configuration)
                    logger.info("%d", number)
            finally:
                (handler,) = logger.handlers
                logger.removeHandler(handler)
                assert handler.flush(20)
                handler.close()
            assert [row["Message"] for row in endpoint.wait_for_rows(3)][-1:] != []
            assert messages(endpoint.rows) == ["0", "1", "2"]

    def test_an_idle_process_delivers_orphans_when_it_ends(self, spool):
        """The process has not logged a row of its own."""
        with Endpoint() as endpoint:
            assert leave_in_spool(spool, endpoint.url, "left").spooled == 1
            second = handler_of(endpoint, spool)
            second.close()
        assert messages(endpoint.rows) == ["left"]
        assert second.stats().adopted == second.stats().delivered == 1

    def test_rows_left_in_the_spool_at_close_are_reported(self, spool, logger):
        reports = []
        pipeline = Pipeline(
            **a_rule(),
            spool=spool,
            destination=FakeDestination(*[Answer(status=503)] * 99),
            clock=ManualClock(jumps=True),
            background=False,
            report=reports.append,
        )
        logger.addHandler(AzureMonitorHandler(pipeline=pipeline))
        logger.warning("row")
        pipeline.close()
        (trouble,) = [each for each in reports if each.reason == "closed"]
        assert (
            str(trouble)
            == f"1 row not delivered within close_seconds=10 stay in the spool {spool} for the next process"
        )
        assert (trouble.kind, trouble.rows) == ("spool", 1)
        assert pipeline.stats().spooled == 1

    def test_rows_logged_after_close_are_delivered_by_the_next_process(self, spool, logger):
        with Endpoint() as endpoint:
            first = handler_of(endpoint, spool)
            logger.addHandler(first)
            first.close()
            logger.warning("late")
            assert first.stats().dropped == {}
            assert first.stats().spooled == 1
            lifecycle_of(first.pipeline).queue.leave_to_parent()
            logger.removeHandler(first)
            for owner in lifecycle_of(first.pipeline).queue._store.ownership.owners.values():  # noqa: SLF001
                owner.release()
            handler_of(endpoint, spool).close()
        assert messages(endpoint.rows) == ["late"]


class TestExit:
    def test_rows_that_cannot_be_delivered_at_exit_are_delivered_by_the_next_run(self, spool):
        """They are counted and reported, and the next run delivers them, with the rows logged after the end."""
        # Long enough that no upload is in flight at the end, even on a busy machine.
        # A callback registered before logging's own runs after it.
        early = "import atexit\natexit.register(lambda: logging.getLogger('app').info('too late'))\nimport logging\n"
        with Endpoint() as endpoint:
            endpoint.default = status(503, retry_after=300)
            stderr = run(
                IMPORTED + "handle()\nlog.info('1')\nlog.info('2')",
                endpoint,
                early=early,
                close_seconds=3,
                spool=str(spool),
            )
            assert f"2 rows not delivered within close_seconds=3 stay in the spool {spool}" in stderr
            assert "lost" not in stderr
            endpoint.default = STORED
            assert run("handle()", endpoint, spool=str(spool)) == ""
            assert messages(endpoint.rows) == ["1", "2", "too late"]
            assert_each_once(endpoint.rows)
        assert list(spool.iterdir()) == []

    def test_a_killed_process_loses_no_row(self, spool):
        with Endpoint() as endpoint:
            endpoint.default = status(503)
            source = "handle()\nfor number in range(500): log.info('%d', number)\nos.kill(os.getpid(), signal.SIGKILL)"
            run(source, endpoint, code=-9, spool=str(spool))
            endpoint.default = STORED
            assert run("handle()", endpoint, spool=str(spool)) == ""
            assert messages(endpoint.rows) == sorted(str(number) for number in range(500))


@NO_FORK
class TestFork:
    FORK = "import warnings\nwarnings.simplefilter('ignore', DeprecationWarning)\n"

    def test_parent_and_child_write_separate_files(self, spool):
        """One child never logs, and one ends while its parent goes on."""
        source = """
handle()
log.info('parent before')
def child(name):
    if os.fork() == 0:
        if name: log.info(name)
        assert root.handlers[0].stats().accepted == bool(name)
        sys.exit(0)
    assert os.wait()[1] == 0
child('child'); child('')
log.info('parent after')
"""
        with Endpoint() as endpoint:
            assert run(self.FORK + source, endpoint, spool=str(spool)) == ""
            assert messages(endpoint.rows) == ["child", "parent after", "parent before"]
            assert_each_once(endpoint.rows)
        assert list(spool.iterdir()) == []

    @pytest.mark.parametrize("end", ["sys.exit(0)", "os._exit(0)", "del handler; gc.collect(); os._exit(0)"])
    def test_a_child_that_ends_does_not_release_its_parents_lock(self, spool, end):
        """Other processes find the parent's lock held, as long as the parent lives."""
        source = f"""
import gc
handler = handle(retry_seconds=3600, close_seconds=0)
log.info('parent')
if os.fork() == 0:
    root.handlers.clear()
    {end}
os.wait()
wait()
"""
        with Endpoint() as endpoint:
            # The parent does not try again before it is killed.
            endpoint.default = status(503, retry_after=300)
            with running(self.FORK + IMPORTED + source, endpoint, spool=str(spool), is_measured=False) as program:
                program.wait_until("waiting")
                endpoint.wait_for_requests(1)
                endpoint.default = STORED
                other = handler_of(endpoint, spool)
                other.close()
                assert other.stats().adopted == 0
                assert endpoint.rows == []
                program.process.kill()
                program.process.wait()
                last = handler_of(endpoint, spool)
                last.close()
                assert last.stats().adopted == 1
        assert messages(endpoint.rows) == ["parent"]

    def test_a_living_child_does_not_block_the_adoption_of_its_dead_parents_rows(self, spool):
        source = """
handle(retry_seconds=3600)
log.info('parent')
if os.fork() == 0:
    say('waiting')
    sys.stdin.readline()
    os._exit(0)
signal.pause()
"""
        with Endpoint() as endpoint:
            endpoint.default = status(503)
            with running(self.FORK + IMPORTED + source, endpoint, spool=str(spool), is_measured=False) as program:
                program.wait_until("waiting")
                program.process.kill()
                program.process.wait()
                endpoint.default = STORED
                after = handler_of(endpoint, spool)
                after.close()
                assert after.stats().adopted == 1
                program.go_on()
        assert messages(endpoint.rows) == ["parent"]

    @pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
    def test_a_fork_does_not_wait_for_a_search_for_orphans(self, tmp_path):
        """A search of a large directory takes long; the child has no use for it."""
        directory = Directory(tmp_path / "spool")
        bench = directory.process()
        with ownership_held(bench):
            begun = time.monotonic()
            child = os.fork()
            if child == 0:
                os._exit(0)
            assert time.monotonic() - begun < at_fork.WAIT_SECONDS / 2
            assert os.waitpid(child, 0)[1] == 0

    def test_no_row_is_lost_when_a_process_forks_while_threads_write(self, spool):
        """Children forked while other threads are in log calls do not hang."""
        source = """
handle(batch_bytes=20_000)
log.info('warm')
assert root.handlers[0].flush()
stop = threading.Event()
def work():
    while not stop.is_set(): log.info('thread')
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads: thread.start()
def child():
    for _ in range(5): log.info('child')
    os._exit(0 if root.handlers[0].flush() else 1)
pids = []
for _ in range(8):
    pid = os.fork()
    if pid == 0: child()
    pids.append(pid)
stop.set()
for pid in pids: assert os.waitpid(pid, 0)[1] == 0
"""
        with Endpoint() as endpoint:
            assert run(self.FORK + source, endpoint, spool=str(spool)) == ""
            assert messages(endpoint.rows).count("child") == 40
            assert_each_once(endpoint.rows)
        assert list(spool.iterdir()) == []

    def test_a_fork_during_a_write_leaves_the_row_to_the_parent(self, spool):
        """A signal handler forks: the row is the parent's, and the child does not write to its parent's descriptor."""
        source = """
from logging_azmon.pipeline import lifecycle_of
handler = handle()
log.info('first')
segment = lifecycle_of(handler.pipeline).queue._store._writer._open.stored.segment
real, pid = lifecycle_of(handler.pipeline).queue._store._writer._write, None
def write(fd, line):
    global pid
    if pid is None:
        pid = os.fork()
        if pid == 0: os.open('/dev/null', os.O_WRONLY)
    return real(fd, line) if pid else real(segment.fd, line)
lifecycle_of(handler.pipeline).queue._store._writer._write = write
log.info('the parent\\'s')
log.info('child' if pid == 0 else 'parent')
if pid: assert os.wait()[1] == 0
"""
        with Endpoint() as endpoint:
            assert run(self.FORK + source, endpoint, spool=str(spool)) == ""
            assert messages(endpoint.rows) == ["child", "first", "parent", "the parent's"]


OUTAGE = """
import json, logging, os, sys, threading
from logging_azmon import AzureMonitorHandler
import requests, azure.monitor.ingestion, azure.core.pipeline.transport._requests_basic

def rss():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

outage = threading.Event()
url, spool, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
handler = AzureMonitorHandler(
    url, "dcr-1", "Custom-A_CL", columns="lean", spool=spool, spool_bytes=2**34, close_seconds=300,
    report=lambda trouble: outage.set(),
)
logger = logging.Logger("app")
logger.addHandler(handler)
text = "x" * 350

def log(number):
    for _ in range(number):
        logger.warning("%s", text)

log(4_000)
assert outage.wait(30)
before = rss()
log(rows)
growth = rss() - before
print(json.dumps({"growth": growth, "spooled": handler.stats().spooled}), flush=True)
sys.stdin.readline()
assert handler.flush(280)
print(json.dumps({"after": rss() - before}), flush=True)
handler.close()
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="measures the process's memory where Linux shows it")
def test_memory_does_not_grow_with_the_length_of_an_outage(spool):
    """It grows by less than 20 MB with rows of 500 bytes. SPOOL_OUTAGE_ROWS=1000000 measures the full length."""
    with Endpoint() as endpoint:
        endpoint.default = status(503, retry_after=1)
        process = subprocess.Popen(
            [sys.executable, "-c", OUTAGE, endpoint.url, str(spool), str(OUTAGE_ROWS)],
            env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            outage = json.loads(process.stdout.readline())
            endpoint.default = STORED
            out, _ = process.communicate("\n", timeout=500)
        finally:
            process.kill()
            process.communicate()
    print(outage, out)  # noqa: T201 - the figures, shown with -s
    assert outage["spooled"] >= OUTAGE_ROWS
    assert outage["growth"] < 20_000_000
    assert json.loads(out)["after"] < 20_000_000
    assert process.returncode == 0
