"""Forks: a child delivers its own rows on its own threads and connections, and the parent notices nothing."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from support.endpoint import Endpoint, Held, status
from support.lifecycle import LIMIT_SECONDS, SCRIPTS, assert_each_once, environment, messages, run, running

pytestmark = pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="this platform has no fork")

# From 3.12 on, forking a process with threads is frowned upon; that is what happens here.
HELPERS = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)

def fork(act):
    pid = os.fork()
    if pid == 0:
        act()
        sys.exit(0)
    return pid

def join(*pids):
    for pid in pids:
        assert os.waitpid(pid, 0)[1] == 0, "a child failed"
"""


# With threads running at the fork, coverage's own lock may be held, and the child would wait for it for ever.
UNMEASURED = {"is_measured": False}


def fork_and_run(source: str, endpoint: Endpoint, **options: Any) -> str:
    return run(HELPERS + source, endpoint, **options)


def test_a_fork_during_dictconfig_on_another_thread_does_not_deadlock() -> None:
    """Both take logging's lock before a pipeline's."""
    source = """
configuration = {
    'version': 1, 'disable_existing_loggers': False, 'root': {'handlers': ['a']},
    'handlers': {'a': {'class': 'logging_azmon.AzureMonitorHandler', 'endpoint': url, 'rule_id': 'dcr-1',
                       'stream': 'Custom-A'}},
}
stop = threading.Event()
begun = threading.Event()
def configure():
    while not stop.is_set():
        logging.config.dictConfig(configuration)
        begun.set()
thread = threading.Thread(target=configure, daemon=True)
thread.start()
begun.wait(10)
for _ in range(60):
    pid = os.fork()
    if pid == 0: os._exit(0)
    os.waitpid(pid, 0)
stop.set()
thread.join(10)
assert not thread.is_alive()
"""
    with Endpoint() as endpoint:
        fork_and_run("import logging.config\n" + source.replace("url,", f"{endpoint.url!r},"), endpoint, **UNMEASURED)


def test_parent_and_child_each_deliver_their_own_rows() -> None:
    """With rows queued, an upload in flight and other threads logging at the fork, every row arrives exactly once."""
    source = """
handle()
log.info('in flight')
wait()
log.info('queued')
stop = threading.Event()
def work():
    number = 0
    while not stop.wait(0.001):
        log.info('thread')
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads: thread.start()
pids = [fork(lambda: log.info('child')) for _ in range(4)]
log.info('parent')
say('forked')
join(*pids)
stop.set()
"""
    held = Held()
    with Endpoint(held) as endpoint, running(HELPERS + source, endpoint, **UNMEASURED) as program:
        program.wait_until("waiting")
        assert held.arrived.wait(LIMIT_SECONDS)
        program.go_on()
        program.wait_until("forked")
        held.go()
        program.finish()
        assert program.process.returncode == 0, program.stderr
        assert program.stderr == ""
        counts = Counter(messages(endpoint.rows))
        assert counts.pop("thread") > 0
        assert counts == {"in flight": 1, "queued": 1, "parent": 1, "child": 4}
        assert len({row["Instance"] for row in endpoint.rows}) == 5
        assert_each_once(endpoint.rows)


@pytest.mark.parametrize("module", ["azure.monitor.ingestion", "azure.core.pipeline.policies", "requests", "isal"])
def test_a_fork_waits_for_an_import_of_the_sdk_to_end(module: str) -> None:
    """Otherwise the child could never finish the import, and so never upload."""
    source = f"""
class Gate:
    reached, opened = threading.Event(), threading.Event()
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            self.reached.set()
            # The gate is closed until the main thread is in os.fork, or has forked if that did not wait.
            assert self.opened.wait(30)
sys.meta_path.insert(0, Gate())
os.register_at_fork(before=lambda: threading.Timer(0.2, Gate.opened.set).start())
handle()
log.info('parent')
assert Gate.reached.wait(30)
def child():
    log.info('child')
    assert root.handlers[0].flush()
join(fork(child))
"""
    with Endpoint() as endpoint:
        assert fork_and_run(source, endpoint, **UNMEASURED) == ""
        assert messages(endpoint.rows) == ["child", "parent"]
        assert_each_once(endpoint.rows)


def test_children_forked_while_threads_log_do_not_hang_in_a_lock() -> None:
    """Ten children are forked while other threads are in log calls."""
    source = """
handle()
# Coverage takes a lock of its own when code first runs, so that happens before there are threads.
log.info('warm')
assert root.handlers[0].flush()
stop = threading.Event()
def work():
    while not stop.is_set():
        log.info('thread')
        if root.handlers[0].stats().queued > 2000: root.handlers[0].flush()
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads: thread.start()
def child():
    for _ in range(5): log.info('child')
    os._exit(0 if root.handlers[0].flush() else 1)
pids = [fork(child) for _ in range(10)]
stop.set()
join(*pids)
"""
    with Endpoint() as endpoint:
        assert fork_and_run(source, endpoint, **UNMEASURED) == ""
        assert messages(endpoint.rows).count("child") == 50
        assert_each_once(endpoint.rows)


