"""Check what `endpoint.Endpoint` promises to the tests that lean on it."""

import gzip
import json
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import requests

from support import endpoint as endpoint_module
from support.endpoint import POINTS, STORED, Endpoint, Hang, Held, Point, Request, Reset, Status, status, when

ROWS = [{"Message": "one"}, {"Message": "two"}]
PATH = "/dataCollectionRules/dcr-1/streams/Custom-App?api-version=2023-01-01"
EARLY, LATE = POINTS[:3], POINTS[3:]
Row = dict[str, Any]


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """Serve."""
    with Endpoint() as running:
        yield running


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """Give a client that keeps connections alive and heeds no proxy of the environment."""
    with requests.Session() as client:
        client.trust_env = False
        yield client


def upload(url: str, rows: list[Row], session: requests.Session | None = None) -> requests.Response:
    """Upload as the service's clients do; without a session, on a connection of its own."""
    if session is None:
        with requests.Session() as own:
            own.trust_env = False
            return upload(url, rows, own)
    body = gzip.compress(json.dumps(rows).encode())
    return session.post(url + PATH, data=body, headers={"Content-Encoding": "gzip"}, timeout=10)


def wire(body: bytes, *headers: str) -> bytes:
    """Write an upload as it goes out."""
    lines = [f"POST {PATH} HTTP/1.1", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def dial(endpoint: Endpoint) -> socket.socket:
    """Connect a bare socket."""
    host, port = endpoint.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def outcome(endpoint: Endpoint, data: bytes = b"") -> tuple[bytes, str]:
    """Connect and send, then listen; a reset may come before any of these is done."""
    try:
        with dial(endpoint) as client:
            client.sendall(data)
            return listen_out(client)
    except ConnectionError:
        return b"", "reset"


def listen_out(client: socket.socket) -> tuple[bytes, str]:
    """Read until the connection ends; return what came, and how it ended."""
    got = b""
    try:
        while piece := client.recv(65536):
            got += piece
    except ConnectionResetError:
        return got, "reset"
    return got, "closed"


class TestRequests:
    """What is read."""

    def test_an_upload_is_taken_apart(self, endpoint: Endpoint, session: requests.Session) -> None:
        """A request shows method, path, decoded query, lower-case headers, bytes as sent, and rows."""
        body = gzip.compress(b'[{"a": "\xc3\xa4"}]')
        session.post(
            f"{endpoint.url}/dataCollectionRules/dcr%2F1/streams/Custom-App_CL?api-version=2023-01-01&note=a%20b&none=",
            data=body,
            headers={"Content-Encoding": "gzip", "X-Ms-Client-Request-Id": "Abc"},
        )
        (request,) = endpoint.requests
        assert request.method == "POST"
        assert request.path == "/dataCollectionRules/dcr%2F1/streams/Custom-App_CL"
        assert (request.rule, request.stream) == ("dcr/1", "Custom-App_CL")
        assert request.query == {"api-version": "2023-01-01", "note": "a b", "none": ""}
        assert request.headers["x-ms-client-request-id"] == "Abc"
        assert request.raw == body
        assert request.body == b'[{"a": "\xc3\xa4"}]'
        assert request.rows == [{"a": "ä"}]

    def test_a_foreign_path_has_neither_rule_nor_stream(self, endpoint: Endpoint, session: requests.Session) -> None:
        """Any path and method is answered; only those of the service have a rule and a stream."""
        assert session.get(endpoint.url).status_code == HTTPStatus.NO_CONTENT
        (request,) = endpoint.requests
        assert (request.method, request.path, request.rule, request.stream) == ("GET", "/", None, None)

    def test_an_endpoint_may_lie_below_a_path(self, endpoint: Endpoint, session: requests.Session) -> None:
        """A path before that of the service does not hide rule and stream."""
        upload(endpoint.url + "/some/proxy", ROWS, session)
        assert endpoint.requests[0].rule == "dcr-1"
        assert endpoint.requests[0].stream == "Custom-App"

    @pytest.mark.parametrize("body", [b'{"a": 1}', b"[{", b"", b'[{"a": NaN}]', b'[{"a": -Infinity}]', b"\xff"])
    def test_what_is_no_json_array_stores_nothing(
        self,
        endpoint: Endpoint,
        session: requests.Session,
        body: bytes,
    ) -> None:
        """An object, or broken JSON, has no rows and yet is answered 204, as by the service."""
        assert session.post(endpoint.url + PATH, data=body).status_code == HTTPStatus.NO_CONTENT
        assert endpoint.requests[0].rows is None
        assert endpoint.rows == []
        assert endpoint.stored_bytes == 0

    def test_plain_bodies_are_read(self, endpoint: Endpoint, session: requests.Session) -> None:
        """A body without Content-Encoding is taken as it is."""
        session.post(endpoint.url + PATH, json=ROWS)
        assert endpoint.requests[0].raw == endpoint.requests[0].body
        assert endpoint.rows == ROWS

    def test_chunked_bodies_are_read(self, endpoint: Endpoint, session: requests.Session) -> None:
        """A chunked body is put together, and `raw` has no framing."""
        body = gzip.compress(json.dumps(ROWS).encode())
        pieces = iter([body[:7], body[7:]])
        session.post(endpoint.url + PATH, data=pieces, headers={"Content-Encoding": "gzip"})
        assert endpoint.requests[0].headers["transfer-encoding"] == "chunked"
        assert endpoint.requests[0].raw == body
        assert endpoint.rows == ROWS

    def test_chunk_extensions_and_trailers_are_passed_over(self, endpoint: Endpoint) -> None:
        """What HTTP allows around chunks does not get into the body."""
        with dial(endpoint) as client:
            head = f"POST {PATH} HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n".encode()
            client.sendall(head + b'A;x=y\r\n[{"a": 10}\r\n1\r\n]\r\n0\r\nTrailer: 1\r\n\r\n')
            assert listen_out(client)[0].startswith(b"HTTP/1.1 204 ")
        assert endpoint.rows == [{"a": 10}]

    def test_gzip_members_may_follow_one_another(self, endpoint: Endpoint, session: requests.Session) -> None:
        """A body of several gzip members is decompressed to its end."""
        body = gzip.compress(b'[{"a": 1},') + gzip.compress(b'{"a": 2}]')
        session.post(endpoint.url + PATH, data=body, headers={"Content-Encoding": "gzip"})
        assert endpoint.rows == [{"a": 1}, {"a": 2}]

    @pytest.mark.parametrize(
        "body",
        [b"no gzip", gzip.compress(b"[]", mtime=0)[:-4], b"\x1f\x8b\x08" + bytes(30)],
        ids=str.split("none cut bad"),
    )
    def test_broken_gzip_is_answered_400(self, endpoint: Endpoint, session: requests.Session, body: bytes) -> None:
        """A body that does not decompress is refused; it takes no script entry and is not listed."""
        endpoint.play(status(503))
        response = session.post(endpoint.url + PATH, data=body, headers={"Content-Encoding": "gzip"})
        assert response.status_code == HTTPStatus.BAD_REQUEST
        assert response.json()["error"]["code"] == "Malformed"
        assert endpoint.requests == []
        assert upload(endpoint.url, ROWS, session).status_code == HTTPStatus.SERVICE_UNAVAILABLE

    @pytest.mark.parametrize("data", [b"hello\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n"])
    def test_what_is_no_http_is_answered_400(self, endpoint: Endpoint, data: bytes) -> None:
        """Nonsense is refused and its connection closed."""
        with dial(endpoint) as client:
            client.sendall(data)
            got, end = listen_out(client)
        assert got.startswith(b"HTTP/1.1 400 ")
        assert end == "closed"
        assert endpoint.requests == []

    def test_connections_are_kept_alive(self, endpoint: Endpoint, session: requests.Session) -> None:
        """Several requests, whatever their answers, go over one connection."""
        endpoint.play(STORED, status(503), status(400), STORED)
        codes = [upload(endpoint.url, ROWS, session).status_code for _ in range(5)]
        assert codes == [204, 503, 400, 204, 204]
        assert endpoint.connections == 1

    def test_requests_may_be_pipelined(self, endpoint: Endpoint) -> None:
        """Requests sent in one go are answered one after the other."""
        with dial(endpoint) as client:
            client.sendall(wire(b'[{"a": 1}]') + wire(b'[{"a": 2}]', "Connection: close"))
            assert listen_out(client)[0].count(b"HTTP/1.1 204 ") == 2
        assert endpoint.rows == [{"a": 1}, {"a": 2}]

    @pytest.mark.parametrize("cut", [4, 60, -5])
    def test_clients_may_vanish(self, endpoint: Endpoint, capfd: pytest.CaptureFixture[str], cut: int) -> None:
        """A client that leaves inside its request takes no script entry, is not listed and makes no noise."""
        endpoint.play(status(503))
        with dial(endpoint) as client:
            client.sendall(wire(b'[{"a": 1}]')[:cut])
        assert upload(endpoint.url, ROWS).status_code == HTTPStatus.SERVICE_UNAVAILABLE
        endpoint.stop()
        assert [request.rows for request in endpoint.requests] == [ROWS]
        assert capfd.readouterr() == ("", "")

    def test_clients_may_leave_before_the_answer(self, endpoint: Endpoint, capfd: pytest.CaptureFixture[str]) -> None:
        """A client that does not wait for its answer makes no noise, and its rows are stored."""
        hold = Held()
        endpoint.play(hold)
        with dial(endpoint) as client:
            client.sendall(wire(b'[{"a": 1}]'))
            assert hold.arrived.wait(5)
        hold.go()
        assert endpoint.wait_for_rows(1) == [{"a": 1}]
        endpoint.stop()
        assert capfd.readouterr() == ("", "")


class TestScript:
    """Which answer is given."""

    def test_the_default_answer_is_204(self, endpoint: Endpoint) -> None:
        """Without a script rows are stored."""
        response = upload(endpoint.url, ROWS)
        assert (response.status_code, response.content) == (HTTPStatus.NO_CONTENT, b"")
        assert endpoint.rows == ROWS

    def test_answers_are_played_in_order(self) -> None:
        """Each request takes one entry; those of the constructor come first, the default last."""
        with Endpoint(status(500)) as endpoint:
            endpoint.play(status(502), status(503))
            endpoint.default = status(504)
            codes = [upload(endpoint.url, ROWS).status_code for _ in range(5)]
        assert codes == [500, 502, 503, 504, 504]

    def test_the_nth_request_has_the_nth_answer(self, endpoint: Endpoint) -> None:
        """Requests and script pair up also when uploads run side by side."""
        codes = [*range(500, 530)]
        endpoint.play(*map(status, codes))
        with ThreadPoolExecutor(10) as pool:
            answered = list(pool.map(lambda i: upload(endpoint.url, [{"i": i}]).status_code, range(30)))
        listed = [request.rows[0]["i"] for request in endpoint.requests if request.rows]
        assert [answered[i] for i in listed] == codes

    def test_only_204_stores(self, endpoint: Endpoint) -> None:
        """Rows answered otherwise, even with 200, do not count."""
        endpoint.play(status(200), status(202), status(500), STORED)
        for i in range(4):
            upload(endpoint.url, [{"i": i}])
        assert endpoint.rows == [{"i": 3}]
        assert endpoint.stored_bytes == len('[{"i": 3}]')

    def test_rows_are_there_with_the_204(self, endpoint: Endpoint, session: requests.Session) -> None:
        """Who has read the 204 needs no wait to find its rows."""
        for i in range(100):
            upload(endpoint.url, [{"i": i}], session)
            assert endpoint.rows[-1] == {"i": i}

    def test_callables_look_at_the_request(self, endpoint: Endpoint) -> None:
        """An entry, or the default, may be a function of the request."""

        def poisoned(request: Request) -> bool:
            return any(row["Message"] == "poison" for row in request.rows or ())

        endpoint.default = lambda request: status(400) if poisoned(request) else STORED
        assert upload(endpoint.url, [{"Message": "poison"}]).status_code == HTTPStatus.BAD_REQUEST
        assert upload(endpoint.url, ROWS).status_code == HTTPStatus.NO_CONTENT
        assert endpoint.rows == ROWS

    def test_when_chooses_by_a_predicate(self, endpoint: Endpoint) -> None:
        """`when` gives its answer where the predicate holds, else the other one, by default a 204."""

        def big(request: Request) -> bool:
            return len(request.rows or ()) > 1

        endpoint.play(when(big, status(413)), when(big, status(413)), when(big, STORED, when(big, STORED, status(429))))
        codes = [upload(endpoint.url, rows).status_code for rows in (ROWS, ROWS[:1], ROWS[:1])]
        assert codes == [413, 204, 429]

    def test_a_wrong_callable_fails_the_wait(self, endpoint: Endpoint, capfd: pytest.CaptureFixture[str]) -> None:
        """A script that raises is told by the next wait, at once and once, and never printed."""
        endpoint.play(lambda request: status(request.rows["no"]))  # type: ignore[index, call-overload]
        with pytest.raises(requests.ConnectionError):
            upload(endpoint.url, ROWS)
        with pytest.raises(AssertionError, match="TypeError"):
            endpoint.wait_for_rows(1)
        endpoint.stop()
        assert capfd.readouterr() == ("", "")

    def test_a_wrong_callable_fails_the_stop(self) -> None:
        """A script that raises is told by leaving the context manager if nobody waited."""
        wrong = Endpoint(lambda _: None)  # type: ignore[arg-type, return-value]
        with pytest.raises(AssertionError, match="NoneType"), wrong, pytest.raises(requests.ConnectionError):
            upload(wrong.url, ROWS)

    def test_held_requests_wait_for_go(self, endpoint: Endpoint) -> None:
        """A Held keeps requests in flight until the test gives it an answer."""
        hold = Held()
        endpoint.default = hold
        with ThreadPoolExecutor(3) as pool:
            uploads = [pool.submit(upload, endpoint.url, ROWS) for _ in range(3)]
            assert hold.arrived.wait(5)
            endpoint.wait_for_requests(3)
            assert endpoint.rows == []
            hold.go(status(429))
            hold.go(STORED)
            assert [each.result().status_code for each in uploads] == [429] * 3

    def test_held_requests_are_stored_by_default(self, endpoint: Endpoint) -> None:
        """`go()` without an answer means 204."""
        hold = Held()
        hold.go()
        endpoint.play(hold)
        assert upload(endpoint.url, ROWS).status_code == HTTPStatus.NO_CONTENT
        assert endpoint.rows == ROWS


class TestStatus:
    """What a status answer looks like."""

    @pytest.mark.parametrize(
        ("code", "name"),
        [
            (400, "InvalidStream"),
            (401, "Unauthorized"),
            (403, "OperationFailed"),
            (404, "NotFound"),
            (413, "ContentLengthLimitExceeded"),
            (429, "TooManyRequests"),
            (500, "InternalServerError"),
            (599, "Unknown"),
        ],
    )
    def test_errors_have_the_shape_of_the_service(self, endpoint: Endpoint, code: int, name: str) -> None:
        """An error is JSON with a code and a message, and the code is in a header too."""
        endpoint.play(status(code))
        response = upload(endpoint.url, ROWS)
        assert response.status_code == code
        assert response.headers["Content-Type"].startswith("application/json")
        assert response.headers["x-ms-error-code"] == name
        assert response.json()["error"]["code"] == name
        assert response.json()["error"]["message"]

    def test_errors_can_be_named(self, endpoint: Endpoint) -> None:
        """`error` sets code and message."""
        endpoint.play(status(400, error=("RecordsTimeRangeIsMoreThan30Minutes", "0 to 30 minutes")))
        response = upload(endpoint.url, ROWS)
        assert response.json() == {
            "error": {"code": "RecordsTimeRangeIsMoreThan30Minutes", "message": "0 to 30 minutes"},
        }

    @pytest.mark.parametrize("value", [0, 17, "Wed, 21 Oct 2026 07:28:00 GMT", "soon"])
    def test_retry_after_goes_out_as_it_is(self, endpoint: Endpoint, value: int | str) -> None:
        """Seconds, a date and nonsense are sent verbatim."""
        endpoint.play(status(429, retry_after=value))
        assert upload(endpoint.url, ROWS).headers["Retry-After"] == str(value)

    def test_bodies_and_headers_can_be_anything(self, endpoint: Endpoint) -> None:
        """`body` replaces the error, b"" leaves none, `headers` add and replace."""
        endpoint.play(
            status(502, body=b"<html>", headers=[("Content-Type", "text/html"), ("X-More", "1")]),
            status(500, body=b""),
        )
        response = upload(endpoint.url, ROWS)
        assert response.content == b"<html>"
        assert (response.headers["Content-Type"], response.headers["X-More"]) == ("text/html", "1")
        response = upload(endpoint.url, ROWS)
        assert response.content == b""
        assert "Content-Type" not in response.headers

    def test_an_answer_can_close_its_connection(self, endpoint: Endpoint) -> None:
        """Connection: close among the headers ends the connection once the answer is out."""
        endpoint.play(status(503, headers=[("Connection", "close")]))
        with dial(endpoint) as client:
            client.sendall(wire(b"[]"))
            got, end = listen_out(client)
        assert got.startswith(b"HTTP/1.1 503 ")
        assert end == "closed"

    def test_a_204_has_no_body(self) -> None:
        """An answer that would break HTTP is refused when it is built."""
        with pytest.raises(ValueError, match="204 has no body"):
            status(204, body=b"x")

    def test_answers_are_values(self) -> None:
        """Answers compare by value and show themselves."""
        assert status(204) == STORED
        assert Reset("body") == Reset("body")
        assert Reset("body") not in {Hang("body"), Reset("answer")}
        assert repr(Hang("answer", stored=True)) == "Hang(at='answer', stored=True)"
        assert isinstance(STORED, Status)


class TestReset:
    """Connections that break."""

    @pytest.mark.parametrize("at", POINTS)
    def test_connections_are_reset_at_a_point(self, endpoint: Endpoint, at: Point) -> None:
        """A reset is a true RST; rows do not count; the request is listed if its body was read."""
        endpoint.play(Reset(at))
        got, end = outcome(endpoint, wire(b'[{"a": 1}]'))
        assert end == "reset"
        assert got == (b"HTTP/1.1 20" if at == "half-answer" else b"")
        assert len(endpoint.requests) == (1 if at in LATE else 0)
        assert endpoint.rows == []
        assert upload(endpoint.url, ROWS).status_code == HTTPStatus.NO_CONTENT

    @pytest.mark.parametrize("at", LATE)
    def test_rows_of_a_lost_answer_can_count(self, endpoint: Endpoint, at: Point) -> None:
        """With `stored=True` rows are there although the client was never told: a retry doubles them."""
        endpoint.play(Reset(at, stored=True))
        with pytest.raises(requests.ConnectionError):
            upload(endpoint.url, ROWS)
        upload(endpoint.url, ROWS)
        assert endpoint.rows == ROWS * 2

    def test_a_reset_on_connect_needs_no_request(self, endpoint: Endpoint) -> None:
        """`connect` acts on a client that sends nothing."""
        endpoint.play(Reset("connect"))
        assert outcome(endpoint) == (b"", "reset")

    def test_a_reset_on_headers_needs_no_body(self, endpoint: Endpoint) -> None:
        """`headers` acts before any of the body was sent."""
        endpoint.play(Reset("headers"))
        with dial(endpoint) as client:
            client.sendall(wire(b"[1234]")[:-6])
            assert listen_out(client) == (b"", "reset")

    @pytest.mark.parametrize("chunked", [False, True])
    def test_a_reset_in_the_body_needs_half_of_it(self, endpoint: Endpoint, chunked: bool) -> None:
        """`body` acts when half the body, or the first chunk, was read."""
        endpoint.play(Reset("body"))
        head = wire(b"[1234]")[:-6]
        if chunked:
            head = head.replace(b"Content-Length: 6", b"Transfer-Encoding: chunked") + b"3\r\n"
        with dial(endpoint) as client:
            client.sendall(head)
            assert not select.select([client], [], [], 0)[0]
            client.sendall(b"[12\r\n")
            assert listen_out(client) == (b"", "reset")

    def test_a_reset_in_the_body_stops_a_sender(self, endpoint: Endpoint) -> None:
        """A client in the midst of a large body cannot finish it."""
        endpoint.play(Reset("headers"))
        with dial(endpoint) as client, pytest.raises(ConnectionError):
            client.sendall(wire(bytes(100_000_000)))

    @pytest.mark.parametrize("at", EARLY)
    def test_a_fault_acts_on_a_reused_connection(self, endpoint: Endpoint, at: Point) -> None:
        """Where `connect` is past, a fault acts at the next point, still before the request is listed."""
        with dial(endpoint) as client:
            client.sendall(wire(b"[]"))
            endpoint.wait_for_requests(1)
            assert client.recv(1000) == STORED.wire
            endpoint.play(Reset(at))
            client.sendall(wire(b"[]"))
            assert listen_out(client) == (b"", "reset")
        assert len(endpoint.requests) == 1

    @pytest.mark.parametrize("at", POINTS)
    def test_a_callable_may_choose_a_fault(self, endpoint: Endpoint, at: Point) -> None:
        """A callable looks at the whole request, so that its fault acts after the body at the soonest."""
        endpoint.play(lambda _: Reset(at))
        with dial(endpoint) as client:
            client.sendall(wire(b"[]"))
            assert listen_out(client) == (b"HTTP/1.1 20" if at == "half-answer" else b"", "reset")
        assert len(endpoint.requests) == 1

    def test_the_default_may_be_a_fault(self, endpoint: Endpoint) -> None:
        """A default reset meets every connection until it is taken back."""
        endpoint.default = Reset("connect")
        for _ in range(3):
            with pytest.raises(requests.ConnectionError):
                upload(endpoint.url, ROWS)
        endpoint.default = STORED
        assert upload(endpoint.url, ROWS).status_code == HTTPStatus.NO_CONTENT

    @pytest.mark.parametrize("fault", [Reset, Hang])
    def test_faults_are_checked_when_built(self, fault: type[Reset | Hang]) -> None:
        """A point that does not exist, or rows stored without a body, are refused."""
        with pytest.raises(ValueError, match="must be one of connect, headers"):
            fault("nowhere")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="must be one of answer, half-answer"):
            fault("body", stored=True)


