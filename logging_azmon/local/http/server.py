"""Speak HTTP/1.1: one thread accepts connections, and each connection has a daemon thread and is kept alive.

Rules:
- The application is a callable, `Request` to `Response`, called from the connections' threads. An exception is
  answered with 500 and an explanation, except `HangupError`, which resets the connection.
- All input is bounded: lines, headers, trailers, bodies, the number of connections, and the time that a client may take
  for a request, each wait and all of them together.
- Azure's limit for uploads applies to every request. A longer body is read to its end and discarded, within limits: a
  client that is still sending would see a reset instead of the answer.
- `_lock` guards the set of open connections. `close` ends them all and waits for their threads, within a limit.
"""

from __future__ import annotations

import io
import re
import select
import socket
import socketserver
import ssl
import struct
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote

from ..._config.service_limits import MAX_BODY_BYTES
from .message import Request, Response, failure

MAX_LINE = 16_384
MAX_HEADERS = 100
MAX_DRAINED_BYTES = 64 * 1024 * 1024
MAX_CONNECTIONS = 512
IDLE_SECONDS = 120.0
REQUEST_SECONDS = 300.0
CLOSE_SECONDS = 5.0

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LENGTH = re.compile(r"[0-9]{1,15}")

Application = Callable[[Request], Response]


class HangupError(Exception):
    """Reset the connection instead of answering."""


