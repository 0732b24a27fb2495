"""Run the endpoint of the measurements: a process that reads requests, answers 204, and counts their rows later.

During a measurement it only keeps the bodies; it decompresses and counts them when asked. `to_acknowledged.py`
measures its maximum throughput.
"""

from __future__ import annotations

import asyncio
import gzip
import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import orjson

import workers
from sampling import CannotRun

_STORED = b"HTTP/1.1 204 No Content\r\n\r\n"
_READY = "listening on "


class _Connection(asyncio.Protocol):
    """Speak the part of HTTP/1.1 that the clients of the service need: a length, a body, an answer."""

    def __init__(self, bodies: list[bytes], seconds: float) -> None:
        self._bodies = bodies
        self._seconds = seconds
        self._data = bytearray()
        self._head = 0
        self._length = 0

    def connection_made(self, transport: Any) -> None:
        """Keep the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Collect data until a request is complete."""
        self._data += data
        while True:
            if not self._head:
                self._head = self._data.find(b"\r\n\r\n") + 4
                if self._head < 4:
                    self._head = 0
                    return
                self._length = _content_length(bytes(self._data[: self._head]))
            end = self._head + self._length
            if len(self._data) < end:
                return
            is_question = self._data.startswith(b"GET")
            body = bytes(self._data[self._head : end])
            del self._data[:end]
            self._head = 0
            if is_question:
                self._answer(_counted(self._bodies))
                self._bodies.clear()
            else:
                self._bodies.append(body)
                if self._seconds:
                    asyncio.get_running_loop().call_later(self._seconds, self._answer, _STORED)
                else:
                    self._answer(_STORED)

    def _answer(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


def _content_length(head: bytes) -> int:
    for field in head.split(b"\r\n")[1:]:
        name, _, value = field.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _counted(bodies: list[bytes]) -> bytes:
    rows = 0
    size = 0
    for body in bodies:
        plain = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
        size += len(plain)
        rows += len(orjson.loads(plain))
    counted = {"requests": len(bodies), "rows": rows, "bytes": size, "wire_bytes": sum(map(len, bodies))}
    body = json.dumps(counted).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def serve(seconds: float) -> None:
    """Listen on a free port until standard input ends; answer each upload after this many seconds."""
    asyncio.run(_serve(seconds))


async def _serve(seconds: float) -> None:
    bodies: list[bytes] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(bodies, seconds), "127.0.0.1", 0, backlog=64)
    print(f"{_READY}{server.sockets[0].getsockname()[1]}", flush=True)
    # If the parent is killed, its end of the pipe closes, and this process ends.
    await loop.run_in_executor(None, sys.stdin.read)


class Sink:
    """Talk to the process that listens."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def counted(self) -> dict[str, int]:
        """Return what has arrived since the last call: requests, rows, bytes before and after compression."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request("GET", "/")
            found: dict[str, int] = json.loads(connection.getresponse().read())
        return found


@contextmanager
def running(*, seconds: float = 0.0) -> Iterator[Sink]:
    """Run an endpoint while the block runs."""
    with workers.background(workers.command("sink:serve", seconds=seconds), stdout=subprocess.PIPE) as process:
        for text in process.stdout or ():
            if text.startswith(_READY):
                yield Sink(int(text.removeprefix(_READY)))
                return
        raise CannotRun("the endpoint did not start")