def test_two_threads_may_fork_at_the_same_time() -> None:
    """Each fork releases the locks that it took, and no others."""
    source = """
handle()
def work():
    for _ in range(10): join(fork(lambda: os._exit(0)))
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join(20)
log.info('done')
"""
    with Endpoint() as endpoint:
        assert fork_and_run(source, endpoint, **UNMEASURED) == ""
        assert messages(endpoint.rows) == ["done"]


def test_a_forked_child_starts_with_an_empty_ledger_and_no_thread() -> None:
    """Nothing of the parent's is counted; the first row of the child starts a listener of its own."""
    source = """
handler = handle()
log.info('parent')
assert handler.flush()
def child():
    assert handler.stats().accepted == 0
    assert threading.active_count() == 1
    log.info('child')
    assert threading.active_count() <= 3
    join(fork(lambda: log.info('grandchild')))
join(fork(child))
assert handler.stats().accepted == 1
log.info('parent again')
"""
    with Endpoint() as endpoint:
        assert fork_and_run(source, endpoint) == ""
        assert messages(endpoint.rows) == ["child", "grandchild", "parent", "parent again"]
        assert [row["Sequence"] for row in endpoint.rows if row["Message"] == "child"] == [0]
        assert_each_once(endpoint.rows)


def test_a_handler_closed_before_the_fork_stays_closed_in_the_child() -> None:
    """It takes no rows in the child."""
    source = """
handler = handle()
log.info('parent')
handler.close()
def child():
    log.info('child')
    assert handler.stats().dropped == {'after_close': 1}
join(fork(child))
"""
    with Endpoint() as endpoint:
        assert "1 row logged after close dropped: after_close" in fork_and_run(source, endpoint)
        assert messages(endpoint.rows) == ["parent"]


def test_a_child_forked_by_a_delivering_thread_may_log() -> None:
    """A `report` may start a process: in the child the thread is not a listener, so its rows are the application's."""
    source = """
import multiprocessing
done = threading.Event()
def child():
    log.info('child')
def report(trouble):
    if trouble.kind == 'recovered': return
    process = multiprocessing.get_context('fork').Process(target=child)
    process.start()
    process.join()
    done.set()
handler = handle(report=report)
log.info('parent')
assert done.wait(30)
"""
    with Endpoint(status(503)) as endpoint:
        assert fork_and_run(source, endpoint) == ""
        assert messages(endpoint.rows) == ["child", "parent"]
        assert_each_once(endpoint.rows)


def test_a_fork_during_a_log_call_leaves_the_row_to_the_parent() -> None:
    """The child goes on logging."""
    source = """
class Forks:
    def __str__(self):
        global pid
        pid = os.fork()
        return 'in the middle'
handle()
pid = None
log.info('%s', Forks())
log.info('child' if pid == 0 else 'parent')
if pid: join(pid)
"""
    with Endpoint() as endpoint:
        assert fork_and_run(source, endpoint) == ""
        texts = messages(endpoint.rows)
        assert "child" in texts
        assert "parent" in texts


