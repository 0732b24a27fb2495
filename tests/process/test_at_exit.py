"""The exit of a process: rows logged before it arrive, or are counted and reported, in time."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from support.endpoint import Endpoint, Hang, status
from support.lifecycle import assert_each_once, messages, run, running

# Beyond close_seconds: the interpreter's own end, on a machine with other things to do.
MARGIN_SECONDS = 2.5

# Importing the SDK must not use up a short close_seconds.
IMPORTED = "import requests, isal.igzip, azure.monitor.ingestion, azure.core.pipeline.transport._requests_basic\n"

ENDINGS = {
    "end of script": ("", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "unhandled exception": ("raise ValueError('the end')", 1),
    "SIGTERM": ("signal.signal(signal.SIGTERM, lambda *_: sys.exit(4)); os.kill(os.getpid(), signal.SIGTERM)", 4),
    "a thread that goes on": (
        """
def go_on():
    threading.main_thread().join()
    log.info('0')
threading.Thread(target=go_on).start()
""",
        0,
    ),
    "logging.shutdown": ("logging.shutdown()", 0),
    "no stderr": ("sys.stderr.close(); sys.__stderr__ = None", 0),
    "descriptor 2 closed": ("os.close(2)", 0),
    "dictConfig at exit": (
        "import logging.config; atexit.register(lambda: (log.info('0'), logging.config.dictConfig({'version': 1})))",
        0,
    ),
    "a handler that fails": (
        "class Bad(logging.Handler):\n    flush = lambda self: 1 / 0\nbad = Bad()",
        0,
    ),
}


@pytest.mark.parametrize(("ending", "code"), ENDINGS.values(), ids=ENDINGS)
def test_rows_logged_before_the_process_ends_are_delivered(ending: str, code: int) -> None:
    """Normal end, sys.exit and an unhandled exception: the rows arrive, and nothing is reported."""
    with Endpoint() as endpoint:
        stderr = run("handle()\nlog.info('1')\nlog.info('2')\n" + ending, endpoint, code=code)
        assert [m for m in messages(endpoint.rows) if m != "0"] == ["1", "2"]
        assert_each_once(endpoint.rows)
        assert "logging_azmon:" not in stderr


def test_rows_of_atexit_callbacks_are_delivered_or_reported() -> None:
    """Rows of callbacks that run before logging's own are delivered; those of later ones are counted and reported."""
    source = """
atexit.register(lambda: log.info('first to run'))
handle()
log.info('main')
"""
    # A callback registered before logging's own runs after it.
    early = """
import atexit
atexit.register(lambda: [logging.getLogger('app').info('too late') for _ in range(12)])
import logging
atexit.register(lambda: logging.getLogger('app').info('after ours'))
"""
    with Endpoint() as endpoint:
        stderr = run(source, endpoint, early=early)
        assert messages(endpoint.rows) == ["after ours", "first to run", "main"]
        assert_each_once(endpoint.rows)
        assert "1 row logged after close dropped: after_close" in stderr
        assert "10 rows logged after close dropped: after_close" in stderr


def test_slow_atexit_callbacks_of_the_application_do_not_use_up_close_seconds() -> None:
    """Only the time spent waiting for delivery counts."""
    early = """
import atexit, logging, threading
atexit.register(lambda: (threading.Event().wait(1.2), logging.getLogger('app').info('late')))
"""
    with Endpoint() as endpoint:
        stderr = run("handle(close_seconds=1)\nlog.info('main')\nroot.handlers[0].flush(9)", endpoint, early=early)
        assert messages(endpoint.rows) == ["late", "main"]
        assert stderr == ""


def test_a_daemon_thread_may_log_until_the_process_has_ended() -> None:
    """Rows accepted before close arrive without gaps, rows after it are reported, and the process ends normally."""
    source = """
handle()
begun, never = threading.Event(), threading.Event()
def work():
    while not never.wait(0.0005):
        log.info('row')
        begun.set()
threading.Thread(target=work, daemon=True).start()
begun.wait()
"""
    with Endpoint() as endpoint:
        run(source, endpoint)
        rows = [row for row in endpoint.rows if row["Logger"] == "app"]
        assert rows
        assert_each_once(rows)


