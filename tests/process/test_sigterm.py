"""SIGTERM: after `exit_on_sigterm`, Python's exit handlers run, and no row is lost."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from logging_azmon import exit_on_sigterm
from support.endpoint import Endpoint, Hang, status
from support.lifecycle import SCRIPTS, Program, assert_each_once, environment, messages, run, running
from support.pipelines import LIMIT_SECONDS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM cannot be handled there")

# Only the first of these rows is sent at once. Nothing but the end of the process sends the others.
SET_UP = """
from logging_azmon import exit_on_sigterm

def idle():
    # A signal that arrives immediately before a wait does not end it.
    while True:
        threading.Event().wait(0.02)

assert exit_on_sigterm() is True
handle(batch_seconds=3600)
log.info('first')
assert root.handlers[0].flush()
atexit.register(lambda: log.info('exit handler'))
log.info('last')
"""


def terminate(program: Program) -> float:
    """Send SIGTERM once the program is ready, and return how long it took to end."""
    program.wait_until("ready")
    program.process.send_signal(signal.SIGTERM)
    return program.finish()


EVENT_LOOP = """
import asyncio
logging.getLogger('asyncio').setLevel('WARNING')
asyncio.run(asyncio.sleep(0))
async def main():
    try:
        say('ready')
        await asyncio.Event().wait()
    finally:
        log.info('finally')
asyncio.run(main())
"""

WAITING = {
    "idle": "try:\n    say('ready'); idle()\nfinally:\n    log.info('finally')",
    "busy": "try:\n    say('ready')\n    while True: pass\nfinally:\n    log.info('finally')",
    "in a second event loop": EVENT_LOOP,
}


@pytest.mark.parametrize("source", WAITING.values(), ids=WAITING)
def test_sigterm_runs_exit_handlers_and_finally_blocks_and_their_rows_arrive(source: str) -> None:
    """The wait status says that SIGTERM ended the process, as it would without us; nothing is printed."""
    with Endpoint() as endpoint, running(SET_UP + source, endpoint) as program:
        terminate(program)

        assert (program.process.returncode, program.stderr) == (-signal.SIGTERM, "")
        assert messages(endpoint.rows) == ["exit handler", "finally", "first", "last"]
        assert_each_once(endpoint.rows)


def test_exit_handlers_of_others_run_before_the_signal_ends_the_process() -> None:
    """Those that were registered before logging's own run after it, and stdout is written."""
    early = "import atexit\natexit.register(lambda: print('the very last'))\n"
    source = "from logging_azmon import exit_on_sigterm\nexit_on_sigterm()\nsay('ready')\nwhile True: pass"

    with running(source, early=early) as program:
        program.wait_until("ready")
        program.process.send_signal(signal.SIGTERM)
        stdout, stderr = program.process.communicate(timeout=LIMIT_SECONDS)

    assert (stdout, stderr) == ("the very last\n", "")
    assert program.process.returncode == -signal.SIGTERM


def test_a_thread_that_runs_on_does_not_delay_the_rows() -> None:
    """The interpreter waits for it before it runs exit handlers, so the rows are flushed before."""
    source = """
from logging_azmon import sigterm
sigterm.EXIT_SECONDS = 0.5
threading.Thread(target=threading.Event().wait).start()
say('ready')
idle()
"""
    with Endpoint() as endpoint, running(SET_UP + source, endpoint) as program:
        terminate(program)

        assert program.process.returncode == -signal.SIGTERM
        assert messages(endpoint.rows) == ["first", "last"]


def test_a_program_that_swallows_the_exit_ends_all_the_same() -> None:
    """Without us SIGTERM would have ended it; what it logs meanwhile arrives, too."""
    source = """
from logging_azmon import sigterm
sigterm.EXIT_SECONDS = 0.5
while True:
    try:
        say('ready')
        idle()
    except BaseException as error:
        log.info('swallowed %s', type(error).__name__)
"""
    with Endpoint() as endpoint, running(SET_UP + source, endpoint) as program:
        terminate(program)

        assert program.process.returncode == -signal.SIGTERM
        assert messages(endpoint.rows) == ["first", "last", "swallowed SystemExit"]


