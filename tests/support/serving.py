"""Run a web server on the application of `tests/scripts/server_wsgi.py`, ask it, stop it, and check the rows."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from support.endpoint import Endpoint
from support.lifecycle import SCRIPTS, address_variables, assert_each_once, messages
from support.pipelines import LIMIT_SECONDS

# How long a stop may take: much less than the close_seconds of the application, which nothing may use up.
STOP_SECONDS = 10
# Within this time, a row is on its way.
SOON_SECONDS = 5


class Server:
    """Talk to a server, and remember what it was asked."""

    def __init__(self, process: subprocess.Popen[str], endpoint: Endpoint, port: int) -> None:
        self.process = process
        self.endpoint = endpoint
        self.asked: list[str] = []
        self.longest_seconds = 0.0
        self.output = ""
        self._port = port

    def ask(self, path: str) -> int:
        """Make a request, and return the process that has answered it."""
        begun = time.monotonic()
        process = int(self.read(path))
        self.longest_seconds = max(self.longest_seconds, time.monotonic() - begun)
        self.asked.append(path)
        return process

    def read(self, path: str) -> str:
        """Return what it answers, without remembering the request."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=LIMIT_SECONDS) as answer:
            return answer.read().decode()

    def ask_often(self, number: int) -> set[int]:
        """Make this many requests, four at once, and return the processes that have answered them."""
        first = len(self.asked)
        paths = iter([f"/{n}" for n in range(first, first + number)])
        processes = set()

        def work() -> None:
            for path in paths:
                processes.add(self.ask(path))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT_SECONDS)
        assert len(self.asked) == first + number
        return processes

    def ask_until(self, number: int, others: Iterable[int] = ()) -> set[int]:
        """Make requests until this many processes other than `others` have answered, and return these.

        A process that has just been forked may miss the signal of a stop.
        """
        deadline = time.monotonic() + LIMIT_SECONDS
        found: set[int] = set()
        while len(found) < number:
            found |= self.ask_often(8).difference(others)
            assert time.monotonic() < deadline, found
        return found

    def stop(self, number: int = signal.SIGTERM) -> float:
        """Send a signal, and return how long it took until the server had ended."""
        begun = time.monotonic()
        self.process.send_signal(number)
        self.output, _ = self.process.communicate(timeout=LIMIT_SECONDS)
        return time.monotonic() - begun

    def check_rows(self, *, loaded: int | None = 1) -> None:
        """Check that each row of each request has arrived once; `loaded` is how often the application was loaded."""
        found = Counter(messages(self.endpoint.rows))
        assert loaded is None or found["loaded"] == loaded, found
        expected = Counter([f"{what} {path}" for path in self.asked for what in ("request", "answered")])
        wrong = {text: (found[text], n) for text, n in expected.items() if found[text] != n}
        assert not wrong, f"arrived and expected: {wrong}; {self.output}"
        if loaded is not None:
            assert_each_once(self.endpoint.rows)
        assert "logging_azmon:" not in self.output, self.output


@contextmanager
def serving(command: Sequence[str | Path], **variables: str) -> Iterator[Server]:
    """Run a server while the block runs; in its command, FD stands for the socket that it shall listen on."""
    with Endpoint() as endpoint, socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        process = subprocess.Popen(
            [str(word).replace("FD", str(listening.fileno())) for word in command],
            env=os.environ
            | address_variables(endpoint.url)
            | {"PYTHONPATH": str(SCRIPTS), "PYTHONWARNINGS": "ignore"}
            | variables,
            cwd=SCRIPTS,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[listening.fileno()],
            start_new_session=True,
            text=True,
        )
        try:
            yield Server(process, endpoint, listening.getsockname()[1])
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def python(*words: str) -> list[str]:
    """Return a command of this interpreter."""
    return [sys.executable, *words]
