"""Answers built by `status`, as they look on the wire."""

import pytest

from support.endpoint import STORED, Hang, Reset, Status, status
from support.endpoint.clients import ROWS, dial, read_to_end, upload, wire


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
def test_an_error_has_the_shape_of_the_services_own(endpoint, code, name):
    """JSON with a code and a message; a header repeats the code."""
    endpoint.play(status(code))
    response = upload(endpoint.url, ROWS)

    assert response.status_code == code
    assert response.headers["Content-Type"].startswith("application/json")
    assert response.headers["x-ms-error-code"] == name
    assert response.json()["error"]["code"] == name
    assert response.json()["error"]["message"]


def test_code_and_message_of_an_error_can_be_given(endpoint):
    endpoint.play(status(400, error=("RecordsTimeRangeIsMoreThan30Minutes", "0 to 30 minutes")))
    response = upload(endpoint.url, ROWS)

    assert response.json() == {
        "error": {"code": "RecordsTimeRangeIsMoreThan30Minutes", "message": "0 to 30 minutes"},
    }


@pytest.mark.parametrize("value", [0, 17, "Wed, 21 Oct 2026 07:28:00 GMT", "soon"])
def test_retry_after_is_sent_verbatim(endpoint, value):
    """The value can be seconds, a date or nonsense."""
    endpoint.play(status(429, retry_after=value))

    assert upload(endpoint.url, ROWS).headers["Retry-After"] == str(value)


def test_bodies_and_headers_of_an_answer_can_be_anything(endpoint):
    """`body` replaces the error, b"" leaves none; `headers` add and replace."""
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


def test_an_answer_with_connection_close_ends_its_connection(endpoint):
    """The connection ends once the answer has been sent."""
    endpoint.play(status(503, headers=[("Connection", "close")]))
    with dial(endpoint) as client:
        client.sendall(wire(b"[]"))
        got, end = read_to_end(client)

    assert got.startswith(b"HTTP/1.1 503 ")
    assert end == "closed"


def test_a_204_with_a_body_is_refused_when_it_is_built():
    """It would break HTTP."""
    with pytest.raises(ValueError, match="204 has no body"):
        status(204, body=b"x")


def test_answers_compare_by_value_and_show_themselves():
    assert status(204) == STORED
    assert Reset("body") == Reset("body")
    assert Reset("body") not in {Hang("body"), Reset("answer")}
    assert repr(Hang("answer", stored=True)) == "Hang(at='answer', stored=True)"
    assert isinstance(STORED, Status)
