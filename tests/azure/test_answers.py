"""Every line of the table of answers, over real sockets, with the official client: no row is lost.

The test drives the clock, so that five minutes of waiting take no time.
"""

import email.utils
import logging
import socket
import ssl
import threading
from collections import Counter
from datetime import UTC, datetime

import orjson
import pytest
import trustme

from logging_azmon import AzureMonitorHandler, Pipeline
from logging_azmon._azure.uploader import Uploader
from logging_azmon._delivery.decision import TIME_RANGE
from logging_azmon.pipeline import lifecycle_of
from logging_azmon.testing import ManualClock
from support.credentials import Tokens
from support.delivering import Bench, line, messages
from support.endpoint import STORED, Endpoint, Hang, Held, Reset, status, when

ROWS = [str(number) for number in range(5)]


@pytest.fixture
def bench_of(server):
    """Build a bench that uploads to the server, with timeouts that a test can wait for."""
    benches = []

    def make(*answers, **arguments):
        server.play(*answers)
        defaults = {"endpoint": server.url, "connect_seconds": 5.0, "read_seconds": 10.0, "destination": Uploader}
        benches.append(Bench(**(defaults | arguments)))
        return benches[-1]

    yield make
    for bench in benches:
        bench.destination.close()


def http_date(moment):
    return email.utils.format_datetime(datetime.fromtimestamp(moment, UTC), usegmt=True)


def raw(wire):
    """Answer with these bytes, and close the connection."""
    answer = status(204, headers=[("Connection", "close")])
    return type(answer)(wire, stored=False, closes=True)


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(status(code, retry_after=after), id=f"{code} Retry-After {after}")
        for code in (408, 429, 500, 502, 503, 504)
        for after in (None, 0, 7, 86_400, http_date(1_800_000_030), http_date(1_700_000_000), "soon")
    ]
    + [
        pytest.param(status(403), id="403"),
        pytest.param(status(404), id="404"),
        pytest.param(status(400), id="400 InvalidStream"),
        pytest.param(status(401), id="401 once"),
        pytest.param(status(407), id="407"),
        pytest.param(status(415), id="415"),
        pytest.param(status(402), id="402"),
        pytest.param(status(200, body=b'{"welcome": "to the airport"}'), id="200 of a captive portal"),
        pytest.param(status(200, body=b"<html>log in</html>", headers=[("Content-Type", "text/html")]), id="200 HTML"),
        pytest.param(status(202), id="202"),
        *[
            pytest.param(status(code, headers=[("Location", "http://127.0.0.1:1/elsewhere")]), id=f"{code} redirect")
            for code in (301, 302, 303, 307, 308)
        ],
        pytest.param(status(304), id="304"),
        pytest.param(status(503, body=b""), id="503 without a body"),
        pytest.param(status(503, body=b"\xff\xfe{"), id="503 with rubbish"),
        pytest.param(status(503, body=b'{"error": null}'), id="503 with null"),
        pytest.param(status(503, body=b"[" * 100_000), id="503 with deep JSON"),
        pytest.param(
            status(503, body=b"<html>Bad gateway", headers=[("Content-Type", "text/html; charset=x-no")]), id="503 HTML"
        ),
        pytest.param(status(503, body=b"not gzip", headers=[("Content-Encoding", "gzip")]), id="503 that says gzip"),
        pytest.param(raw(b"SSH-2.0-OpenSSH_9.6\r\n"), id="not HTTP"),
        pytest.param(raw(b"HTTP/1.1 abc Strange\r\n\r\n"), id="no status"),
        pytest.param(raw(b"HTTP/1.1 503 Away\r\nContent-Length: 100\r\n\r\nhalf"), id="a body that ends too soon"),
        pytest.param(raw(b""), id="closed without an answer"),
        pytest.param(raw(b"HTTP/1.1 503 Away\r\nX: " + b"x" * 70_000 + b"\r\n\r\n"), id="a header that is too long"),
    ],
)
def test_rows_are_kept_through_any_failure_and_arrive_once(bench_of, server, trouble):
    bench = bench_of(trouble, trouble)
    bench.put_batch(*ROWS)
    bench.run()
    assert messages(server.rows) == ROWS
    stats = bench.stats
    assert (stats.delivered, stats.rejected, stats.dropped) == (5, 0, {})
    assert stats.requests == 3
    assert len(server.requests) == 3


@pytest.mark.parametrize("at", ["connect", "headers", "body", "answer"])
def test_rows_arrive_once_if_the_connection_is_reset_before_they_are_stored(bench_of, server, at):
    bench = bench_of(Reset(at), Reset(at))
    bench.put_batch(*ROWS)
    bench.run()
    assert messages(server.rows) == ROWS
    assert bench.stats.delivered == 5
    assert bench.reported("outage")