def test_a_hanging_server_delays_the_exit_by_close_seconds_at_most() -> None:
    """The process ends in time, and says how many rows were lost and how many may have arrived."""
    source = """
handle()
for _ in range(3): log.info('on the way')
wait()
for _ in range(4): log.info('waiting')
say('end')
"""
    with Endpoint() as endpoint:
        endpoint.default = Hang("answer")
        with running(source, endpoint, close_seconds=1) as program:
            program.wait_until("waiting")
            endpoint.wait_for_hung(1)
            program.go_on()
            program.wait_until("end")
            assert 0.8 < program.finish() < 1 + MARGIN_SECONDS
            assert program.process.returncode == 0
            assert "4 rows lost: not delivered within close_seconds=1" in program.stderr
            assert "3 rows still on the way when the pipeline was closed" in program.stderr
        endpoint.release()


def test_the_loss_is_reported_with_the_number_of_rows_if_the_endpoint_refuses_connections() -> None:
    """The port is closed: the process ends in time and reports the loss."""
    source = IMPORTED + "handle()\nfor _ in range(5): log.info('row')\nsay('end')"
    # Long enough for the first try to end, even on a busy machine.
    with running(source, None, close_seconds=2) as program:
        program.wait_until("end")
        assert program.finish() < 2 + MARGIN_SECONDS
        assert program.process.returncode == 0
        assert "5 rows lost: not delivered within close_seconds=2" in program.stderr


def test_rows_logged_only_at_exit_are_delivered_without_starting_a_thread() -> None:
    """No listener ever ran, so the rows are delivered on the calling thread."""
    early = """
import atexit, logging
def last():
    assert started == [], started
    assert [thread.name for thread in threading.enumerate()] == ['MainThread'], threading.enumerate()
    print('looked', file=sys.stderr)
atexit.register(last)
atexit.register(lambda: logging.getLogger('app').info('once more'))
"""
    source = """
import _thread
handle()
def watch():
    globals()['started'] = started = []
    def note(*args, **kwargs): started.append(args)
    _thread.start_new_thread = threading._start_new_thread = threading.Thread.start = note
    log.info('from atexit')
atexit.register(watch)
"""
    with Endpoint() as endpoint:
        stderr = run(source, endpoint, early=early)
        assert messages(endpoint.rows) == ["from atexit", "once more"]
        assert stderr == "looked\n"


def test_delivery_on_the_exiting_thread_is_bounded_by_close_seconds() -> None:
    """That holds also if the server accepts the connection and never answers."""
    source = IMPORTED + "handle()\natexit.register(lambda: (log.info('from atexit'), say('end')))"
    with Endpoint() as endpoint:
        endpoint.default = Hang("answer")
        with running(source, endpoint, close_seconds=1) as program:
            program.wait_until("end")
            assert program.finish() < 1 + MARGIN_SECONDS
            assert "1 row lost: not delivered within close_seconds=1" in program.stderr
        endpoint.release()


@pytest.mark.parametrize("order", [("hangs", "works"), ("works", "hangs")], ids=" ".join)
@pytest.mark.parametrize("when", ["while running", "from atexit"])
def test_a_hanging_pipeline_does_not_cost_another_pipeline_its_rows_at_exit(order: tuple[str, str], when: str) -> None:
    """Of two servers one hangs: the other gets all rows, and the exit takes one close_seconds, not two."""
    source = f"""
handlers = {{name: AzureMonitorHandler(OPTIONS[name], close_seconds=1.5) for name in {order}}}
def log_rows():
    for name, handler in handlers.items():
        logging.getLogger(name).addHandler(handler)
        for _ in range(3): logging.getLogger(name).info(name)
    say('end')
if {when == "from atexit"}:
    atexit.register(log_rows)
else:
    log_rows()
"""
    with Endpoint() as hangs, Endpoint() as works:
        hangs.default = Hang("answer")
        with running(IMPORTED + source, None, hangs=hangs.url, works=works.url) as program:
            program.wait_until("end")
            assert program.finish() < 1.5 + MARGIN_SECONDS
            assert program.process.returncode == 0
            assert messages(works.rows) == ["works"] * 3
            assert "3 rows" in program.stderr
        hangs.release()


def test_a_hanging_upload_does_not_cost_the_other_batches_their_rows_at_exit() -> None:
    """No further listener can be started: while one hangs, the exiting thread delivers."""
    source = """
handle()
log.info('on the way')
wait()
log.info('waiting')
"""
    with Endpoint(Hang("answer")) as endpoint:
        with running(IMPORTED + source, endpoint, close_seconds=1.5) as program:
            program.wait_until("waiting")
            endpoint.wait_for_hung(1)
            program.go_on()
            program.finish()
            assert messages(endpoint.rows) == ["waiting"]
            assert "1 row still on the way" in program.stderr
            assert "lost" not in program.stderr
        endpoint.release()


