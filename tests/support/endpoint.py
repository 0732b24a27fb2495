"""Answer uploads on 127.0.0.1 with anything a test can think of: a status, a reset, silence.

The rules:

- One thread accepts, one thread per connection speaks HTTP/1.1; all are daemons and end with `stop()`.
- `_lock` guards all that an `Endpoint` holds. Nobody sends, joins or calls back while holding it.
- A request takes the next script entry in the same step that lists it: the nth request, the nth answer.
  Only a fault due sooner (connect, headers, body) is taken sooner, and then no request is listed for it.
- A fault acts at its point or, where that is past (a reused connection, a callable's choice), at the next.
- Rows are stored before the first answer byte goes out: who has read a 204 finds its rows.
- A callable that raises closes its connection, and the next wait or `stop()` raises for it; nobody prints.
- What is no HTTP, or does not decompress, is answered 400; it takes no script entry and is not listed.
"""

import argparse
import gzip
import json
import os
import queue
import re
import socket
import ssl
import struct
import sys
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import BAD_REQUEST, NO_CONTENT, NOT_MODIFIED, responses
from typing import Any, Literal, Self, TypeAlias, TypeVar, get_args
from urllib.parse import parse_qsl, unquote, urlsplit

Point: TypeAlias = Literal["connect", "headers", "body", "answer", "half-answer"]
POINTS: tuple[Point, ...] = get_args(Point)
# Bounds what a forgotten go() or release() costs: the test fails late, but it does not hang.
LIMIT_SECONDS = 60.0
T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """Hold one upload whose body was read to its end."""

    method: str
    path: str  # as sent, without the query
    query: dict[str, str]
    headers: dict[str, str]  # names in lower case
    raw: bytes = field(repr=False)  # as sent, so still compressed; only chunked framing is taken off
    body: bytes = field(repr=False)  # decompressed
    rows: list[dict[str, Any]] | None  # None when the body is not a JSON array
    rule: str | None  # None, as stream, when the path is not one of the service's
    stream: str | None


@dataclass(frozen=True)
class Status:
    """Answer with these bytes; `status` builds them."""

    wire: bytes
    stored: bool
    closes: bool


@dataclass(frozen=True)
class _Fault:
    at: Point
    stored: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        fitting = POINTS[3:] if self.stored else POINTS
        if self.at not in fitting:
            raise ValueError(f"at={self.at!r} with stored={self.stored}: at must be one of {', '.join(fitting)}")


class Reset(_Fault):
    """Reset the connection (a true RST); `stored=True` counts the rows all the same: the 204 that got lost.

    At `connect` it races with the client's own connect(), which may succeed or fail.
    """


class Hang(_Fault):
    """Say nothing until `release()`, then go on with a 204; `stored=True` counts the rows at once.

    Like a slow service it stores in the end, whether or not the client still waits.
    """


class Held:
    """Hold requests in flight until the test says go; a script entry, or the default."""

    def __init__(self) -> None:
        """Begin with nothing arrived and nothing let go."""
        self.arrived = threading.Event()
        self._gone = threading.Event()
        self._answer: Script = STORED

    def go(self, answer: "Script | None" = None) -> None:
        """Answer what is held and whatever comes later, 204 by default; only the first call counts."""
        if not self._gone.is_set():
            self._answer = answer or STORED
            self._gone.set()

    def __call__(self, _: Request) -> "Script":
        """Wait for `go`."""
        self.arrived.set()
        _wait_for(self._gone, "go()")
        return self._answer


Answer: TypeAlias = Status | Reset | Hang
Script: TypeAlias = Answer | Callable[[Request], "Script"]