@pytest.mark.parametrize("at", ["answer", "half-answer"])
def test_rows_arrive_twice_only_if_the_response_is_lost(bench_of, server, at):
    """Uploads are not idempotent; Instance and Sequence identify each row, so that a query finds duplicates."""
    bench = bench_of(Reset(at, stored=True))
    bench.put_batch(*ROWS)
    bench.run()
    assert Counter(messages(server.rows)) == dict.fromkeys(ROWS, 2)
    assert (bench.stats.delivered, bench.stats.retries) == (5, 1)


@pytest.mark.parametrize("at", ["headers", "answer", "half-answer"])
def test_request_to_a_hanging_service_is_given_up_after_read_seconds(bench_of, server, at):
    bench = bench_of(Hang(at), read_seconds=0.2)
    bench.put_batch(*ROWS)
    bench.step()
    assert bench.stats.queued == 5
    assert bench.reported("outage")
    bench.run()
    assert set(messages(server.rows)) == set(ROWS)
    assert bench.stats.delivered == 5


def test_rows_wait_while_connections_are_refused(bench_of, server):
    bench = bench_of()
    bench.put_batch("first")
    bench.run()
    server.refuse()
    bench.put_batch(*ROWS)
    bench.run(seconds=3_600.0)
    assert bench.stats.queued == 5
    assert "cannot be reached" in bench.reported("outage")[0]
    server.listen_again()
    bench.run()
    assert messages(server.rows) == ["first", *ROWS]


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7), ("300", 300), ("86400", 300), (http_date(1_800_000_030), 30)]
)
def test_retry_waits_for_a_retry_after_in_seconds_or_as_a_date(bench_of, server, header, seconds):
    bench = bench_of(status(429, retry_after=header))
    bench.put_batch(*ROWS)
    assert bench.run() == pytest.approx(seconds)
    assert bench.stats.requests == 2


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (status(403), ["Monitoring Metrics Publisher on dcr-0123", "30 minutes", "5 rows are waiting"]),
        (status(404), ["rule_id=dcr-0123", "immutable"]),
        (status(400), ["Custom-App_CL is not declared in dcr-0123", "5 minutes"]),
        (status(401), ["token is not accepted"]),
        (status(200, body=b"<html>"), ["captive portal"]),
        (status(302, headers=[("Location", "https://login.example")]), ["redirects are not followed"]),
        (status(407), ["proxy requires a login"]),
        (status(415), ["gzipped JSON"]),
        (raw(b"SSH-2.0-OpenSSH_9.6\r\n"), ["cannot be read"]),
    ],
)
def test_configuration_error_is_reported_with_what_to_do_and_retried_slowly(bench_of, server, trouble, words):
    bench = bench_of(*[trouble] * 2)
    bench.put_batch(*ROWS)
    assert bench.run() >= 30.0
    reports = bench.reported("configuration")
    assert reports
    for word in words:
        assert word in reports[0]
    assert messages(server.rows) == ROWS


def test_redirects_are_not_followed(bench_of, server):
    with Endpoint() as elsewhere:
        location = [("Location", elsewhere.url + "/dataCollectionRules/dcr-0123/streams/Custom-App_CL")]
        bench = bench_of(*[status(code, headers=location) for code in (301, 302, 303, 307, 308)])
        bench.put_batch(*ROWS)
        bench.run()
        assert elsewhere.connections == 0
    assert messages(server.rows) == ROWS


def test_413_splits_a_batch_until_its_parts_fit(bench_of, server):
    server.default = when(lambda request: len(request.rows) > 2, status(413))
    bench = bench_of()
    bench.put_batch(*ROWS)
    bench.run()
    assert messages(server.rows) == ROWS
    assert bench.stats.rejected == 0


def test_single_row_that_is_too_large_is_shrunk_then_rejected(bench_of, server):
    server.default = when(lambda request: len(request.body) > 50_000, status(413))
    bench = bench_of()
    bench.put_batch(line("fits when shrunk", 90_000))
    bench.put_batch(line("never fits", 400_000))
    bench.put_batch("small")
    bench.run()
    assert messages(server.rows) == ["fits when shrunk", "small"]
    assert bench.stats.rejected == 1


@pytest.mark.parametrize("poison", [{3}, {0, 77, 78, 199}, set(range(200))], ids=["one", "many", "all"])
def test_poison_rows_are_rejected_and_all_others_arrive_within_the_budget(bench_of, server, poison):
    malformed = status(400, error=("InvalidPayload", "malformed JSON"))
    server.default = when(lambda request: any(int(row["Message"]) in poison for row in request.rows), malformed)
    bench = bench_of()
    bench.put_batch(*range(200))
    bench.run()
    assert {int(message) for message in messages(server.rows)} == set(range(200)) - poison
    assert len(server.rows) == 200 - len(poison)
    assert bench.stats.rejected == len(poison)
    assert len(server.requests) <= 257
    rejected = b"".join(trouble.rows_json for trouble in bench.troubles if trouble.kind == "rejected")
    assert {int(orjson.loads(row)["Message"]) for row in rejected.splitlines()} == poison