OWNERS = {
    "a pipeline without handlers": """
pipeline = Pipeline(**OPTIONS)
root.addHandler(AzureMonitorHandler(pipeline=pipeline))
log.info('row')
root.handlers.pop().close()
assert pipeline.stats().accepted == 1
log.info('too late')
""",
    "a handler that was dropped": """
handle()
log.info('row')
root.handlers.clear()
""",
    "a pipeline that was dropped": """
root.addHandler(AzureMonitorHandler(pipeline=Pipeline(**OPTIONS)))
log.info('row')
root.handlers.clear()
""",
}


@pytest.mark.parametrize("source", OWNERS.values(), ids=OWNERS)
def test_rows_of_a_pipeline_without_an_owner_are_delivered_at_exit(source: str) -> None:
    """Rows arrive although nothing closes the pipeline."""
    with Endpoint() as endpoint:
        assert run(source, endpoint) == ""
        assert messages(endpoint.rows) == ["row"]


@pytest.mark.parametrize("source", OWNERS.values(), ids=OWNERS)
def test_lost_rows_of_a_pipeline_without_an_owner_are_reported_at_exit(source: str) -> None:
    """The loss is reported although nothing closes the pipeline."""
    with Endpoint() as endpoint:
        # No request is in flight at the end.
        endpoint.default = status(503, retry_after=300)
        stderr = run(IMPORTED + source, endpoint, close_seconds=1)
        assert "1 row lost: not delivered within close_seconds=1" in stderr


def test_rows_dropped_earlier_are_reported_at_exit_if_no_notice_was_delivered() -> None:
    """Here the process ends before a notice of the overflow could be delivered."""
    source = "handle(batch_bytes=4096, queue_bytes=8192)\nfor _ in range(100): log.info('x' * 200)"
    with Endpoint() as endpoint:
        endpoint.default = status(503)
        stderr = run(IMPORTED + source, endpoint, close_seconds=0.3)
        assert "dropped: queue_full" in stderr
        assert "lost: not delivered" in stderr


CALL_LAST = """
from functools import partial
from logging_azmon._process import at_exit
"""


def output(source: str, early: str = "") -> str:
    with running(CALL_LAST + source, early=early) as program:
        stdout, stderr = program.process.communicate(timeout=60)
        assert (program.process.returncode, stderr) == (0, "")
        return stdout


def test_a_function_can_be_called_after_all_exit_handlers() -> None:
    """Also after those that were registered first; only the first function is called."""
    early = "import atexit\natexit.register(lambda: print('handler'))\n"
    source = """
for word in (b'last\\n', b'never\\n'):
    at_exit.call_last(partial(os.write, 1, word))
"""
    assert output(source, early) == "handler\nlast\n"


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="this platform has no fork")
def test_a_child_of_multiprocessing_calls_the_function_after_its_finalizers_and_its_output() -> None:
    """It ends by `os._exit`, without destroying its modules."""
    source = """
import multiprocessing
from multiprocessing import util
def child():
    at_exit.call_last(partial(os.write, 1, b'last\\n'))
    util.Finalize(None, print, args=('finalizer',), exitpriority=-100)
    print('child')
process = multiprocessing.get_context('fork').Process(target=child)
process.start()
process.join()
"""
    assert output(source) == "child\nfinalizer\nlast\n"


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="this platform has no fork")
def test_a_forked_child_does_not_call_the_function_of_its_parent() -> None:
    """It would end by the signal that was its parent's."""
    source = """
at_exit.call_last(partial(os.write, 1, b'last\\n'))
pid = os.fork()
if pid:
    os.waitpid(pid, 0)
"""
    assert output(source) == "last\n"


def test_the_exit_after_a_last_log_call_does_not_wait_for_a_credential_that_hangs() -> None:
    """The main thread has ended before a listener exists, and nothing could stop it while it gets a token itself."""
    source = """
import logging, threading, time
from logging_azmon import AzureMonitorHandler

class Hanging:
    def get_token(self, *scopes, **options):
        threading.Event().wait(60)

handler = AzureMonitorHandler('https://127.0.0.1:9', 'dcr-1', 'Custom-App', Hanging(), close_seconds=1)
logging.getLogger('app').addHandler(handler)
logging.getLogger('app').error('the last act')
"""
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=50, check=True)

    assert time.monotonic() - begun < 30
    assert "1 row" in done.stderr
    assert "close" in done.stderr