class _BadRequestError(Exception):
    """The request cannot be parsed: answer, then close the connection."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.response = failure(status, HTTPStatus(status).phrase.replace(" ", ""), message)


class Server(socketserver.ThreadingTCPServer):
    """Listen on an address and pass each request to an application."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        application: Application,
        tls: ssl.SSLContext | None = None,
        *,
        max_connections: int = MAX_CONNECTIONS,
        request_seconds: float = REQUEST_SECONDS,
    ) -> None:
        self.application = application
        self.request_seconds = request_seconds
        self.tls = tls
        self._max_connections = max_connections
        self._lock = threading.Lock()
        self._ended = threading.Condition(self._lock)
        self._open: set[socket.socket] = set()
        self._closing = False
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Connection)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.1,), name="azmon-local-server", daemon=True)

    @property
    def port(self) -> int:
        """Return the port that the server is bound to."""
        return int(self.server_address[1])

    def start(self) -> None:
        """Begin to accept connections."""
        self._thread.start()

    def close(self) -> None:
        """Stop accepting, end all connections and wait for their threads."""
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join(CLOSE_SECONDS)
        self.server_close()
        with self._ended:
            self._closing = True
            for connection in self._open:
                _cut(connection)
            self._ended.wait_for(lambda: not self._open, CLOSE_SECONDS)

    def register(self, connection: socket.socket) -> bool:
        """Register an open connection; return False if there are too many."""
        with self._lock:
            if self._closing or len(self._open) >= self._max_connections:
                return False
            self._open.add(connection)
            return True

    def unregister(self, connection: socket.socket) -> None:
        """Unregister a connection."""
        with self._ended:
            self._open.discard(connection)
            self._ended.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report nothing: the client went away, or has its answer."""


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):  # already closed
        connection.shutdown(socket.SHUT_RDWR)


class _Input(io.RawIOBase):
    """Read from a socket until a deadline, however slowly the bytes come."""

    def __init__(self, source: socket.socket) -> None:
        self._source = source
        self._deadline = 0.0

    def allow(self, seconds: float) -> None:
        """Set the deadline."""
        self._deadline = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("the client takes too long for a request")
        self._source.settimeout(min(IDLE_SECONDS, remaining))
        return self._source.recv_into(buffer)


class _Connection(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        server, raw = self.server, self.request
        if not isinstance(server, Server) or not server.register(raw):
            return
        self._application = server.application
        self._socket: socket.socket = raw
        try:
            raw.settimeout(IDLE_SECONDS)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # In the connection's thread: a slow handshake delays no other connection.
            if server.tls:
                self._socket = server.tls.wrap_socket(raw, server_side=True)
            self._input = _Input(self._socket)
            with io.BufferedReader(self._input, 65_536) as self._reader:
                self._input.allow(server.request_seconds)
                while self._converse():
                    self._input.allow(server.request_seconds)
        except HangupError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._socket.close()
        except (OSError, ValueError):
            pass  # the client went away, or did not speak TLS
        finally:
            # socketserver closes the raw socket.
            if self._socket is not raw:
                self._socket.close()
            server.unregister(raw)

    def _converse(self) -> bool:
        """Answer one request; return False to end the connection."""
        try:
            head = self._head()
            if head is None:
                return False
            method, target, version, headers = head
            keep = headers.get("connection", "").lower() != "close" and version == "HTTP/1.1"
            body, length = self._body(headers)
        except _BadRequestError as bad:
            self._send(bad.response, keep=False, head=False)
            return False
        path, _, query = target.partition("?")
        names = dict(parse_qsl(query, keep_blank_values=True))
        too_long = length if length > len(body) else None
        response = self._ask(Request(method, unquote(path), names, headers, body, too_long))
        return self._send(response, keep=keep and length <= MAX_DRAINED_BYTES, head=method == "HEAD")

    def _ask(self, request: Request) -> Response:
        try:
            return self._application(request)
        except HangupError:
            raise
        except Exception as error:  # noqa: BLE001 - any error becomes an answer
            where = traceback.extract_tb(error.__traceback__)[-1]
            message = (
                f"The local workspace failed: {type(error).__name__}: {error} ({where.name}, line {where.lineno})."
            )
            return failure(500, "InternalServerError", message)

    def _head(self) -> tuple[str, str, str, dict[str, str]] | None:
        line = self._line()
        if not line:
            return None
        words = line.split(" ")
        if len(words) != 3 or not words[1].startswith("/"):
            raise _BadRequestError(400, "The request line is not of the form 'METHOD /path HTTP/1.1'.")
        method, target, version = words
        if version not in ("HTTP/1.1", "HTTP/1.0"):
            raise _BadRequestError(505, "Only HTTP/1.1 is supported.")
        headers: dict[str, str] = {}
        while line := self._line():
            name, colon, value = line.partition(":")
            if not colon or not _NAME.fullmatch(name):
                raise _BadRequestError(400, "A header line is not of the form 'Name: value'.")
            name = name.lower()
            if name in headers and name in ("host", "content-length", "transfer-encoding"):
                raise _BadRequestError(400, f"The header {name} occurs twice.")
            if len(headers) >= MAX_HEADERS:
                raise _BadRequestError(431, "There are too many headers.")
            headers[name] = value.strip()
        return method, target, version, headers

    def _line(self) -> str:
        line = self._reader.readline(MAX_LINE + 1)
        if len(line) > MAX_LINE:
            raise _BadRequestError(431, f"The request line or a header line is longer than {MAX_LINE} bytes.")
        return line.rstrip(b"\r\n").decode("latin-1")

    def _body(self, headers: dict[str, str]) -> tuple[bytes, int]:
        """Return the body and its length; a body that is too long is returned empty."""
        coding, length = headers.get("transfer-encoding"), headers.get("content-length")
        if coding is not None and (length is not None or coding.lower() != "chunked"):
            raise _BadRequestError(400, "Transfer-Encoding must be chunked, without a Content-Length.")
        if length is not None and not _LENGTH.fullmatch(length):
            raise _BadRequestError(400, "Content-Length is not a number.")
        size = int(length or 0)
        if headers.get("expect", "").lower() == "100-continue" and size <= MAX_BODY_BYTES:
            self._socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if coding is not None:
            return self._chunked()
        if size > MAX_BODY_BYTES:
            if headers.get("expect", "").lower() != "100-continue":
                self._drain(min(size, MAX_DRAINED_BYTES))
            return b"", size
        return self._exactly(size), size

    def _chunked(self) -> tuple[bytes, int]:
        parts: list[bytes] = []
        length = 0
        for size in self._chunk_sizes():
            length += size
            if length > MAX_DRAINED_BYTES:
                raise _BadRequestError(413, f"The chunked body is longer than {MAX_DRAINED_BYTES} bytes.")
            if length > MAX_BODY_BYTES:
                parts.clear()
                self._drain(size)
            else:
                parts.append(self._exactly(size))
            self._line()
        return b"".join(parts) if length <= MAX_BODY_BYTES else b"", length

    def _chunk_sizes(self) -> Iterator[int]:
        while True:
            digits = self._line().partition(";")[0].strip()
            if not re.fullmatch(r"[0-9A-Fa-f]{1,8}", digits):
                raise _BadRequestError(400, "A chunk has no size.")
            size = int(digits, 16)
            if size == 0:
                for _ in range(MAX_HEADERS + 1):
                    if not self._line():  # the end of the trailers
                        return
                raise _BadRequestError(431, "There are too many trailers.")
            yield size

    def _exactly(self, size: int) -> bytes:
        body: bytes = self._reader.read(size)
        if len(body) < size:
            raise ConnectionError("the client left in the middle of a body")
        return body

    def _drain(self, size: int) -> None:
        while size > 0:
            size -= len(self._exactly(min(size, 65_536)))

    def _send(self, response: Response, *, keep: bool, head: bool) -> bool:
        status = HTTPStatus(response.status)
        lines = [f"HTTP/1.1 {status.value} {status.phrase}"]
        lines += [f"{name}: {value}" for name, value in response.headers.items()]
        if response.stream is not None:
            lines += [f"Content-Type: {response.content_type}", "Cache-Control: no-store", "Connection: close"]
        else:
            if response.body:
                lines.append(f"Content-Type: {response.content_type}")
            if status != HTTPStatus.NO_CONTENT:
                lines.append(f"Content-Length: {len(response.body)}")
            if not keep:
                lines.append("Connection: close")
        data = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"
        self._socket.settimeout(IDLE_SECONDS)
        if response.stream is None:
            self._socket.sendall(data if head else data + response.body)
            return keep
        self._socket.sendall(data)
        for part in response.stream:
            if part:
                self._socket.sendall(part)
            elif self._is_gone():
                break
        return False

    def _is_gone(self) -> bool:
        """Return whether the client has ended the connection: while it listens, it sends nothing."""
        readable, _, _ = select.select([self.request], [], [], 0)
        return bool(readable)