@pytest.mark.parametrize("worker", ["sync", "gthread"])
def test_gunicorn_with_preload_delivers_rows_of_master_and_workers(worker: str) -> None:
    """The master logs before it forks, so its listener runs; all its rows and all rows of the workers arrive."""
    with Endpoint() as endpoint, socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        command = [sys.executable, "-m", "gunicorn", "--preload", "--workers=2", f"--worker-class={worker}"]
        process = subprocess.Popen(
            [*command, "--threads=2", f"--bind=fd://{server.fileno()}", "lifecycle_wsgi:application"],
            cwd=SCRIPTS,
            env=environment(endpoint, {}),
            pass_fds=[server.fileno()],
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            for number in range(10):
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/{number}", timeout=LIMIT_SECONDS) as answer:
                    assert answer.read() == b"logged"
            process.send_signal(signal.SIGTERM)
            _, stderr = process.communicate(timeout=LIMIT_SECONDS)
        finally:
            process.kill()
            process.communicate()
        assert process.returncode == 0, stderr
        assert "logging_azmon" not in stderr
        expected = [f"request /{number}{more}" for number in range(10) for more in ("", " answered")] + ["preloaded"]
        texts = messages(endpoint.rows)
        assert [text for text in texts if text.startswith(("request", "preloaded"))] == sorted(expected)
        assert_each_once(endpoint.rows)


def test_celery_prefork_workers_deliver_their_last_rows(tmp_path: Path) -> None:
    """A worker of the pool ends by os._exit, without finalizers."""
    with Endpoint(status(503)) as endpoint:
        env = environment(endpoint, {}) | {"BROKER": str(tmp_path)}
        celery = [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "celery", "-A", "lifecycle_celery"]
        subprocess.run(
            [sys.executable, "-c", "import lifecycle_celery as app; [app.work.delay(n) for n in range(6)]"],
            cwd=SCRIPTS,
            env=env,
            timeout=LIMIT_SECONDS,
            check=True,
        )
        process = subprocess.Popen(
            [*celery, "worker", "--pool=prefork", "--concurrency=2", "--loglevel=INFO", "--without-gossip"],
            cwd=SCRIPTS,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            done = 0
            for line in process.stdout:
                done += line.strip() == "done"
                if done == 6:
                    break
            process.send_signal(signal.SIGTERM)
            _, stderr = process.communicate(timeout=LIMIT_SECONDS)
        finally:
            process.kill()
            process.communicate()
        assert process.returncode == 0, stderr
        texts = messages(endpoint.rows)
        expected = [f"task {number} {step}" for number in range(6) for step in ("begins", "prints", "ends")]
        assert [text for text in texts if text.startswith("task ")] == sorted(expected)
        assert not [row for row in endpoint.rows if "logging_azmon" in row["Message"]]
        assert "status 503" in stderr or "503" in stderr
        assert_each_once(endpoint.rows)


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_children_of_multiprocessing_deliver_all_their_rows(method: str) -> None:
    """So do grandchildren, and threads that outlive the child's function."""
    with Endpoint() as endpoint:
        done = subprocess.run(
            [sys.executable, "-W", "ignore::DeprecationWarning", SCRIPTS / "lifecycle_children.py", method],
            env=environment(endpoint, {}),
            stderr=subprocess.PIPE,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        texts = [text.removeprefix(f"{method} ") for text in messages(endpoint.rows) if text.startswith(method)]
        assert texts == ["child", "grandchild", "parent after", "parent before", "pool", "thread"]
        assert_each_once(endpoint.rows)


@pytest.mark.parametrize("module", ["multiprocessing", "billiard"])
def test_a_child_of_a_process_module_delivers_its_last_rows(module: str) -> None:
    """The child runs finalizers, but no atexit callbacks; billiard is Celery's fork of multiprocessing."""
    source = f"""
import {module} as module
handle(batch_seconds=3600)
def child():
    log.info('first')
    assert root.handlers[0].flush()
    log.info('last')
process = module.get_context('fork').Process(target=child)
process.start()
process.join(20)
assert process.exitcode == 0
"""
    with Endpoint() as endpoint:
        assert fork_and_run(source, endpoint) == ""
        assert [text for text in messages(endpoint.rows) if text in {"first", "last"}] == ["first", "last"]
        assert_each_once(endpoint.rows)


def test_a_child_that_clears_the_exit_handlers_and_runs_those_of_its_own_delivers_its_last_rows() -> None:
    """Airflow runs each task in such a child."""
    source = """
handle(batch_seconds=3600)
pid = os.fork()
if pid == 0:
    atexit._clear()
    log.info('first')
    root.handlers[0].flush()
    atexit.register(lambda: log.info('exit handler'))
    log.info('last')
    atexit._run_exitfuncs()
    os._exit(0)
join(pid)
"""
    with Endpoint() as endpoint:
        assert fork_and_run(source, endpoint) == ""
        assert messages(endpoint.rows) == ["exit handler", "first", "last"]
        assert_each_once(endpoint.rows)


def test_the_exit_handlers_of_a_forked_child_run_in_their_usual_order() -> None:
    """Those that were inherited and not cleared may log until the end."""
    source = """
handle(batch_seconds=3600)
atexit.register(lambda: log.info('exit handler of %s', 'the child' if pid == 0 else 'the parent'))
pid = os.fork()
if pid:
    join(pid)
else:
    log.info('child')
"""
    with Endpoint() as endpoint:
        assert fork_and_run(source, endpoint) == ""
        assert messages(endpoint.rows) == ["child", "exit handler of the child", "exit handler of the parent"]
        assert_each_once(endpoint.rows)


def test_a_child_of_multiprocessing_reports_what_it_lost() -> None:
    """A child that cannot deliver ends in time and reports it."""
    source = """
import multiprocessing
import requests, isal.igzip, azure.monitor.ingestion, azure.core.pipeline.transport._requests_basic
handle(close_seconds=2)
def child():
    log.info('child')
process = multiprocessing.get_context('fork').Process(target=child)
process.start()
process.join(20)
assert process.exitcode == 0
"""
    stderr = run(HELPERS + source)
    assert "1 row lost: not delivered within close_seconds=2" in stderr
