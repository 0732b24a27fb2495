"""Responses from any server are read within limits of time and size."""

import gzip
import itertools
import socket
import threading
import time
import tracemalloc
from contextlib import contextmanager, suppress

import pytest

from logging_azmon._azure.uploader import Uploader
from logging_azmon._delivery.answer import Failure
from support.delivering import closing, line, settings_of

LIMIT_SECONDS = 20.0


@contextmanager
def answering(head, pieces, read_seconds=LIMIT_SECONDS):
    """Answer one upload with these headers, then with pieces until the client closes the connection."""
    is_over = threading.Event()

    def serve():
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            # Read the whole request, because closing a connection with unread data would reset it.
            with connection.makefile("rb") as request:
                length = 0
                while (field := request.readline().lower()) != b"\r\n":
                    if field.startswith(b"content-length:"):
                        length = int(field.partition(b":")[2])
                request.read(length)
            connection.sendall(head)
            for piece in pieces:
                connection.sendall(piece)
                # Wait as long as a slow network would.
                if is_over.wait(0.005):
                    break

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        uploader = Uploader(
            settings_of(endpoint=f"http://127.0.0.1:{listening.getsockname()[1]}", read_seconds=read_seconds)
        )
        with closing(uploader):
            yield uploader
        is_over.set()
        thread.join(10)


class TestBoundedResponses:
    def test_trickling_body_is_given_up_after_read_seconds_altogether(self):
        """Each byte arrives long before the timeout of a single read."""
        with answering(b"HTTP/1.1 400 No\r\ncontent-length: 9999\r\n\r\n", itertools.repeat(b"x"), 0.3) as uploader:
            begun = time.monotonic()
            answer = uploader.send(line("a"))
            took = time.monotonic() - begun
        assert (answer.failure, answer.message) == (Failure.CONNECTION, "the response did not end in time")
        assert took < 5

    @pytest.mark.parametrize(
        ("head", "piece"),
        [(b"HTTP/1.1 204 No Content\r\nx-odd: ", b"x"), (b"", b"HTTP/1.1 100 Continue\r\n\r\n"), (b"", b"H")],
        ids=["header", "continue", "status"],
    )
    def test_trickling_headers_are_given_up_after_read_seconds_altogether(self, head, piece):
        with answering(head, itertools.repeat(piece), 0.3) as uploader:
            begun = time.monotonic()
            answer = uploader.send(line("a"))
            took = time.monotonic() - begun
        assert (answer.failure, answer.message) == (Failure.CONNECTION, "the response did not end in time")
        assert took < 5

    def test_endless_body_takes_little_memory(self):
        with answering(b"HTTP/1.1 500 No\r\n\r\n", itertools.repeat(b"x" * 100_000)) as uploader:
            tracemalloc.start()
            answer = uploader.send(line("a"))
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert answer.status == 500
        assert most < 4_000_000

    def test_truncated_response_is_a_broken_connection_not_a_rejection(self):
        """A 400 without its body might be an InvalidStream, so its rows must be kept."""
        with answering(b"HTTP/1.1 400 No\r\ncontent-length: 9999\r\n\r\n", [b"x"]) as uploader:
            answer = uploader.send(line("a"))
        assert answer.failure is Failure.CONNECTION

    def test_compressed_and_chunked_response_is_understood(self):
        body = gzip.compress(b'{"error": {"code": "InvalidStream", "message": "no such stream"}}')
        head = b"HTTP/1.1 400 No\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n"
        with answering(head, [b"%x\r\n%b\r\n" % (len(body), body), b"0\r\n\r\n"]) as uploader:
            answer = uploader.send(line("a"))
        assert (answer.status, answer.code, answer.message) == (400, "InvalidStream", "no such stream")
