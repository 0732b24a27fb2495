"""The script: the answer that each request gets."""

from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

import pytest
import requests

from support.endpoint import STORED, Endpoint, Held, status, when
from support.endpoint.clients import ROWS, upload


def test_without_a_script_rows_are_stored_and_answered_204(endpoint):
    response = upload(endpoint.url, ROWS)

    assert (response.status_code, response.content) == (HTTPStatus.NO_CONTENT, b"")
    assert endpoint.rows == ROWS


def test_answers_are_played_in_order_and_the_default_comes_last():
    """The constructor's entries come first."""
    with Endpoint(status(500)) as endpoint:
        endpoint.play(status(502), status(503))
        endpoint.default = status(504)
        codes = [upload(endpoint.url, ROWS).status_code for _ in range(5)]

    assert codes == [500, 502, 503, 504, 504]


def test_the_nth_request_gets_the_nth_answer_while_uploads_run_concurrently(endpoint):
    codes = [*range(500, 530)]
    endpoint.play(*map(status, codes))
    with ThreadPoolExecutor(10) as pool:
        answered = list(pool.map(lambda i: upload(endpoint.url, [{"i": i}]).status_code, range(30)))
    listed = [request.rows[0]["i"] for request in endpoint.requests if request.rows]

    assert [answered[i] for i in listed] == codes


def test_only_a_204_stores_rows(endpoint):
    """Rows answered otherwise, even with 200, do not count."""
    endpoint.play(status(200), status(202), status(500), STORED)
    for i in range(4):
        upload(endpoint.url, [{"i": i}])

    assert endpoint.rows == [{"i": 3}]
    assert endpoint.stored_bytes == len('[{"i": 3}]')


def test_rows_are_stored_before_the_client_has_read_its_204(endpoint, session):
    """A client that has read the 204 finds its rows without waiting."""
    for i in range(100):
        upload(endpoint.url, [{"i": i}], session)
        assert endpoint.rows[-1] == {"i": i}


def test_a_callable_chooses_the_answer_by_the_request(endpoint):
    """As a script entry or as the default."""

    def poisoned(request):
        return any(row["Message"] == "poison" for row in request.rows or ())

    endpoint.default = lambda request: status(400) if poisoned(request) else STORED

    assert upload(endpoint.url, [{"Message": "poison"}]).status_code == HTTPStatus.BAD_REQUEST
    assert upload(endpoint.url, ROWS).status_code == HTTPStatus.NO_CONTENT
    assert endpoint.rows == ROWS


def test_when_chooses_between_two_answers_by_a_predicate(endpoint):
    """The second answer is a 204 unless given."""

    def big(request):
        return len(request.rows or ()) > 1

    endpoint.play(when(big, status(413)), when(big, status(413)), when(big, STORED, when(big, STORED, status(429))))
    codes = [upload(endpoint.url, rows).status_code for rows in (ROWS, ROWS[:1], ROWS[:1])]

    assert codes == [413, 204, 429]


def test_a_callable_that_raises_fails_the_next_wait_once(endpoint, capfd):
    """The wait fails at once, and nothing is printed."""
    endpoint.play(lambda request: status(request.rows["no"]))
    with pytest.raises(requests.ConnectionError):
        upload(endpoint.url, ROWS)
    with pytest.raises(AssertionError, match="TypeError"):
        endpoint.wait_for_rows(1)
    endpoint.stop()

    assert capfd.readouterr() == ("", "")


def test_a_callable_that_raises_fails_the_stop_if_nothing_waited():
    wrong = Endpoint(lambda _: None)
    with pytest.raises(AssertionError, match="NoneType"), wrong, pytest.raises(requests.ConnectionError):
        upload(wrong.url, ROWS)


def test_held_requests_stay_in_flight_until_go_gives_them_an_answer(endpoint):
    """Only the first `go` counts."""
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


def test_go_without_an_answer_means_204(endpoint):
    hold = Held()
    hold.go()
    endpoint.play(hold)

    assert upload(endpoint.url, ROWS).status_code == HTTPStatus.NO_CONTENT
    assert endpoint.rows == ROWS
