"""Waiting for the endpoint; starting, stopping and refusing."""

import threading
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

import pytest
import requests

from support.endpoint import STORED, Endpoint, Hang, Held, Reset
from support.endpoint.clients import ROWS, dial, outcome, read_to_end, upload, wire


def test_a_wait_that_began_before_the_upload_returns_with_it(endpoint):
    with ThreadPoolExecutor(2) as pool:
        rows = pool.submit(endpoint.wait_for_rows, 4)
        listed = pool.submit(endpoint.wait_for_requests, 2)
        upload(endpoint.url, ROWS)
        upload(endpoint.url, ROWS)

        assert rows.result() == ROWS * 2
        assert [request.rows for request in listed.result()] == [ROWS] * 2


def test_a_wait_returns_everything_that_arrived_in_a_list_of_its_own(endpoint):
    """Including more than was asked for."""
    upload(endpoint.url, ROWS)
    rows = endpoint.wait_for_rows(1)

    assert rows == ROWS
    assert rows is not endpoint.rows


def test_a_wait_in_vain_shows_requests_rows_and_connections(endpoint):
    upload(endpoint.url, ROWS)
    with pytest.raises(AssertionError) as rows:
        endpoint.wait_for_rows(3, timeout=0)
    assert str(rows.value).startswith(
        "wanted 3 rows within 0 s, got 2; connections=1 requests=[Request(method='POST'",
    )
    assert str(ROWS) in str(rows.value)
    with pytest.raises(AssertionError, match=r"wanted 2 requests within 0\.001 s, got 1"):
        endpoint.wait_for_requests(2, timeout=0.001)


def test_every_accepted_connection_is_counted_even_a_reset_one(endpoint):
    endpoint.play(Reset("connect"))
    outcome(endpoint)
    upload(endpoint.url, ROWS)

    assert endpoint.connections == 2


def test_start_and_stop_are_idempotent_and_a_restart_keeps_port_and_rows():
    """Stop may come first."""
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


def test_an_endpoint_listens_on_the_port_it_is_given(endpoint):
    endpoint.stop()
    with Endpoint(port=int(endpoint.url.rpartition(":")[2])) as other:
        assert other.url == endpoint.url


def test_stop_ends_idle_hanging_held_and_half_read_connections_and_their_threads():
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
            assert read_to_end(client)[0] == b""


def test_ended_connections_leave_no_thread_behind(endpoint):
    before = set(threading.enumerate())
    for _ in range(50):
        upload(endpoint.url, ROWS)
    endpoint.stop()

    assert set(threading.enumerate()) < before


def test_refuse_closes_and_refuses_connections_until_the_same_port_listens_again(endpoint):
    url = endpoint.url
    for _ in range(3):
        with dial(endpoint) as client:
            client.sendall(wire(b"[]"))
            assert client.recv(1000) == STORED.wire
            endpoint.refuse()
            assert read_to_end(client) == (b"", "closed")
            with pytest.raises(ConnectionRefusedError):
                dial(endpoint)
            endpoint.refuse()
            endpoint.listen_again()
            endpoint.listen_again()
        assert endpoint.url == url
        assert upload(url, ROWS).status_code == HTTPStatus.NO_CONTENT

    assert endpoint.rows == ROWS * 3


def test_a_held_or_hanging_request_cut_by_refuse_is_never_stored(endpoint):
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


def test_a_callable_that_calls_refuse_loses_its_own_request_too(endpoint):

    def die(_):
        endpoint.refuse()
        return STORED

    endpoint.play(die)
    with pytest.raises(requests.ConnectionError):
        upload(endpoint.url, ROWS)
    with pytest.raises(ConnectionRefusedError):
        dial(endpoint)
    endpoint.listen_again()

    assert endpoint.rows == []


def test_concurrent_uploads_are_all_stored_once(endpoint):
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda i: upload(endpoint.url, [{"i": i}]), range(200)))

    assert sorted(row["i"] for row in endpoint.rows) == list(range(200))
