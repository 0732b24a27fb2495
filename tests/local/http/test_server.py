"""The HTTP server: reading requests, refusing malformed ones, and surviving clients that break off."""

import http.client
import json
import socket
import struct
import time
from contextlib import suppress

import pytest

from logging_azmon.local import Workspace
from logging_azmon.local.http.message import Response
from logging_azmon.local.http.server import MAX_HEADERS, MAX_LINE, Server, _Input
from support.local_client import TIMEOUT, call, connect, port_of, request_head


@pytest.fixture
def wire(port):
    """Send bytes, and return everything that comes back until the server closes the connection."""

    def talk(data):
        with connect(port) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            with connection.makefile("rb") as reader:
                return reader.read()

    return talk


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET\r\n\r\n", 400),
        (b"GET / HTTP/2\r\n\r\n", 505),
        (b"GET http://x/ HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n folded: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET /" + b"x" * MAX_LINE + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"".join(b"h%d: x\r\n" % n for n in range(MAX_HEADERS + 1)) + b"\r\n", 431),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"x: y\r\n" * (MAX_HEADERS + 1) + b"\r\n",
            431,
        ),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    ],
)
def test_malformed_http_is_answered_with_an_error_and_the_connection_is_closed(wire, data, status):
    assert wire(data).startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize("data", [b"", b"\r\n", b"GET / HTT", b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab"])
def test_a_client_that_leaves_early_does_not_disturb_the_server(wire, workspace, data):
    wire(data)
    assert call(workspace, "GET", "/api/tables").status == 200


def test_a_client_that_resets_within_a_body_does_not_disturb_the_server(workspace, port):
    with connect(port) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(request_head(port, "Content-Length: 100") + b"[")
    assert call(workspace, "GET", "/api/tables").status == 200


def test_a_connection_stays_open_between_requests(port, wire):
    request = request_head(port, "Content-Length: 2") + b"[]"
    answers = wire(request * 3 + request_head(port, "Content-Length: 2", "Connection: close") + b"[]" + request)
    assert answers.count(b"HTTP/1.1 204") == 4


def test_an_http_1_0_connection_is_closed_after_one_answer(port, wire):
    answers = wire(f"GET /api/faults HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode() * 2)
    assert answers.count(b"HTTP/1.1 200") == 1


def test_chunked_bodies_are_read(workspace, port, wire):
    body = json.dumps([{"Message": "chunked"}]).encode()
    chunks = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(part), part) for part in (body[:5], body[5:]))
    answer = wire(request_head(port, "Transfer-Encoding: chunked") + chunks + b"0\r\nTrailer: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 204")
    assert workspace.query("App_CL | where Message == 'chunked' | count") == [{"Count": 1}]


def test_a_chunked_body_that_is_too_long_is_refused(port, wire):
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    answer = wire(request_head(port, "Transfer-Encoding: chunked") + chunk * 2 + b"0\r\n\r\n")
    assert b"ContentLengthLimitExceeded" in answer


def test_reading_a_chunked_body_without_an_end_is_given_up(port, wire):
    chunk = b"2000000\r\n" + b" " * 0x2000000 + b"\r\n"
    with suppress(ConnectionError):  # a client that is still sending may miss the answer
        assert b"The chunked body is longer than 67108864 bytes." in wire(
            request_head(port, "Transfer-Encoding: chunked") + chunk * 3
        )


def test_expect_100_continue_is_answered_with_100_or_413(port, wire):
    answer = wire(request_head(port, "Content-Length: 2", "Expect: 100-continue") + b"[]")
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204")
    answer = wire(request_head(port, "Content-Length: 2000000", "Expect: 100-continue"))
    assert answer.startswith(b"HTTP/1.1 413")


def test_a_body_that_is_too_long_is_refused_on_every_path(workspace):
    assert call(workspace, "POST", "/v1/workspaces/local/query", b" " * 1_048_577).status == 413


def test_head_is_answered_without_a_body(workspace):
    answer = call(workspace, "HEAD", "/")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["content-length"]) > 0


def test_close_ends_idle_connections_and_open_tails(workspace):
    with Workspace() as ws:
        port = port_of(ws)
        idle = connect(port)
        tail = connect(port)
        tail.sendall(request_head(port, path="/api/tail?table=App_CL", method="GET"))
        assert tail.recv(100).startswith(b"HTTP/1.1 200")
        started = time.monotonic()
    assert time.monotonic() - started < 5
    for connection in (idle, tail):
        with connection, connection.makefile("rb") as reader:
            reader.read()
    ws.close()


def test_an_unexpected_exception_is_answered_with_500_and_an_explanation():
    def fail(_):
        raise KeyError("what it was")

    server = Server(("127.0.0.1", 0), fail)
    server.start()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT)
    connection.request("GET", "/")
    answer = connection.getresponse()
    assert answer.status == 500
    assert b"KeyError: 'what it was' (fail, line" in answer.read()
    connection.close()
    server.close()


def test_connections_beyond_the_limit_are_closed_at_once():
    server = Server(("127.0.0.1", 0), lambda _: Response(204), max_connections=1)
    server.start()
    first = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT)
    first.request("GET", "/")
    assert first.getresponse().status == 204
    with connect(server.port) as second:
        assert second.recv(1) == b""
    first.close()
    server.close()


def test_a_server_can_be_closed_before_it_started():
    Server(("127.0.0.1", 0), lambda _: Response(204)).close()


@pytest.mark.parametrize("data", [b"", b"GET / HT", b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab"])
def test_a_client_that_trickles_loses_its_connection_after_the_time_for_a_request(data):
    """Each wait is bounded anyway: this bounds their sum, so that nobody holds a connection for ever."""
    server = Server(("127.0.0.1", 0), lambda _: Response(200), request_seconds=0.2)
    server.start()
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT) as connection:
        connection.sendall(data)
        assert connection.recv(1) == b""
    server.close()


def test_the_time_for_a_request_is_over_although_bytes_are_there():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"x")
        source = _Input(ours)
        source.allow(-1)
        with pytest.raises(TimeoutError):
            source.readinto(bytearray(1))
        source.allow(TIMEOUT)
        assert source.readinto(bytearray(1)) == 1