class TestHang:
    """Connections that fall silent."""

    @pytest.mark.parametrize("at", POINTS)
    def test_connections_hang_at_a_point_until_released(self, endpoint: Endpoint, at: Point) -> None:
        """Nothing, or half a status line, comes until `release`; then the request goes on to a 204."""
        endpoint.play(Hang(at))
        with dial(endpoint) as client:
            client.sendall(wire(b'[{"a": 1}]'))
            endpoint.wait_for_hung(1)
            half = client.recv(1000) if at == "half-answer" else b""
            assert half == (b"HTTP/1.1 20" if half else b"")
            assert not select.select([client], [], [], 0)[0]
            assert len(endpoint.requests) == (1 if at in LATE else 0)
            assert endpoint.rows == []
            endpoint.release()
            assert endpoint.wait_for_rows(1) == [{"a": 1}]
            rest = STORED.wire[len(half) :]
            assert client.recv(len(rest), socket.MSG_WAITALL) == rest
            endpoint.play(status(503))
            client.sendall(wire(b"[]"))
            assert client.recv(1000).startswith(b"HTTP/1.1 503 ")

    @pytest.mark.parametrize("at", LATE)
    def test_rows_of_a_late_answer_can_count_at_once(self, endpoint: Endpoint, at: Point) -> None:
        """With `stored=True` rows are there while the client still waits, and are not counted again."""
        endpoint.play(Hang(at, stored=True))
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(upload, endpoint.url, ROWS)
            assert endpoint.wait_for_rows(2) == ROWS
            endpoint.release()
            assert answer.result().status_code == HTTPStatus.NO_CONTENT
        assert endpoint.rows == ROWS

    def test_a_client_that_gave_up_is_stored_on_release(self, endpoint: Endpoint) -> None:
        """As with a slow service, the rows of a client that timed out are stored in the end."""
        endpoint.play(Hang("answer"))
        with pytest.raises(requests.ReadTimeout):
            requests.post(endpoint.url + PATH, json=ROWS, timeout=(5, 0.01), proxies={"http": ""})
        endpoint.release()
        assert endpoint.wait_for_rows(2) == ROWS

    def test_release_waits_for_what_is_to_hang(self, endpoint: Endpoint) -> None:
        """`release(n)` cannot come too early, and says so when fewer than n ever hang."""
        endpoint.default = Hang("answer")
        with ThreadPoolExecutor(3) as pool:
            answers = pool.map(lambda _: upload(endpoint.url, ROWS).status_code, range(3))
            endpoint.release(3)
            assert list(answers) == [204] * 3
        with pytest.raises(AssertionError, match="wanted 1 hanging connections within 0 s, got 0"):
            endpoint.release(timeout=0)

    def test_other_connections_go_on(self, endpoint: Endpoint) -> None:
        """A connection that hangs holds up no other."""
        endpoint.play(Hang("connect"))
        with dial(endpoint):
            endpoint.wait_for_hung(1)
            assert upload(endpoint.url, ROWS).status_code == HTTPStatus.NO_CONTENT

    def test_nobody_hangs_for_ever(self, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
        """A hang or a Held that the test forgot ends at a limit and fails the next wait."""
        monkeypatch.setattr(endpoint_module, "LIMIT_SECONDS", 0.001)
        for answer, call in ((Hang("answer"), "release"), (Held(), "go")):
            endpoint.play(answer)
            with pytest.raises(requests.ConnectionError):
                upload(endpoint.url, ROWS)
            with pytest.raises(AssertionError, match=rf"nobody called {call}\(\)"):
                endpoint.wait_for_rows(1)


class TestWaits:
    """How a test waits for the endpoint."""

    def test_waits_wake_up(self, endpoint: Endpoint) -> None:
        """A wait that began before the upload returns with it."""
        with ThreadPoolExecutor(2) as pool:
            rows = pool.submit(endpoint.wait_for_rows, 4)
            listed = pool.submit(endpoint.wait_for_requests, 2)
            upload(endpoint.url, ROWS)
            upload(endpoint.url, ROWS)
            assert rows.result() == ROWS * 2
            assert [request.rows for request in listed.result()] == [ROWS] * 2

    def test_waits_return_all_there_is(self, endpoint: Endpoint) -> None:
        """More than was asked for is returned, as a list of its own."""
        upload(endpoint.url, ROWS)
        rows = endpoint.wait_for_rows(1)
        assert rows == ROWS
        assert rows is not endpoint.rows

    def test_a_vain_wait_tells_what_did_arrive(self, endpoint: Endpoint) -> None:
        """The error of a wait shows requests, rows and connections."""
        upload(endpoint.url, ROWS)
        with pytest.raises(AssertionError) as rows:
            endpoint.wait_for_rows(3, timeout=0)
        assert str(rows.value).startswith(
            "wanted 3 rows within 0 s, got 2; connections=1 requests=[Request(method='POST'",
        )
        assert str(ROWS) in str(rows.value)
        with pytest.raises(AssertionError, match=r"wanted 2 requests within 0\.001 s, got 1"):
            endpoint.wait_for_requests(2, timeout=0.001)

    def test_connections_are_counted(self, endpoint: Endpoint) -> None:
        """Every accepted connection counts, also one that was reset."""
        endpoint.play(Reset("connect"))
        outcome(endpoint)
        upload(endpoint.url, ROWS)
        assert endpoint.connections == 2


class TestLifecycle:
    """Start, stop and being away."""

    def test_start_and_stop_may_be_repeated(self) -> None:
        """Each is idempotent, stop may come first, and a restart keeps port and rows."""
        endpoint = Endpoint()
        endpoint.stop()
        assert endpoint.start() is endpoint.start()
        url = endpoint.url
        upload(url, ROWS)
        endpoint.stop()
        endpoint.stop()
        with endpoint:
            assert endpoint.url == url
            upload(url, ROWS)
        assert endpoint.rows == ROWS * 2

    def test_the_port_can_be_chosen(self, endpoint: Endpoint) -> None:
        """An endpoint takes the port it is given."""
        endpoint.stop()
        with Endpoint(port=int(endpoint.url.rpartition(":")[2])) as other:
            assert other.url == endpoint.url

    def test_stop_ends_all_threads(self) -> None:
        """Idle, hanging, held and half-read connections are closed and their threads gone."""
        before = set(threading.enumerate())
        hold = Held()
        with Endpoint(Hang("answer"), hold) as endpoint:
            clients = [dial(endpoint) for _ in range(4)]
            clients[0].sendall(wire(b"[1]"))
            endpoint.wait_for_hung(1)
            clients[1].sendall(wire(b"[1]"))
            assert hold.arrived.wait(5)
            clients[2].sendall(wire(b"[1]")[:-1])
        assert set(threading.enumerate()) == before
        assert endpoint.rows == []
        for client in clients:
            with client:
                assert listen_out(client)[0] == b""

    def test_threads_of_ended_connections_are_forgotten(self, endpoint: Endpoint) -> None:
        """Many connections, one after the other, leave nothing behind."""
        before = set(threading.enumerate())
        for _ in range(50):
            upload(endpoint.url, ROWS)
        endpoint.stop()
        assert set(threading.enumerate()) < before

    def test_refuse_and_listen_again(self, endpoint: Endpoint) -> None:
        """Refusing closes what is open and refuses what comes, until the same port listens again."""
        url = endpoint.url
        for _ in range(3):
            with dial(endpoint) as client:
                client.sendall(wire(b"[]"))
                assert client.recv(1000) == STORED.wire
                endpoint.refuse()
                assert listen_out(client) == (b"", "closed")
                with pytest.raises(ConnectionRefusedError):
                    dial(endpoint)
                endpoint.refuse()
                endpoint.listen_again()
                endpoint.listen_again()
            assert endpoint.url == url
            assert upload(url, ROWS).status_code == HTTPStatus.NO_CONTENT
        assert endpoint.rows == ROWS * 3

    def test_what_is_in_flight_when_refusing_is_not_stored(self, endpoint: Endpoint) -> None:
        """A held or hanging request whose connection was closed never becomes rows."""
        hold = Held()
        endpoint.play(hold, Hang("answer"))
        with dial(endpoint) as first, dial(endpoint) as second:
            first.sendall(wire(b"[1]"))
            assert hold.arrived.wait(5)
            second.sendall(wire(b"[2]"))
            endpoint.wait_for_hung(1)
            endpoint.refuse()
            hold.go()
        endpoint.stop()
        assert endpoint.rows == []

    def test_an_answer_may_refuse(self, endpoint: Endpoint) -> None:
        """A callable may take the endpoint down; its own request is lost with the rest."""

        def die(_: Request) -> Status:
            endpoint.refuse()
            return STORED

        endpoint.play(die)
        with pytest.raises(requests.ConnectionError):
            upload(endpoint.url, ROWS)
        with pytest.raises(ConnectionRefusedError):
            dial(endpoint)
        endpoint.listen_again()
        assert endpoint.rows == []

    def test_many_clients_at_once(self, endpoint: Endpoint) -> None:
        """Side by side uploads are all stored, each once."""
        with ThreadPoolExecutor(20) as pool:
            list(pool.map(lambda i: upload(endpoint.url, [{"i": i}]), range(200)))
        assert sorted(row["i"] for row in endpoint.rows) == list(range(200))


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    """Serve in a process of its own."""
    command = [sys.executable, str(Path(endpoint_module.__file__)), "--port", "0"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


class TestProcess:
    """The endpoint as a program."""

    def test_rows_are_printed_as_they_are_stored(self, process: subprocess.Popen[str]) -> None:
        """First comes the url, then each row as a line of JSON; it ends quietly when stdin closes."""
        assert process.stdout
        url = process.stdout.readline().strip()
        for i in range(3):
            upload(url, [{"i": i, "text": "ä\n"}])
            assert json.loads(process.stdout.readline()) == {"i": i, "text": "ä\n"}
        upload(url, ROWS)
        out, err = process.communicate(timeout=10)
        assert [json.loads(line) for line in out.splitlines()] == ROWS
        assert (process.returncode, err) == (0, "")

    def test_rows_may_be_read_late(self, process: subprocess.Popen[str]) -> None:
        """More rows than a pipe holds do not hold up uploads, and none is lost at the end."""
        assert process.stdout
        url = process.stdout.readline().strip()
        rows = [{"i": i, "text": "x" * 100} for i in range(5000)]
        assert upload(url, rows).status_code == HTTPStatus.NO_CONTENT
        assert upload(url, rows).status_code == HTTPStatus.NO_CONTENT
        out, _ = process.communicate(timeout=10)
        assert [json.loads(line) for line in out.splitlines()] == rows * 2

    def test_a_reader_may_leave(self, process: subprocess.Popen[str]) -> None:
        """Without a reader it ends, and complains of nothing."""
        assert process.stdout
        assert process.stderr
        url = process.stdout.readline().strip()
        process.stdout.close()
        with suppress(requests.ConnectionError):  # it may be gone before its answer is
            upload(url, ROWS)
        assert process.wait(timeout=10) == 1
        assert process.stderr.read() == ""


def test_the_services_own_client_is_understood(endpoint: Endpoint) -> None:
    """An upload of azure-monitor-ingestion arrives, and its errors are read as those of the service."""
    ingestion = pytest.importorskip("azure.monitor.ingestion")
    core = pytest.importorskip("azure.core")

    class Credential:
        def get_token(self, *_: str, **__: object) -> Any:
            return core.credentials.AccessToken("secret", 4_000_000_000)

    with ingestion.LogsIngestionClient(endpoint.url, Credential()) as client:
        client.upload("dcr-1", "Custom-App", ROWS, enforce_https=False)
        assert endpoint.rows == ROWS
        assert endpoint.requests[0].headers["authorization"] == "Bearer secret"
        endpoint.play(status(404))
        with pytest.raises(core.exceptions.ResourceNotFoundError) as error:
            client.upload("dcr-1", "Custom-App", ROWS, enforce_https=False)
        assert error.value.error.code == "NotFound"
