"""Forks in C, as uWSGI makes them: none of Python's hooks runs, and the child delivers its own rows all the same."""

from __future__ import annotations

import os

import pytest

from support.endpoint import Endpoint
from support.lifecycle import assert_each_once, messages, run

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")

# What uWSGI makes in its processes: `worker` is the number of the worker, or 0 in the process that forks. There nothing
# is started. A thread that waits for the interpreter's lock during such a fork can leave it broken in the child. So
# `fork` keeps the interpreter's lock, as uWSGI does, and a lock is `held_for_ever` by a thread that has ended.
HELPERS = """
import ctypes, time, types
worker = 0
MASTER = 0
uwsgi = sys.modules["uwsgi"] = types.SimpleNamespace(
    has_threads=1, opt={}, worker_id=lambda: worker, mule_id=lambda: 0, i_am_the_spooler=lambda: None,
    masterpid=lambda: MASTER,
)
fork_in_c = ctypes.PyDLL(None).fork

def fork(act):
    global worker
    pid = fork_in_c()
    if pid == 0:
        worker = 1
        act()
        sys.exit(0)
    return pid

def join(*pids):
    for pid in pids:
        assert os.waitpid(pid, 0)[1] == 0, "a child failed"

def hold_for_ever(lock):
    thread = threading.Thread(target=lock.acquire)
    thread.start()
    thread.join()

def ledger_lock(handler):
    from logging_azmon.pipeline import lifecycle_of
    return lifecycle_of(handler.pipeline).ledger.lock
"""
# Memory that is not wiped at a fork, as on other platforms.
KEPT = """
import sys
platform, sys.platform = sys.platform, "another"
import logging_azmon._process.fork_mark
sys.platform = platform
"""
# Coverage does not know of the fork, and its data file is the parent's.
UNMEASURED = {"is_measured": False}


def fork_and_run(source, endpoint, early="", **options):
    return run(HELPERS + source, endpoint, early=early, **UNMEASURED, **options)


@pytest.mark.parametrize("early", ["", KEPT], ids=["wiped", "kept"])
def test_children_deliver_their_own_rows_and_leave_the_parents_to_it(early):
    """Each process numbers its rows itself."""
    source = """
handler = handle()
log.info('parent')
assert handler.flush()
log.info('waits in the parent')
join(*[fork(lambda: [log.info('child') for _ in range(5)]) for _ in range(3)])
log.info('parent again')
"""
    with Endpoint() as endpoint:
        assert fork_and_run(source, endpoint, early) == ""
        assert messages(endpoint.rows) == [*["child"] * 15, "parent", "parent again", "waits in the parent"]
        assert len({row["Instance"] for row in endpoint.rows}) == 4
        assert len({row["ProcessId"] for row in endpoint.rows}) == 4
        assert_each_once(endpoint.rows)


def test_a_child_takes_none_of_the_inherited_locks():
    """A thread that does not exist in the child may hold them."""
    source = """
from logging_azmon._azure import uploader
from logging_azmon._delivery import breaker
handler = handle()
log.info('parent')
assert handler.flush()
for lock in (ledger_lock(handler), breaker._breakers._lock, uploader.importing): hold_for_ever(lock)
join(fork(lambda: log.info('child')))
os._exit(0)
"""
    with Endpoint() as endpoint:
        assert fork_and_run(source, endpoint) == ""
        assert messages(endpoint.rows) == ["child", "parent"]


@pytest.mark.parametrize("early", ["", KEPT], ids=["wiped", "kept"])
@pytest.mark.parametrize("columns", ["default", {"Message": "message", "Instance": "instance", "Sequence": "sequence"}])
def test_a_child_is_recognized_if_no_record_names_its_process(columns, early):
    source = """
logging.logProcesses = False
handle()
log.info('parent')
join(fork(lambda: log.info('child')))
"""
    with Endpoint() as endpoint:
        assert fork_and_run(source, endpoint, early, columns=columns) == ""
        assert messages(endpoint.rows) == ["child", "parent"]
        assert len({row["Instance"] for row in endpoint.rows}) == 2


@pytest.mark.parametrize("early", ["", KEPT], ids=["wiped", "kept"])
def test_a_child_is_recognized_by_the_processor(early):
    source = """
from logging_azmon import AzureMonitorProcessor
processor = AzureMonitorProcessor(**OPTIONS)
processor(None, 'info', {'event': 'parent'})
join(fork(lambda: processor(None, 'info', {'event': 'child'})))
"""
    with Endpoint() as endpoint:
        assert fork_and_run(source, endpoint, early) == ""
        assert messages(endpoint.rows) == ["child", "parent"]
        assert len({row["Instance"] for row in endpoint.rows}) == 2


