"""Connections that break or fall silent."""

import select
import socket
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

import pytest
import requests

from support.endpoint import POINTS, STORED, Hang, Held, Reset, answers, status
from support.endpoint.clients import PATH, ROWS, dial, outcome, read_to_end, upload, wire

EARLY, LATE = POINTS[:3], POINTS[3:]


@pytest.mark.parametrize("at", POINTS)
def test_a_reset_at_any_point_is_a_true_rst_and_stores_nothing(endpoint, at):
    """The request is listed if its body was read."""
    endpoint.play(Reset(at))
    got, end = outcome(endpoint, wire(b'[{"a": 1}]'))

    assert end == "reset"
    assert got == (b"HTTP/1.1 20" if at == "half-answer" else b"")
    assert len(endpoint.requests) == (1 if at in LATE else 0)
    assert endpoint.rows == []
    assert upload(endpoint.url, ROWS).status_code == HTTPStatus.NO_CONTENT


@pytest.mark.parametrize("at", LATE)
def test_a_reset_with_stored_keeps_rows_whose_client_got_no_answer(endpoint, at):
    """A retry then stores them twice."""
    endpoint.play(Reset(at, stored=True))
    with pytest.raises(requests.ConnectionError):
        upload(endpoint.url, ROWS)
    upload(endpoint.url, ROWS)

    assert endpoint.rows == ROWS * 2


def test_a_reset_at_connect_needs_no_request(endpoint):
    """It acts on a client that sends nothing."""
    endpoint.play(Reset("connect"))

    assert outcome(endpoint) == (b"", "reset")


def test_a_reset_at_headers_needs_no_body(endpoint):
    endpoint.play(Reset("headers"))
    with dial(endpoint) as client:
        client.sendall(wire(b"[1234]")[:-6])

        assert read_to_end(client) == (b"", "reset")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_reset_at_body_acts_after_half_of_it_or_the_first_chunk(endpoint, chunked):
    endpoint.play(Reset("body"))
    head = wire(b"[1234]")[:-6]
    if chunked:
        head = head.replace(b"Content-Length: 6", b"Transfer-Encoding: chunked") + b"3\r\n"
    with dial(endpoint) as client:
        client.sendall(head)
        assert not select.select([client], [], [], 0)[0]
        client.sendall(b"[12\r\n")

        assert read_to_end(client) == (b"", "reset")


def test_a_reset_stops_a_client_in_the_middle_of_a_large_body(endpoint):
    endpoint.play(Reset("headers"))
    with dial(endpoint) as client, pytest.raises(ConnectionError):
        client.sendall(wire(bytes(100_000_000)))


@pytest.mark.parametrize("at", EARLY)
def test_a_fault_due_early_acts_at_the_next_point_of_a_reused_connection(endpoint, at):
    """`connect` has passed there; the fault still acts before the request is listed."""
    with dial(endpoint) as client:
        client.sendall(wire(b"[]"))
        endpoint.wait_for_requests(1)
        assert client.recv(1000) == STORED.wire
        endpoint.play(Reset(at))
        client.sendall(wire(b"[]"))
        assert read_to_end(client) == (b"", "reset")

    assert len(endpoint.requests) == 1


@pytest.mark.parametrize("at", POINTS)
def test_a_fault_chosen_by_a_callable_acts_after_the_body(endpoint, at):
    """A callable sees the whole request, so an earlier point has passed by then."""
    endpoint.play(lambda _: Reset(at))
    with dial(endpoint) as client:
        client.sendall(wire(b"[]"))
        assert read_to_end(client) == (b"HTTP/1.1 20" if at == "half-answer" else b"", "reset")

    assert len(endpoint.requests) == 1


def test_a_default_reset_meets_every_connection_until_it_is_taken_back(endpoint):
    endpoint.default = Reset("connect")
    for _ in range(3):
        with pytest.raises(requests.ConnectionError):
            upload(endpoint.url, ROWS)
    endpoint.default = STORED

    assert upload(endpoint.url, ROWS).status_code == HTTPStatus.NO_CONTENT


@pytest.mark.parametrize("fault", [Reset, Hang])
def test_a_fault_with_an_impossible_point_is_refused_when_it_is_built(fault):
    """A point that does not exist, or rows stored before there is a body."""
    with pytest.raises(ValueError, match="must be one of connect, headers"):
        fault("nowhere")
    with pytest.raises(ValueError, match="must be one of answer, half-answer"):
        fault("body", stored=True)


@pytest.mark.parametrize("at", POINTS)
def test_a_connection_hangs_at_any_point_until_released(endpoint, at):
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
def test_a_hang_with_stored_counts_its_rows_at_once_and_only_once(endpoint, at):
    """They are stored while the client still waits."""
    endpoint.play(Hang(at, stored=True))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(upload, endpoint.url, ROWS)
        assert endpoint.wait_for_rows(2) == ROWS
        endpoint.release()
        assert answer.result().status_code == HTTPStatus.NO_CONTENT

    assert endpoint.rows == ROWS


def test_rows_of_a_client_that_timed_out_are_stored_on_release(endpoint):
    """A slow service stores them in the end, too."""
    endpoint.play(Hang("answer"))
    with pytest.raises(requests.ReadTimeout):
        requests.post(endpoint.url + PATH, json=ROWS, timeout=(5, 0.01), proxies={"http": ""})
    endpoint.release()

    assert endpoint.wait_for_rows(2) == ROWS


def test_release_waits_for_n_hanging_connections(endpoint):
    """It cannot come too early, and fails if fewer than n ever hang."""
    endpoint.default = Hang("answer")
    with ThreadPoolExecutor(3) as pool:
        answers = pool.map(lambda _: upload(endpoint.url, ROWS).status_code, range(3))
        endpoint.release(3)
        assert list(answers) == [204] * 3
    with pytest.raises(AssertionError, match="wanted 1 hanging connections within 0 s, got 0"):
        endpoint.release(timeout=0)


def test_a_hanging_connection_holds_up_no_other(endpoint):
    endpoint.play(Hang("connect"))
    with dial(endpoint):
        endpoint.wait_for_hung(1)

        assert upload(endpoint.url, ROWS).status_code == HTTPStatus.NO_CONTENT


def test_a_forgotten_hang_or_held_ends_at_a_limit_and_fails_the_next_wait(endpoint, monkeypatch):
    monkeypatch.setattr(answers, "HOLD_SECONDS", 0.001)
    for answer, call in ((Hang("answer"), "release"), (Held(), "go")):
        endpoint.play(answer)
        with pytest.raises(requests.ConnectionError):
            upload(endpoint.url, ROWS)
        with pytest.raises(AssertionError, match=rf"the test did not call {call}\(\)"):
            endpoint.wait_for_rows(1)
