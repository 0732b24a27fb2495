"""Killed processes: every row whose log call has returned is delivered, by this process or the next."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from logging_azmon import AzureMonitorHandler
from logging_azmon._pipeline.bulk import Bulk
from logging_azmon.pipeline import lifecycle_of
from support.endpoint import STORED, Endpoint, status

SCRIPTS = Path(__file__).parent.parent / "scripts"
KILLS = 30
BATCH_BYTES = 20_000
# A row's least length in JSON: {"Message":"0-0"}
MAX_ROWS_OF_A_BATCH = BATCH_BYTES // 18

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="sees by /proc when a process is gone")


class Workers:
    """Start processes that log as fast as they can."""

    def __init__(self, endpoint, directory):
        self.directory = directory
        self.server = subprocess.Popen(
            [sys.executable, SCRIPTS / "spool_workers.py", endpoint.url, directory],
            env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, name):
        """Start a process, and return its number as soon as it logs."""
        self.server.stdin.write(f"{name}\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())

    def kill(self, pid):
        """Kill a process, and wait until it is gone."""
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while Path(f"/proc/{pid}").exists():
            assert time.monotonic() < deadline
            threading.Event().wait(0.001)

    def returned(self, name):
        """Return the rows whose log call has returned; the last note may be torn."""
        notes = self.directory.joinpath(f"notes-{name}").read_bytes()
        return {f"{name}-{int(number)}" for number in notes.split(b"\n")[:-1]}


@pytest.fixture
def endpoint():
    with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def workers(endpoint, tmp_path):
    workers = Workers(endpoint, tmp_path)
    yield workers
    workers.server.communicate()


def finish(endpoint, spool):
    """Start one more process, which delivers the rows that are left."""
    endpoint.default = STORED
    handler = AzureMonitorHandler(
        endpoint.url, "dcr-1", "Custom-App_CL", columns={"Message": "message"}, spool=spool, report=lambda _: None
    )
    bulk = Bulk(lifecycle_of(handler.pipeline))
    bulk.make_all_due()
    deadline = time.monotonic() + 60
    while not bulk.drain(10):
        assert time.monotonic() < deadline, handler.stats()
    handler.close()
    assert list(spool.glob("*-*.ndjson")) == []
    # A torn row was being written when its process was killed, so its log call has not returned.
    assert set(handler.stats().dropped) <= {"torn"}


def test_thirty_consecutive_kills_lose_no_row(endpoint, workers, tmp_path):
    """The endpoint comes and goes, and each kill duplicates less than a batch of rows."""
    chance = random.Random(7)
    for number in range(KILLS):
        endpoint.default = STORED if chance.random() < 0.7 else status(503)
        pid = workers.start(number)
        threading.Event().wait(chance.uniform(0.0, 0.15))
        workers.kill(pid)
    finish(endpoint, tmp_path / "spool")
    arrived = Counter(row["Message"] for row in endpoint.rows)
    returned = set().union(*(workers.returned(number) for number in range(KILLS)))
    assert returned - set(arrived) == set()
    copies = arrived.total() - len(arrived)
    print(f"{len(returned):,} rows, {copies:,} copies, {KILLS} kills")  # noqa: T201 - the figure, shown with -s
    assert copies < KILLS * MAX_ROWS_OF_A_BATCH


def test_no_row_is_lost_when_two_of_four_processes_on_one_directory_are_killed(endpoint, workers, tmp_path):
    """The living processes deliver the rows of the killed ones, once, and none is stuck."""
    endpoint.default = status(503)
    pids = [workers.start(name) for name in range(4)]
    for pid in pids[:2]:
        workers.kill(pid)
    dead = workers.returned(0) | workers.returned(1)
    endpoint.default = STORED
    deadline = time.monotonic() + 30
    while not dead <= (arrived := Counter(row["Message"] for row in list(endpoint.rows))).keys():
        assert time.monotonic() < deadline, f"{len(dead - arrived.keys())} rows are stuck"
        endpoint.wait_for_requests(len(endpoint.requests) + 1, 30)
    for pid in pids[2:]:
        workers.kill(pid)
    # None of these rows was stored when the processes died, so a duplicate would mean that two processes sent it.
    assert {name for name in dead if arrived[name] > 1} == set()
    finish(endpoint, tmp_path / "spool")
    assert workers.returned(2) | workers.returned(3) <= {row["Message"] for row in endpoint.rows}
