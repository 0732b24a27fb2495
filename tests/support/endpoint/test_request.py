"""Reading requests: what is parsed, what is refused, and clients that leave."""

import gzip
import json
from http import HTTPStatus

import pytest

from support.endpoint import STORED, Held, status
from support.endpoint.clients import PATH, ROWS, dial, read_to_end, upload, wire


def test_a_request_shows_method_path_query_headers_bytes_and_rows(endpoint, session):
    """The query is decoded, header names are in lower case, and `raw` holds the bytes as sent."""
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


def test_a_request_to_a_foreign_path_has_neither_rule_nor_stream(endpoint, session):
    """Any path and method is answered; only the service's own paths name a rule and a stream."""
    assert session.get(endpoint.url).status_code == HTTPStatus.NO_CONTENT
    (request,) = endpoint.requests

    assert (request.method, request.path, request.rule, request.stream) == ("GET", "/", None, None)


def test_rule_and_stream_are_found_below_any_path(endpoint, session):
    """A path in front of the service's own hides neither."""
    upload(endpoint.url + "/some/proxy", ROWS, session)

    assert endpoint.requests[0].rule == "dcr-1"
    assert endpoint.requests[0].stream == "Custom-App"


@pytest.mark.parametrize("body", [b'{"a": 1}', b"[{", b"", b'[{"a": NaN}]', b'[{"a": -Infinity}]', b"\xff"])
def test_a_body_that_is_not_a_json_array_is_answered_204_and_stores_nothing(
    endpoint,
    session,
    body,
):
    """The service answers an object or broken JSON in the same way."""
    assert session.post(endpoint.url + PATH, data=body).status_code == HTTPStatus.NO_CONTENT
    assert endpoint.requests[0].rows is None
    assert endpoint.rows == []
    assert endpoint.stored_bytes == 0


def test_a_body_without_content_encoding_is_taken_as_it_is(endpoint, session):
    session.post(endpoint.url + PATH, json=ROWS)

    assert endpoint.requests[0].raw == endpoint.requests[0].body
    assert endpoint.rows == ROWS


def test_a_chunked_body_is_joined_and_raw_has_no_framing(endpoint, session):
    body = gzip.compress(json.dumps(ROWS).encode())
    pieces = iter([body[:7], body[7:]])
    session.post(endpoint.url + PATH, data=pieces, headers={"Content-Encoding": "gzip"})

    assert endpoint.requests[0].headers["transfer-encoding"] == "chunked"
    assert endpoint.requests[0].raw == body
    assert endpoint.rows == ROWS


def test_chunk_extensions_and_trailers_do_not_get_into_the_body(endpoint):
    """HTTP allows both around chunks."""
    with dial(endpoint) as client:
        head = f"POST {PATH} HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n".encode()
        client.sendall(head + b'A;x=y\r\n[{"a": 10}\r\n1\r\n]\r\n0\r\nTrailer: 1\r\n\r\n')
        assert read_to_end(client)[0].startswith(b"HTTP/1.1 204 ")

    assert endpoint.rows == [{"a": 10}]


def test_a_body_of_several_gzip_members_is_decompressed_to_its_end(endpoint, session):
    body = gzip.compress(b'[{"a": 1},') + gzip.compress(b'{"a": 2}]')
    session.post(endpoint.url + PATH, data=body, headers={"Content-Encoding": "gzip"})

    assert endpoint.rows == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    "body",
    [b"no gzip", gzip.compress(b"[]", mtime=0)[:-4], b"\x1f\x8b\x08" + bytes(30)],
    ids=str.split("none cut bad"),
)
def test_a_body_that_does_not_decompress_is_answered_400(endpoint, session, body):
    """It takes no script entry and is not listed."""
    endpoint.play(status(503))
    response = session.post(endpoint.url + PATH, data=body, headers={"Content-Encoding": "gzip"})

    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert response.json()["error"]["code"] == "Malformed"
    assert endpoint.requests == []
    assert upload(endpoint.url, ROWS, session).status_code == HTTPStatus.SERVICE_UNAVAILABLE


@pytest.mark.parametrize("data", [b"hello\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n"])
def test_input_that_is_not_http_is_answered_400_and_its_connection_closed(endpoint, data):
    with dial(endpoint) as client:
        client.sendall(data)
        got, end = read_to_end(client)

    assert got.startswith(b"HTTP/1.1 400 ")
    assert end == "closed"
    assert endpoint.requests == []


def test_several_requests_share_one_connection_whatever_their_answers(endpoint, session):
    endpoint.play(STORED, status(503), status(400), STORED)
    codes = [upload(endpoint.url, ROWS, session).status_code for _ in range(5)]

    assert codes == [204, 503, 400, 204, 204]
    assert endpoint.connections == 1


def test_pipelined_requests_are_answered_one_after_the_other(endpoint):
    with dial(endpoint) as client:
        client.sendall(wire(b'[{"a": 1}]') + wire(b'[{"a": 2}]', "Connection: close"))
        assert read_to_end(client)[0].count(b"HTTP/1.1 204 ") == 2

    assert endpoint.rows == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize("cut", [4, 60, -5])
def test_a_client_that_leaves_inside_its_request_takes_no_script_entry(endpoint, capfd, cut):
    """The request is not listed, and nothing is printed."""
    endpoint.play(status(503))
    with dial(endpoint) as client:
        client.sendall(wire(b'[{"a": 1}]')[:cut])
    assert upload(endpoint.url, ROWS).status_code == HTTPStatus.SERVICE_UNAVAILABLE
    endpoint.stop()

    assert [request.rows for request in endpoint.requests] == [ROWS]
    assert capfd.readouterr() == ("", "")


def test_a_client_that_leaves_before_the_answer_has_its_rows_stored(endpoint, capfd):
    """Nothing is printed."""
    hold = Held()
    endpoint.play(hold)
    with dial(endpoint) as client:
        client.sendall(wire(b'[{"a": 1}]'))
        assert hold.arrived.wait(5)
    hold.go()
    assert endpoint.wait_for_rows(1) == [{"a": 1}]
    endpoint.stop()

    assert capfd.readouterr() == ("", "")
