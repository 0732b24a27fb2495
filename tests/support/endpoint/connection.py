"""An accepted socket: read requests from it, cut it, close it."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from .answers import Point
from .request import Request


class Connection:
    """Read requests from an accepted socket; the endpoint's lock guards `is_cut`, `released` and `close`."""

    def __init__(self, sock: socket.socket) -> None:
        """Take over the socket."""
        self.sock = sock
        self.is_cut = False
        # Set when a hanging connection may go on.
        self.released = threading.Event()
        # The fault for the request being read has acted, and the request goes on to a 204.
        self.spared = False
        self._reader = sock.makefile("rb")

    def cut(self) -> None:
        """Wake the thread that reads or hangs, so that it ends."""
        self.is_cut = True
        self.released.set()
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Release the descriptor."""
        self._reader.close()
        self.sock.close()

    def read(self, reach: Callable[[Point], None]) -> Request:
        """Read a request and call `reach` at each point; a ValueError means that it is not HTTP."""
        method, target, _ = self._line().split(" ")
        headers = {}
        while line := self._line():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        reach("headers")
        raw = self._chunks(reach) if "transfer-encoding" in headers else self._sized(headers, reach)
        return Request.parse(method, target, headers, raw)

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