def status(
    code: int,
    *,
    retry_after: int | str | None = None,
    error: tuple[str, str] | None = None,
    body: bytes | None = None,
    headers: Iterable[tuple[str, str]] = (),
) -> Status:
    """Build an answer; from 400 on it has the service's JSON error unless `body` is given (b"" for none).

    `error` is that JSON's (code, message), `retry_after` goes out as it is, `headers` come last and replace.
    With ("Connection", "close") among them the connection ends after the answer.
    """
    fields = {} if retry_after is None else {"retry-after": str(retry_after)}
    reason = responses.get(code, "Unknown")
    if body is None and (error or code >= BAD_REQUEST):
        name, text = error or _ERRORS.get(code, (reason.replace(" ", ""), f"The service answered {code}."))
        body = json.dumps({"error": {"code": name, "message": text}}).encode()
        fields["x-ms-error-code"] = name
    if body:
        fields["content-type"] = "application/json; charset=utf-8"
    if code not in {NO_CONTENT, NOT_MODIFIED}:
        fields["content-length"] = str(len(body or b""))
    elif body:
        raise ValueError(f"a {code} has no body, so it cannot carry {body!r}")
    fields |= {name.lower(): value for name, value in headers}
    head = [f"HTTP/1.1 {code} {reason}", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    wire = "\r\n".join(head).encode("latin-1") + (body or b"")
    return Status(wire, stored=code == NO_CONTENT, closes=fields.get("connection") == "close")


def when(predicate: Callable[[Request], bool], answer: Script, otherwise: Script | None = None) -> Script:
    """Choose by looking at the request: `answer` where the predicate holds, else `otherwise`, a 204."""
    return lambda request: answer if predicate(request) else otherwise or STORED


# What the service was seen to say. Other codes go by the name of their status.
_ERRORS = {
    400: ("InvalidStream", "The stream was not configured in the data collection rule."),
    403: ("OperationFailed", "The authentication token provided does not have access to ingest data."),
    404: ("NotFound", "Data collection rule with immutable Id 'dcr-0' not found."),
    413: ("ContentLengthLimitExceeded", "Maximum allowed content length: 1048576 bytes (1 MB)."),
}
STORED = status(204)


class Endpoint:
    """Be a real ingestion endpoint on 127.0.0.1 that can answer anything."""

    def __init__(self, *answers: Script, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        """Take the script; `start` or the context manager opens the port, for https if `tls` is given."""
        self.url = ""  # there, and always the same, from the first start() on
        self.default: Script = STORED
        self.requests: list[Request] = []
        self.rows: list[dict[str, Any]] = []
        self.stored_bytes = 0  # of the stored bodies, decompressed
        self.connections = 0
        self._lock = threading.Condition()
        self._port = port
        self._tls = tls
        self._script = deque(answers)
        self._errors: list[Exception] = []
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._open: dict[threading.Thread, _Connection] = {}
        self._hung: list[_Connection] = []
        self._held: list[Held] = []

    def start(self) -> Self:
        """Listen, if it does not yet."""
        with self._lock:
            if self._acceptor is None:
                listener = self._bind()
                listener.listen(128)
                self._acceptor = threading.Thread(target=self._accept, args=(listener,), daemon=True)
                self._acceptor.start()
        return self

    __enter__ = listen_again = start

    def refuse(self) -> None:
        """Refuse connections until `listen_again`, and close the open ones."""
        self._close(keep_port=True)

    def stop(self) -> None:
        """Close everything, end every thread, and raise if the script went wrong."""
        threads = self._close()
        with self._lock:
            for held in self._held:
                held.go()
        for thread in threads - {threading.current_thread()}:
            thread.join(LIMIT_SECONDS)
        with self._lock:
            self._raise_error()

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def play(self, *answers: Script) -> None:
        """Append answers to the script; each request takes one, and `default` serves when none is left."""
        with self._lock:
            self._script.extend(answers)

    def release(self, n: int = 1, timeout: float = 10) -> None:
        """Wait until at least n connections hang, then let all that do go on with a 204."""
        with self._lock:
            for connection in self._wait(self._hung, n, timeout, "hanging connections"):
                connection.released.set()
            self._hung.clear()

    def wait_for_hung(self, n: int, timeout: float = 10) -> None:
        """Wait until at least n connections hang."""
        self._wait(self._hung, n, timeout, "hanging connections")

    def wait_for_requests(self, n: int, timeout: float = 10) -> list[Request]:
        """Wait until at least n requests were read completely, and return all that were."""
        return self._wait(self.requests, n, timeout, "requests")

    def wait_for_rows(self, n: int, timeout: float = 10) -> list[dict[str, Any]]:
        """Wait until at least n rows are stored, and return all that are."""
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
                listener.shutdown(socket.SHUT_RDWR)  # wakes accept(), which close() does not do on Linux
            listener.close()
        if acceptor:
            acceptor.join(LIMIT_SECONDS)  # so that no connection slips in behind those cut below
        with self._lock:
            if keep_port:
                # Bound without listening still refuses, and nobody else can get the port meanwhile. Before the
                # cut, because on seeing that a test may go on to listen again, or to stop.
                self._bind()
            for connection in self._open.values():
                connection.cut()
            self._hung.clear()
            return set(self._open)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                sock = listener.accept()[0]
                if self._tls:
                    # The handshake comes with the first read, on the connection's thread.
                    sock = self._tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
                connection = _Connection(sock)
                thread = threading.Thread(target=self._converse, args=(connection,), daemon=True)
                with self._lock:
                    self.connections += 1
                    self._open = {t: c for t, c in self._open.items() if t.is_alive()} | {thread: connection}
                    thread.start()

    def _converse(self, connection: "_Connection") -> None:
        try:
            # The client has vanished, or does not like the certificate, or the connection was reset or cut.
            with suppress(ConnectionError, ssl.SSLError):
                self._reach(connection, "connect")
                while self._exchange(connection):
                    pass
        except Exception as error:  # noqa: BLE001 - raised where the test sees it
            with self._lock:
                self._errors.append(error)
                self._lock.notify_all()
        finally:
            with self._lock:  # or cut() could hit a stranger who was given the same descriptor
                connection.close()

    def _exchange(self, connection: "_Connection") -> bool:
        """Read a request and answer it; say whether the connection goes on."""
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
        if isinstance(answer, _Fault):
            if answer.at == "half-answer":
                sent = len("HTTP/1.1 204 No Content") // 2
                connection.sock.sendall(last.wire[:sent])
            self._act(connection, answer)
            if not answer.stored:
                self._store(connection, request)
        connection.sock.sendall(last.wire[sent:])
        return not last.closes and request.headers.get("connection", "").lower() != "close"

    @contextmanager
    def _changing(self, connection: "_Connection") -> Iterator[None]:
        """Hold the lock for a change, unless the connection was cut, and wake who waits for it."""
        with self._lock:
            if connection.is_cut:
                raise ConnectionAbortedError
            yield
            self._lock.notify_all()

    def _reach(self, connection: "_Connection", point: Point) -> None:
        """Act on the next entry if it is a fault due at this point."""
        with self._lock:
            fault = self._script[0] if self._script else self.default
            if connection.spared or not isinstance(fault, _Fault):
                return
            if POINTS.index(fault.at) > POINTS.index(point):
                return
            self._next()
        self._act(connection, fault)
        connection.spared = True

    def _next(self) -> Script:
        return self._script.popleft() if self._script else self.default

    def _act(self, connection: "_Connection", fault: _Fault) -> None:
        """Reset, or hang until released."""
        if isinstance(fault, Reset):
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise ConnectionAbortedError
        with self._changing(connection):
            connection.released.clear()
            self._hung.append(connection)
        _wait_for(connection.released, "release()")

    def _choose(self, connection: "_Connection", request: Request) -> Answer:
        """List the request and find its answer, asking the script's callables."""
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

    def _store(self, connection: "_Connection", request: Request) -> None:
        with self._changing(connection):
            if request.rows:
                self.rows.extend(request.rows)
                self.stored_bytes += len(request.body)


class _Connection:
    """Read requests from an accepted socket; `is_cut` and `released` belong to the endpoint's lock."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.is_cut = False
        self.released = threading.Event()
        self.spared = False  # the request now read has had its fault and goes on to a 204
        self._reader = sock.makefile("rb")

    def cut(self) -> None:
        self.is_cut = True
        self.released.set()
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._reader.close()
        self.sock.close()

    def read(self, reach: Callable[[Point], None]) -> Request:
        """Read a request and tell `reach` each point; a ValueError means it is no HTTP."""
        method, target, _ = self._line().split(" ")
        headers = {}
        while line := self._line():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        reach("headers")
        raw = self._chunks(reach) if "transfer-encoding" in headers else self._sized(headers, reach)
        body = gzip.decompress(raw) if headers.get("content-encoding") == "gzip" else raw
        url = urlsplit(target)
        place = re.search(r"/dataCollectionRules/([^/]+)/streams/([^/]+)$", url.path)
        rule, stream = map(unquote, place.groups()) if place else (None, None)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        return Request(method, url.path, query, headers, raw, body, _rows(body), rule, stream)

    def _sized(self, headers: dict[str, str], reach: Callable[[Point], None]) -> bytes:
        length = int(headers.get("content-length", "0"))
        half = self._exactly(length // 2)
        reach("body")
        return half + self._exactly(length - len(half))

    def _chunks(self, reach: Callable[[Point], None]) -> bytes:
        raw = b""
        while size := int(self._line().partition(";")[0], 16):
            raw += self._exactly(size)
            self._line()
            reach("body")
        while self._line():
            pass  # trailers
        return raw

    def _line(self) -> str:
        line = self._reader.readline(65536)
        if not line.endswith(b"\n"):
            raise ConnectionAbortedError
        return line.decode("latin-1").rstrip("\r\n")

    def _exactly(self, length: int) -> bytes:
        data = self._reader.read(length)
        if len(data) != length:
            raise ConnectionAbortedError
        return data


def _rows(body: bytes) -> list[dict[str, Any]] | None:
    try:
        # int refuses the NaN and Infinity that Python would read, but JSON does not have.
        rows = json.loads(body, parse_constant=int)
    except ValueError:
        return None
    return rows if isinstance(rows, list) else None


def _wait_for(event: threading.Event, call: str) -> None:
    if not event.wait(LIMIT_SECONDS):
        raise AssertionError(f"nobody called {call} within {LIMIT_SECONDS} s")


def main() -> None:
    """Serve as a process: print the url, then every stored row as a line of JSON, until stdin closes."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    endpoint = Endpoint(port=parser.parse_args().port).start()
    # A thread prints, so that a reader who comes late holds up no upload.
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def show(request: Request) -> Status:
        lines.put("".join(json.dumps(row) + "\n" for row in request.rows or ()))
        return STORED

    def write() -> None:
        try:
            for line in iter(lines.get, None):
                print(line, end="", flush=True)  # noqa: T201 - what this process is for
        except OSError:
            os._exit(1)  # nobody reads; leaving in order would complain about stdout

    lines.put(endpoint.url + "\n")
    endpoint.default = show
    writer = threading.Thread(target=write)
    writer.start()
    with suppress(KeyboardInterrupt):
        sys.stdin.read()
    endpoint.stop()
    lines.put(None)
    writer.join()


if __name__ == "__main__":
    main()