def test_rows_more_than_30_minutes_apart_are_sent_in_groups(bench_of, server):
    too_long = status(400, error=(TIME_RANGE, "The time duration should be within the range of 0 to 30 minutes."))
    server.default = when(lambda request: len({row["TimeGenerated"][11:13] for row in request.rows}) > 1, too_long)
    bench = bench_of()
    bench.put_batch(*[line(n, TimeGenerated=f"2026-11-20T{n:02}:00:00.000000Z") for n in range(5)])
    bench.run()
    assert sorted(messages(server.rows)) == ROWS
    assert len(server.requests) == 6


def test_bodies_are_gzipped_json_arrays_of_one_stream(bench_of, server):
    bench = bench_of(batch_bytes=4_096, queue_bytes=10**6)
    bench.put(*range(300), size=100)
    bench.run()
    assert [int(message) for message in messages(server.rows)] == list(range(300))
    for request in server.requests:
        assert (request.method, request.rule, request.stream) == ("POST", "dcr-0123", "Custom-App_CL")
        assert len(request.body) <= 4_096
        assert request.headers["content-encoding"] == "gzip"
        assert request.headers["content-type"] == "application/json"
        assert int(request.headers["content-length"]) == len(request.raw)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def secure(authority, monkeypatch, tmp_path):
    """Serve HTTPS with a certificate that this process trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    with Endpoint(tls=context) as endpoint:
        yield endpoint


def token_of(request):
    return request.headers["authorization"]


class TestOverTLS:
    @pytest.fixture
    def bench_of(self, secure):
        benches = []

        def make(credential, **arguments):
            benches.append(Bench(endpoint=secure.url, credential=credential, destination=Uploader, **arguments))
            return benches[-1]

        yield make
        for bench in benches:
            bench.destination.close()

    def test_refused_token_is_renewed_once_without_a_pause(self, bench_of, secure):
        secure.default = when(lambda request: token_of(request) == "Bearer token-1", status(401))
        bench = bench_of(Tokens())
        bench.put_batch(*ROWS)
        assert bench.run() == 0.0
        assert messages(secure.rows) == ROWS
        assert [token_of(request) for request in secure.requests] == ["Bearer token-1", "Bearer token-2"]
        assert bench.troubles == []

    def test_accepted_token_is_used_again(self, bench_of, secure):
        bench = bench_of(Tokens())
        for row in ROWS:
            bench.put_batch(row)
        bench.run()
        assert {token_of(request) for request in secure.requests} == {"Bearer token-1"}
        assert secure.connections == 1

    def test_netrc_does_not_replace_the_token(self, bench_of, secure, monkeypatch, tmp_path):
        (tmp_path / "netrc").write_text("default login me password hunter2\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        bench = bench_of(Tokens())
        bench.put_batch(*ROWS)
        bench.run()
        assert [token_of(request) for request in secure.requests] == ["Bearer token-1"]

    def test_endless_401s_are_retried_slowly(self, bench_of, secure):
        secure.play(*[status(401)] * 4)
        bench = bench_of(Tokens())
        bench.put_batch(*ROWS)
        assert bench.run() >= 60.0
        assert messages(secure.rows) == ROWS
        assert "cloud=" in bench.reported("configuration")[0]

    @pytest.mark.parametrize("error", [ValueError("no login"), SystemExit(1), RecursionError()])
    def test_credential_that_raises_costs_time_but_no_row(self, bench_of, secure, error):
        bench = bench_of(Tokens(error, error))
        bench.put_batch(*ROWS)
        assert bench.run() >= 60.0
        assert messages(secure.rows) == ROWS
        assert type(error).__name__ in bench.reported("configuration")[0]
        assert "no token could be obtained" in bench.reported("configuration")[0]
        assert "5 rows are waiting" in bench.reported("configuration")[0]

    def test_untrusted_certificate_is_a_tls_failure_until_it_is_trusted(self, bench_of, secure, monkeypatch, tmp_path):
        bench = bench_of(Tokens())
        trusted = tmp_path / "ca.pem"
        trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "other.pem"))
        bench.put_batch(*ROWS)
        bench.step()
        assert f"TLS to {secure.url} failed" in bench.reported("configuration")[0]
        assert secure.requests == []
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(trusted))
        assert bench.run() >= 30.0
        assert messages(secure.rows) == ROWS

    def test_https_to_a_server_that_speaks_http_is_a_tls_failure(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def answer():
                with listener.accept()[0] as connection:
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    connection.recv(1)

            thread = threading.Thread(target=answer)
            thread.start()
            url = f"https://127.0.0.1:{listener.getsockname()[1]}"
            bench = Bench(endpoint=url, credential=Tokens(), destination=Uploader)
            bench.put_batch(*ROWS)
            bench.step()
            bench.destination.close()
            thread.join(10)
        assert f"TLS to {url} failed" in bench.reported("configuration")[0]
        assert bench.stats.queued == 5

    # Not at "connect": there the standard library's ssl leaves a socket open, which is a warning.
    @pytest.mark.parametrize("at", ["headers", "body", "answer"])
    def test_tls_connection_that_is_reset_is_an_outage_not_a_tls_failure(self, bench_of, secure, at):
        secure.play(Reset(at), Reset(at))
        bench = bench_of(Tokens())
        bench.put_batch(*ROWS)
        bench.run()
        assert messages(secure.rows) == ROWS
        assert bench.reported("outage")
        assert bench.reported("configuration") == []

    def test_tls_connection_closed_without_notice_is_an_outage_not_a_tls_failure(self, bench_of, secure):
        """TLS would announce the end by a close_notify."""
        held = Held()
        secure.play(held)
        bench = bench_of(Tokens())
        bench.put_batch(*ROWS)
        cutter = threading.Thread(target=lambda: held.arrived.wait(10) and secure.refuse())
        cutter.start()
        bench.step()
        cutter.join(10)
        held.go()
        assert bench.reported("outage")
        assert bench.reported("configuration") == []
        secure.listen_again()
        bench.run()
        assert set(messages(secure.rows)) == set(ROWS)


class TestWithThreads:
    def pipelines(self, server, clock, number, **options):
        made = []
        for index in range(number):
            pipeline = Pipeline(
                server.url, "dcr-0123", f"Custom-App{index}_CL", clock=clock, report=lambda trouble: None, **options
            )
            handler = AzureMonitorHandler(pipeline=pipeline)
            logger = logging.Logger(f"app{index}")
            logger.addHandler(handler)
            made.append((logger, handler))
        return made

    def test_one_batch_probes_during_an_outage_and_all_pipelines_resume_after_it(self, server):
        """Three pipelines with one listener each: once the others wait for the clock, only one sends."""
        clock = ManualClock()
        server.default = status(503, retry_after=30)
        made = self.pipelines(server, clock, 3, uploads=1)
        for logger, handler in made:
            logger.warning("row")
            lifecycle_of(handler.pipeline).make_all_due()
        clock.wait_for_waiters(3)
        assert 1 <= len(server.requests) <= 3
        for _ in range(3):
            before = len(server.requests)
            held = Held()
            server.default = held
            clock.advance(30)
            assert held.arrived.wait(10)
            clock.wait_for_waiters(2)
            assert len(server.requests) == before + 1, "one batch probes"
            held.go(status(503, retry_after=30))
            clock.wait_for_waiters(3)
            assert len(server.requests) == before + 1, "its failure pauses all pipelines again"
        held = Held()
        server.default = held
        clock.advance(30)
        assert held.arrived.wait(10)
        clock.wait_for_waiters(2)
        server.default = STORED
        held.go()
        # The clock is not advanced: the success of the probe wakes the others.
        assert len(server.wait_for_rows(3)) == 3
        clock.wait_for_waiters(3)
        for _, handler in made:
            assert handler.stats().delivered == 1
            handler.pipeline.close()

    def test_configuration_error_of_one_stream_does_not_pause_the_others(self, server):
        clock = ManualClock()
        server.default = when(lambda request: request.stream == "Custom-App0_CL", status(403))
        made = self.pipelines(server, clock, 2, uploads=1)
        made[0][0].warning("forbidden")
        lifecycle_of(made[0][1].pipeline).make_all_due()
        server.wait_for_requests(1)
        clock.wait_for_waiters(1)
        for number in range(5):
            made[1][0].warning("row %s", number)
            lifecycle_of(made[1][1].pipeline).make_all_due()
            server.wait_for_rows(number + 1)
        assert made[0][1].stats().delivered == 0
        server.default = STORED
        for _, handler in made:
            assert handler.flush()
            handler.pipeline.close()
        assert len(server.rows) == 6

    def test_listeners_that_fail_together_pause_once_and_resume_together(self, server):
        clock, held = ManualClock(), Held()
        server.default = held
        ((logger, handler),) = self.pipelines(server, clock, 1, batch_bytes=4_096, uploads=4)
        for number in range(100):
            logger.warning("%s %s", number, "x" * 400)
        server.wait_for_requests(4)
        server.default = STORED
        held.go(status(503, retry_after=5))
        clock.wait_for_waiters(4)
        failed = len(server.requests)
        assert failed == 4
        clock.advance(5)
        assert handler.flush()
        assert sorted(int(row["Message"].split()[0]) for row in server.rows) == list(range(100))
        assert handler.stats().retries == 4
        handler.pipeline.close()