def test_a_second_sigterm_kills() -> None:
    """Here the rows cannot be delivered, and the first would wait for `close_seconds`."""
    with Endpoint(status(204)) as endpoint:
        endpoint.default = Hang("answer")
        with running(SET_UP + "say('ready')\nidle()", endpoint) as program:
            program.wait_until("ready")
            program.process.send_signal(signal.SIGTERM)
            endpoint.wait_for_hung(1)
            program.process.send_signal(signal.SIGTERM)
            assert program.finish() < LIMIT_SECONDS / 10
            assert program.process.returncode == -signal.SIGTERM
        endpoint.release()


def test_a_sigterm_that_arrives_twice_at_once_loses_no_row() -> None:
    """timeout(1) sends it to the process, and then to the group of the process."""

    def again(_):
        for _ in range(2):
            program.process.send_signal(signal.SIGTERM)
        return status(204)

    with Endpoint(status(204), again) as endpoint, running(SET_UP + "say('ready')\nidle()", endpoint) as program:
        terminate(program)

        assert program.process.returncode == -signal.SIGTERM
        assert messages(endpoint.rows) == ["exit handler", "first", "last"]


def test_a_sigterm_during_the_exit_does_not_cut_it_short() -> None:
    """Nothing is raised within an exit handler, and the wait status is the signal's."""
    source = """
def stop():
    say('ready')
    while signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL: pass
    log.info('stopped')
atexit.register(stop)
"""
    with Endpoint() as endpoint, running(SET_UP + source, endpoint) as program:
        terminate(program)

        assert (program.process.returncode, program.stderr) == (-signal.SIGTERM, "")
        assert messages(endpoint.rows) == ["exit handler", "first", "last", "stopped"]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_inherits_the_handler_and_ends_as_its_code_says() -> None:
    """The exit handlers of its parent do not run in a child of multiprocessing, and the parent goes on."""
    source = """
import multiprocessing
def child():
    log.info('child')
    say('ready')
    idle()
process = multiprocessing.get_context('fork').Process(target=child)
process.start()
sys.stdin.readline()
process.terminate()
process.join()
log.info('child ended by %d', process.exitcode)
"""
    with (
        Endpoint() as endpoint,
        running("import warnings; warnings.simplefilter('ignore')\n" + SET_UP + source, endpoint) as program,
    ):
        program.wait_until("ready")
        program.go_on()
        program.finish()

        assert (program.process.returncode, program.stderr) == (0, "")
        assert messages(endpoint.rows) == ["child", "child ended by -15", "exit handler", "first", "last"]
        assert_each_once(endpoint.rows)


def run_pool(endpoint: Endpoint, method: str, ending: str, directory: Path) -> None:
    """Run the pool; its workers are waiting in a task when it ends them."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", SCRIPTS / "sigterm_pool.py", method, ending],
        cwd=directory,
        env=environment(endpoint, {}),
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "-15 -15\n")


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_leaving_the_block_of_a_pool_loses_no_row_if_its_workers_exit_on_sigterm(method: str, tmp_path: Path) -> None:
    """`multiprocessing.Pool` ends its workers by SIGTERM; their exit codes say so as before."""
    with Endpoint() as endpoint:
        run_pool(endpoint, method, "handled", tmp_path)
        assert messages(endpoint.rows) == [f"{number} {what}" for number in range(6) for what in ("begins", "ends")]
        assert_each_once(endpoint.rows)


def test_without_exit_on_sigterm_the_workers_of_a_pool_lose_rows(tmp_path: Path) -> None:
    """So the initializer is needed, as docs/delivery.md says."""
    with Endpoint() as endpoint:
        run_pool(endpoint, "fork", "unhandled", tmp_path)
        assert not {"4 ends", "5 ends"} & set(messages(endpoint.rows))


@pytest.fixture
def restored():
    """Restore the handler of SIGTERM."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda *_: None], ids=["ignored", "handled"])