@pytest.mark.parametrize(
    "act",
    [
        "None",
        "handler.flush()",
        "handler.close()",
        "handler.stats()",
        "AzureMonitorHandler(**OPTIONS)",
        "(root.removeHandler(handler), globals().pop('handler'))",
    ],
    ids=["ends", "flushes", "closes", "counts", "makes another", "forgets"],
)
def test_a_child_that_logs_nothing_waits_for_nothing(act):
    """Neither for the parent's rows nor for its locks; a handler that is forgotten is closed by its finalizer."""
    source = f"""
from logging_azmon._delivery import breaker
handler = handle()
log.info('parent')
assert handler.flush()
log.info('waits in the parent')
def child():
    begun = time.monotonic()
    {act}
    assert time.monotonic() - begun < 5
for lock in (ledger_lock(handler), breaker._breakers._lock): hold_for_ever(lock)
begun = time.monotonic()
join(fork(child))
assert time.monotonic() - begun < 20
os._exit(0)
"""
    with Endpoint() as endpoint:
        assert fork_and_run(source, endpoint) == ""
        assert messages(endpoint.rows) == ["parent"]


def test_a_child_spools_as_an_owner_of_its_own(tmp_path):
    """It closes the parent's segment, and leaves its lock and its rows alone."""
    source = """
handler = handle()
log.info('parent')
join(fork(lambda: log.info('child')))
log.info('parent again')
"""
    with Endpoint() as endpoint:
        assert fork_and_run(source, endpoint, spool=str(tmp_path)) == ""
        assert messages(endpoint.rows) == ["child", "parent", "parent again"]
        assert_each_once(endpoint.rows)
        assert not list(tmp_path.glob("*.ndjson"))


def test_threads_of_a_child_that_log_at_once_restart_it_once():
    """uWSGI's workers may have several threads, and each could be the first to log."""
    source = """
handle()
log.info('parent')
def child():
    gate = threading.Barrier(8)
    def work():
        gate.wait(30)
        for _ in range(20): log.info('child')
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
join(fork(child))
"""
    with Endpoint() as endpoint:
        assert fork_and_run(source, endpoint) == ""
        assert messages(endpoint.rows).count("child") == 160
        assert_each_once(endpoint.rows)


def test_a_thread_of_the_child_with_a_dead_listeners_identifier_may_log():
    """The system reuses identifiers: a thread of the child may have that of the parent's listener, which delivers."""
    source = """
from logging_azmon._process import feedback
handle()
log.info('parent')
feedback.depths[threading.get_ident()] = 1
pid = fork(lambda: log.info('child'))
feedback.depths.clear()
join(pid)
"""
    with Endpoint() as endpoint:
        assert fork_and_run(source, endpoint) == ""
        assert messages(endpoint.rows) == ["child", "parent"]


def test_rows_from_before_the_fork_are_delivered_by_the_first_worker_that_logs():
    """uWSGI's master runs no Python code after the fork. A worker that is forked later delivers them no second time."""
    source = """
MASTER = os.getpid()
handle()
log.info('loaded')
log.info('loaded too')
assert threading.active_count() == 1
for text in ('first', 'second', 'third'): join(fork(lambda: log.info(text)))
os._exit(0)  # the master's exit handlers do not run
"""
    with Endpoint() as endpoint:
        assert fork_and_run(source, endpoint) == ""
        assert messages(endpoint.rows) == ["first", "loaded", "loaded too", "second", "third"]
        assert_each_once(endpoint.rows[:2] + endpoint.rows[-2:])
        assert len({row["Instance"] for row in endpoint.rows}) == 4


def test_without_a_master_rows_from_before_the_fork_are_delivered_where_they_were_logged():
    """The process that forks becomes the first worker."""
    source = """
handle()
log.info('loaded')
assert threading.active_count() == 1
join(fork(lambda: log.info('second')))
worker = 1
log.info('first')
"""
    with Endpoint() as endpoint:
        assert fork_and_run(source, endpoint) == ""
        assert messages(endpoint.rows) == ["first", "loaded", "second"]
        assert_each_once(endpoint.rows)
        assert len({row["Instance"] for row in endpoint.rows}) == 2


def test_without_threads_rows_are_delivered_at_the_exit_and_that_is_said_once():
    """An older uWSGI without --enable-threads: a thread would run only while a request does."""
    source = """
uwsgi.has_threads = 0
MASTER = os.getpid()
handler = handle()
log.info('loaded')
def child():
    for _ in range(3): log.info('request')
    assert threading.active_count() == 1
    assert handler.stats().delivered == 0
join(fork(child), fork(child))
os._exit(0)
"""
    with Endpoint() as endpoint:
        stderr = fork_and_run(source, endpoint)
        assert stderr.count("\n") == 1
        assert "set enable-threads = true" in stderr
        assert messages(endpoint.rows) == ["loaded", *["request"] * 6]
