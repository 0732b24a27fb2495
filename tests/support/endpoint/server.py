"""The endpoint itself: accept connections, play the script, keep what was stored.

Rules:

- One thread accepts, and each connection has a thread that speaks HTTP/1.1. All are daemons and end with `stop()`.
- `_lock` guards everything an `Endpoint` holds. No thread sends, joins or calls back while it holds the lock.
- A request takes the next script entry in the same step that lists it, so the nth request gets the nth answer.
  Only a fault due earlier (connect, headers, body) is taken earlier, and then no request is listed for it.
- A fault acts at its point or, if that point has passed (a reused connection, a callable's choice), at the next one.
- Rows are stored before the first byte of the answer is sent: a client that has read a 204 finds its rows.
- A callable that raises closes its connection, and the next wait or `stop()` raises its error. Nothing is printed.
- Input that is not HTTP, or does not decompress, is answered 400; it takes no script entry and is not listed.
"""

import gzip
import socket
import ssl
import struct
import threading
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self, TypeVar

from . import answers
from .answers import POINTS, STORED, Answer, Fault, Hang, Held, Point, Reset, Script, Status, status, wait_for
from .connection import Connection
from .request import Request

T = TypeVar("T")


class Endpoint:
    """Listen on 127.0.0.1 as an ingestion endpoint does, and answer as scripted."""

    def __init__(self, *script: Script, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        """Take the script; `start` or the context manager opens the port, for https if `tls` is given."""
        # Set by the first start(), and unchanged from then on.
        self.url = ""
        self.default: Script = STORED
        self.requests: list[Request] = []
        self.rows: list[dict[str, Any]] = []
        # Total length of the stored bodies, decompressed.
        self.stored_bytes = 0
        self.connections = 0
        self._lock = threading.Condition()
        self._port = port
        self._tls = tls
        self._script = deque(script)
        self._errors: list[Exception] = []
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._open: dict[threading.Thread, Connection] = {}
        self._hung: list[Connection] = []
        self._held: list[Held] = []

    def start(self) -> Self:
        """Listen, unless it already does."""
        with self._lock:
            if self._acceptor is None:
                listener = self._bind()
                listener.listen(128)
                self._acceptor = threading.Thread(target=self._accept, args=(listener,), daemon=True)
                self._acceptor.start()
        return self

    __enter__ = listen_again = start

    def refuse(self) -> None:
        """Close all open connections, and refuse new ones until `listen_again`."""
        self._close(keep_port=True)

    def stop(self) -> None:
        """Close every connection, end every thread, and raise the script's error if there is one."""
        threads = self._close()
        with self._lock:
            for held in self._held:
                held.go()
        for thread in threads - {threading.current_thread()}:
            thread.join(answers.HOLD_SECONDS)
        with self._lock:
            self._raise_error()

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def play(self, *script: Script) -> None:
        """Append to the script; each request takes one entry, and `default` serves when none is left."""
        with self._lock:
            self._script.extend(script)

    def release(self, n: int = 1, timeout: float = 10) -> None:
        """Wait until at least n connections hang, then let every hanging one go on with a 204."""
        with self._lock:
            for connection in self._wait(self._hung, n, timeout, "hanging connections"):
                connection.released.set()
            self._hung.clear()

    def wait_for_hung(self, n: int, timeout: float = 10) -> None:
        """Wait until at least n connections hang."""
        self._wait(self._hung, n, timeout, "hanging connections")

    def wait_for_requests(self, n: int, timeout: float = 10) -> list[Request]:
        """Wait until at least n requests were read to their end, and return all of those."""
        return self._wait(self.requests, n, timeout, "requests")

    def wait_for_rows(self, n: int, timeout: float = 10) -> list[dict[str, Any]]:
        """Wait until at least n rows are stored, and return all of those."""
        return self._wait(self.rows, n, timeout, "rows")

    def _wait(self, things: list[T], n: int, timeout: float, noun: str) -> list[T]:
        with self._lock:
            arrived = self._lock.wait_for(lambda: self._errors or len(things) >= n, timeout)
            self._raise_error()
            if not arrived:
                raise AssertionError(
                    f"wanted {n} {noun} within {timeout} s, got {len(things)}; "
                    f"connections={self.connections} requests={self.requests} rows={self.rows}"
                )
            return list(things)

    def _raise_error(self) -> None:
        if self._errors:
            error = self._errors.pop(0)
            raise AssertionError(f"the endpoint or its script went wrong: {error!r}") from error

    def _bind(self) -> socket.socket:
        if self._listener is None:
            self._listener = socket.socket()
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind(("127.0.0.1", self._port))
            self._port = self._listener.getsockname()[1]
            self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"
        return self._listener

    def _close(self, *, keep_port: bool = False) -> set[threading.Thread]:
        with self._lock:
            listener, self._listener = self._listener, None
            acceptor, self._acceptor = self._acceptor, None
        if listener:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # Wakes accept(); on Linux close() does not.
            listener.close()
        if acceptor:
            acceptor.join(answers.HOLD_SECONDS)  # No connection may be accepted after those cut below.
        with self._lock:
            if keep_port:
                # A socket that is bound and does not listen refuses connections, and keeps the port from others.
                # Bind before the cut: once a test sees the cut, it may already listen again or stop.
                self._bind()
            for connection in self._open.values():
                connection.cut()
            self._hung.clear()
            return set(self._open)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # The listener was closed.
            while True:
                sock = listener.accept()[0]
                if self._tls:
                    # The handshake happens at the first read, on the connection's thread.
                    sock = self._tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
                connection = Connection(sock)
                thread = threading.Thread(target=self._converse, args=(connection,), daemon=True)
                with self._lock:
                    self.connections += 1
                    self._open = {t: c for t, c in self._open.items() if t.is_alive()} | {thread: connection}
                    thread.start()

    def _converse(self, connection: Connection) -> None:
        try:
            # The client has left, or rejects the certificate, or the connection was reset or cut.
            with suppress(ConnectionError, ssl.SSLError):
                self._reach(connection, "connect")
                while self._exchange(connection):
                    pass
        except Exception as error:  # noqa: BLE001 - raised again where the test sees it
            with self._lock:
                self._errors.append(error)
                self._lock.notify_all()
        finally:
            with self._lock:  # Otherwise cut() could hit a new socket that was given the same descriptor.
                connection.close()

    def _exchange(self, connection: Connection) -> bool:
        """Read a request and answer it; return whether the connection goes on."""
        try:
            request = connection.read(lambda point: self._reach(connection, point))
        except (ValueError, EOFError, gzip.BadGzipFile, zlib.error) as error:
            refusal = status(400, error=("Malformed", repr(error)), headers=[("Connection", "close")])
            connection.sock.sendall(refusal.wire)
            return False
        answer = self._choose(connection, request)
        last, sent = answer if isinstance(answer, Status) else STORED, 0
        if answer.stored:
            self._store(connection, request)
        if isinstance(answer, Fault):
            if answer.at == "half-answer":
                sent = len("HTTP/1.1 204 No Content") // 2
                connection.sock.sendall(last.wire[:sent])
            self._act(connection, answer)
            if not answer.stored:
                self._store(connection, request)
        connection.sock.sendall(last.wire[sent:])
        return not last.closes and request.headers.get("connection", "").lower() != "close"

    @contextmanager
    def _changing(self, connection: Connection) -> Iterator[None]:
        """Hold the lock for a change and wake the waiting threads; abort if the connection was cut."""
        with self._lock:
            if connection.is_cut:
                raise ConnectionAbortedError
            yield
            self._lock.notify_all()

    def _reach(self, connection: Connection, point: Point) -> None:
        """Act on the next entry of the script if it is a fault due at this point."""
        with self._lock:
            fault = self._script[0] if self._script else self.default
            if connection.spared or not isinstance(fault, Fault):
                return
            if POINTS.index(fault.at) > POINTS.index(point):
                return
            self._next()
        self._act(connection, fault)
        connection.spared = True

    def _next(self) -> Script:
        return self._script.popleft() if self._script else self.default

    def _act(self, connection: Connection, fault: Fault) -> None:
        """Reset, or hang until released."""
        if isinstance(fault, Reset):
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise ConnectionAbortedError
        with self._changing(connection):
            connection.released.clear()
            self._hung.append(connection)
        wait_for(connection.released, "release()")

    def _choose(self, connection: Connection, request: Request) -> Answer:
        """List the request and find its answer, calling the script's callables."""
        with self._changing(connection):
            self.requests.append(request)
            script = STORED if connection.spared else self._next()
            connection.spared = False
        while not isinstance(script, Status | Reset | Hang):
            if isinstance(script, Held):
                with self._changing(connection):
                    self._held.append(script)
            script = script(request)
        return script

    def _store(self, connection: Connection, request: Request) -> None:
        with self._changing(connection):
            if request.rows:
                self.rows.extend(request.rows)
                self.stored_bytes += len(request.body)