def test_a_handler_that_is_there_is_left_alone(restored, handler) -> None:
    """The application has decided what SIGTERM does; to ignore it is a decision, too."""
    signal.signal(signal.SIGTERM, handler)

    assert exit_on_sigterm() is True
    assert signal.getsignal(signal.SIGTERM) is handler


def test_calling_it_twice_changes_nothing(restored) -> None:
    """A library and an application may both call it."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

    assert exit_on_sigterm() is True
    handler = signal.getsignal(signal.SIGTERM)
    assert exit_on_sigterm() is True
    assert signal.getsignal(signal.SIGTERM) is handler


def test_on_another_thread_it_says_what_to_do_and_raises_nothing(restored, capfd) -> None:
    """Python handles signals on the main thread only; if something handles SIGTERM, nothing is to be done."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    answers = []

    def call():
        thread = threading.Thread(target=lambda: answers.append(exit_on_sigterm()), name="worker")
        thread.start()
        thread.join(LIMIT_SECONDS)

    call()
    assert exit_on_sigterm() is True
    call()

    assert answers == [False, True]
    assert capfd.readouterr().err == (
        "logging_azmon: exit_on_sigterm() has no effect on the thread 'worker': Python handles signals on the main"
        " thread; call it there\n"
    )


class Server:
    """Stand in for uvicorn's."""

    def __init__(self, **attributes):
        vars(self).update(attributes)

    def handle_exit(self, signum, frame):
        pass


Server.__module__ = "uvicorn.server"


def test_inside_uvicorn_it_handles_sigterm_once_the_server_gives_it_back(restored) -> None:
    """uvicorn restores the default, then looks at the signals that it has captured, and raises them again."""
    server = Server(_captured_signals=[signal.SIGINT])
    signal.signal(signal.SIGTERM, server.handle_exit)

    assert [exit_on_sigterm(), exit_on_sigterm()] == [True, True]
    assert signal.getsignal(signal.SIGTERM) == server.handle_exit
    vars(server)["_captured_signals"].append(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

    assert list(reversed(vars(server)["_captured_signals"])) == [signal.SIGTERM, signal.SIGINT]
    assert signal.getsignal(signal.SIGTERM) not in (signal.SIG_DFL, server.handle_exit)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_it_holds_in_a_forked_server_that_has_reset_the_signals() -> None:
    """gunicorn loads the application before it forks, with --preload, and its uvicorn workers reset SIGTERM."""
    source = """
class Server:
    __module__ = 'uvicorn.server'
    _captured_signals = None
    handle_exit = lambda self, signum, frame: self._captured_signals.append(signum)

pid = os.fork()
if pid == 0:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    server = Server()
    server._captured_signals = []
    signal.signal(signal.SIGTERM, server.handle_exit)
    log.info('first of the child')
    root.handlers[0].flush()
    log.info('last of the child')
    signal.raise_signal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for signum in reversed(server._captured_signals):
        signal.raise_signal(signum)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM
"""
    with Endpoint() as endpoint:
        assert run("import warnings; warnings.simplefilter('ignore')\n" + SET_UP + source, endpoint) == ""
        assert messages(endpoint.rows) == [
            *("exit handler", "exit handler", "first", "first of the child", "last", "last of the child")
        ]


def test_inside_a_uvicorn_that_it_does_not_know_it_says_what_to_call(restored, capfd) -> None:
    """The attribute that this needs is not public, so another version may lack it."""
    server = Server()
    signal.signal(signal.SIGTERM, server.handle_exit)

    assert [exit_on_sigterm(), exit_on_sigterm()] == [False, False]
    assert signal.getsignal(signal.SIGTERM) == server.handle_exit
    assert capfd.readouterr().err.count("call it before uvicorn.run(), or flush at the end of the lifespan") == 1
