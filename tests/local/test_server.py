"""The local workspace's HTTP server and what keeps it safe on a developer's machine."""

import datetime as dt
import gc
import http.client
import json
import re
import socket
import ssl
import struct
import threading
import time
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

import logging_azmon.local
from logging_azmon.errors import ConfigurationError
from logging_azmon.local import QueryError, Workspace
from logging_azmon.local.http.message import Request, Response
from logging_azmon.local.http.server import MAX_HEADERS, MAX_LINE, Server
from logging_azmon.local.ingest.intake import Intake
from logging_azmon.local.ingest.quota import Quota
from logging_azmon.local.page.event_stream import EventStreams
from logging_azmon.local.query.queries import Queries
from logging_azmon.local.rules import DEFAULT_RULE
from logging_azmon.local.storage.problems import MAX_KEPT, Problems, mistyped, not_stored
from logging_azmon.local.storage.store import Store
from logging_azmon.local.storage.writer import Writer
from support.local_client import TIMEOUT, ask, call, send

UPLOAD = "/dataCollectionRules/dcr-local/streams/Custom-App?api-version=2023-01-01"


@pytest.fixture(scope="module")
def workspace():
    with Workspace() as ws:
        yield ws


@pytest.fixture
def port(workspace):
    return urlsplit(workspace.endpoint).port


@pytest.fixture
def wire(port):
    """Send bytes, return everything that comes back until the server closes."""

    def talk(data, *, half_close=True):
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as connection:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            parts = []
            while part := connection.recv(65_536):
                parts.append(part)
        return b"".join(parts)

    return talk


def head(port, *lines, path=UPLOAD, method="POST"):
    fixed = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Authorization: Bearer x"]
    return "\r\n".join([*fixed, *lines, "", ""]).encode()


# who may ask


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_the_loopback_names_are_answered(workspace, port, name):
    assert call(workspace, "GET", "/api/tables", headers={"Host": f"{name}:{port}"}).status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:{port}", "", ":"],
)
def test_any_other_host_name_is_refused(workspace, port, host):
    answer = call(workspace, "GET", "/api/tables", headers={"Host": host.format(port=port)})
    assert (answer.status, answer.code) == (421, "MisdirectedRequest")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1:{port}"])
def test_requests_from_pages_of_other_origins_are_refused(workspace, port, origin):
    headers = {"Origin": origin.format(port=port)}
    assert call(workspace, "POST", UPLOAD, [{}], headers).code == "CrossOriginRequest"
    assert call(workspace, "POST", "/api/faults", "503", headers).code == "CrossOriginRequest"
    assert call(workspace, "GET", "/api/faults").json == []


def test_requests_that_a_browser_marks_as_cross_site_are_refused(workspace):
    assert call(workspace, "GET", "/api/tables", headers={"Sec-Fetch-Site": "cross-site"}).status == 403
    assert call(workspace, "GET", "/api/tables", headers={"Sec-Fetch-Site": "same-origin"}).status == 200


def test_the_page_itself_may_ask(workspace, port):
    headers = {"Origin": f"http://127.0.0.1:{port}"}
    assert call(workspace, "POST", "/v1/workspaces/local/query", {"query": "print 1"}, headers).status == 200


def test_a_further_name_is_answered_when_it_was_given():
    with Workspace(names=["logs"]) as ws:
        port = urlsplit(ws.endpoint).port
        assert call(ws, "GET", "/api/tables", headers={"Host": f"logs:{port}"}).status == 200


def test_on_all_addresses_a_bare_address_is_answered_and_a_name_is_not():
    with Workspace(host="0.0.0.0") as ws:
        port = urlsplit(ws.endpoint).port
        assert ws.endpoint == f"http://127.0.0.1:{port}"
        assert call(ws, "GET", "/api/tables", headers={"Host": f"192.0.2.7:{port}"}).status == 200
        assert call(ws, "GET", "/api/tables", headers={"Host": f"evil.example:{port}"}).status == 421


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_the_other_loopback_address_can_be_listened_on():
    with Workspace(host="::1") as ws:
        assert ws.endpoint.startswith("http://[::1]:")
        assert send(ws, [{}]).status == 204


def test_a_port_that_is_taken_is_told(port):
    said = f"cannot listen on 127.0.0.1:{port}: Address already in use; try another port, or 0 for any free one"
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        Workspace(port=port).start()


@pytest.mark.parametrize("number", [-1, 65536])
def test_a_port_that_cannot_be_is_told(number):
    with pytest.raises(ConfigurationError, match=f"127.0.0.1:{number}: ports go from 0 to 65535; try another port"):
        Workspace(port=number).start()


# what is read


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
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    ],
)
def test_what_is_no_http_is_answered_and_the_connection_closed(wire, data, status):
    assert wire(data).startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize("data", [b"", b"\r\n", b"GET / HTT", b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab"])
def test_a_client_that_leaves_early_is_forgotten(wire, workspace, data):
    wire(data)
    assert call(workspace, "GET", "/api/tables").status == 200


def test_a_connection_stays_open_between_requests(port, wire):
    request = head(port, "Content-Length: 2") + b"[]"
    answers = wire(request * 3 + head(port, "Content-Length: 2", "Connection: close") + b"[]" + request)
    assert answers.count(b"HTTP/1.1 204") == 4


def test_http_1_0_gets_one_answer(port, wire):
    answers = wire(f"GET /api/faults HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode() * 2)
    assert answers.count(b"HTTP/1.1 200") == 1


def test_chunked_bodies_are_read(workspace, port, wire):
    body = json.dumps([{"Message": "chunked"}]).encode()
    chunks = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(part), part) for part in (body[:5], body[5:]))
    answer = wire(head(port, "Transfer-Encoding: chunked") + chunks + b"0\r\nTrailer: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 204")
    assert workspace.query("App_CL | where Message == 'chunked' | count") == [{"Count": 1}]


def test_a_chunked_body_that_is_too_long_is_refused(port, wire):
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    answer = wire(head(port, "Transfer-Encoding: chunked") + chunk * 2 + b"0\r\n\r\n")
    assert b"ContentLengthLimitExceeded" in answer


def test_a_body_that_never_ends_is_given_up(port, wire):
    chunk = b"2000000\r\n" + b" " * 0x2000000 + b"\r\n"
    with suppress(ConnectionError):  # whoever sends on and on may miss the answer
        assert b"The body does not end." in wire(head(port, "Transfer-Encoding: chunked") + chunk * 3)


def test_a_client_that_asks_first_is_told_to_continue_or_refused(port, wire):
    answer = wire(head(port, "Content-Length: 2", "Expect: 100-continue") + b"[]")
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204")
    answer = wire(head(port, "Content-Length: 2000000", "Expect: 100-continue"))
    assert answer.startswith(b"HTTP/1.1 413")


def test_a_body_that_is_too_long_is_refused_everywhere(workspace):
    assert call(workspace, "POST", "/v1/workspaces/local/query", b" " * 1_048_577).status == 413


def test_head_gets_no_body(workspace):
    answer = call(workspace, "HEAD", "/")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["content-length"]) > 0


@pytest.mark.parametrize("path", ["/nope", "/page/nope.js", "/page/../app.py", "/page/%2e%2e/app.py", "//", "/page/"])
def test_what_is_not_there_is_not_found(workspace, path):
    assert call(workspace, "GET", path).status == 404


def test_the_page_may_load_nothing_from_elsewhere(workspace):
    answer = call(workspace, "GET", "/")
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not re.search(r"unsafe|data:", answer.headers["content-security-policy"])
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_tls_client_that_resets_leaves_no_socket_behind():
    """Warnings are errors: a socket that nobody closed would warn when it is collected."""
    with Workspace(tls=True) as ws:
        context = ssl.create_default_context(cafile=ws.ca_path)
        for _ in range(20):
            raw = socket.create_connection(("127.0.0.1", urlsplit(ws.endpoint).port), timeout=TIMEOUT)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            context.wrap_socket(raw, server_hostname="127.0.0.1").close()
    gc.collect()


def test_plain_http_to_a_tls_port_costs_nobody_else():
    with Workspace(tls=True) as ws:
        port = urlsplit(ws.endpoint).port
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with suppress(ConnectionError), connection.makefile("rb") as reader:
                assert not reader.read().startswith(b"HTTP")
        with (
            socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as raw,
            pytest.raises(ssl.SSLCertVerificationError),
        ):
            ssl.create_default_context().wrap_socket(raw, server_hostname="localhost")
        assert send(ws, [{}]).status == 204


def test_close_ends_idle_connections_and_tails(workspace):
    with Workspace() as ws:
        port = urlsplit(ws.endpoint).port
        idle = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        tail = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        tail.sendall(head(port, path="/api/tail?table=App_CL", method="GET"))
        assert tail.recv(100).startswith(b"HTTP/1.1 200")
        started = time.monotonic()
    assert time.monotonic() - started < 5
    for connection in (idle, tail):
        with connection, connection.makefile("rb") as reader:
            reader.read()
    ws.close()


# the page's own data


def events(ws, table, count):
    """Read a tail's events until `count` rows have come."""
    port = urlsplit(ws.endpoint).port
    rows = []
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as connection:
        connection.sendall(head(port, path=f"/api/tail?table={table}", method="GET"))
        with connection.makefile("rb") as reader:
            yield "open"
            while len(rows) < count:
                line = reader.readline()
                assert line, "the tail has ended"
                if line.startswith(b"data: "):
                    rows.extend(json.loads(line[6:]))
    yield rows


def test_a_tail_shows_stored_rows_and_then_new_ones():
    with Workspace() as ws:
        send(ws, [{"Message": "old", "Properties": {"a": [1]}}])
        ws.rows("App_CL")
        tail = events(ws, "App_CL", 3)
        next(tail)
        send(ws, [{"Message": "new"}, {"Message": "newer"}])
        rows = next(tail)
    assert [row["Message"] for row in rows] == ["old", "new", "newer"]
    assert rows[0]["Properties"] == {"a": [1]}
    assert rows[0]["TimeGenerated"].endswith("Z")


def test_a_tail_begins_with_the_newest_thousand():
    with Workspace() as ws:
        send(ws, [{"Sequence": n} for n in range(1_500)])
        ws.rows("App_CL")
        tail = events(ws, "App_CL", 1_000)
        next(tail)
        assert [row["Sequence"] for row in next(tail)] == list(range(500, 1_500))


def test_a_tail_of_no_table_is_not_found(workspace):
    assert call(workspace, "GET", "/api/tail?table=Nope").status == 404


def test_only_so_many_tails_are_open():
    with Workspace() as ws:
        port = urlsplit(ws.endpoint).port
        connections = [socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) for _ in range(17)]
        starts = []
        for connection in connections:
            connection.sendall(head(port, path="/api/tail?table=App_CL", method="GET"))
            starts.append(connection.recv(12))
        assert starts == [b"HTTP/1.1 200"] * 16 + [b"HTTP/1.1 503"]
        for connection in connections:
            connection.close()


def test_tables_and_problems_are_listed():
    with Workspace() as ws:
        send(ws, [{"Message": "x", "Nope": 1}, {"Line": "x"}])
        ws.rows("App_CL")
        tables = {table["name"]: table for table in call(ws, "GET", "/api/tables").json}
        assert set(tables) == {"App_CL", "DCRLogErrors"}
        assert tables["App_CL"]["rows"] == 2
        assert tables["App_CL"]["columns"][0] == {"name": "TimeGenerated", "type": "datetime"}
        problems = call(ws, "GET", "/api/problems").json
        assert [(each["kind"], each["column"], each["count"]) for each in problems] == [
            ("mistyped", "Line", 1),
            ("dropped", "Nope", 1),
        ]
        assert all(
            each["advice"] and each["time"].endswith("Z") and each["stream"] == "Custom-App" for each in problems
        )


# queries


def test_an_answer_has_the_services_shape(workspace):
    query = (
        "print s='x', i=int(1), l=2, r=1.5, b=true, d=datetime(2026-01-01), t=1d, j=parse_json('{\"a\":1}'),"
        " n=real(nan), g=guid(00000000-0000-0000-0000-000000000001), e=int(null), m=-90m,"
        " f=datetime(2026-01-01 00:00:00.25),"
        " o=timespan(null)"
    )
    (table,) = ask(workspace, query).json["tables"]
    assert table["name"] == "PrimaryResult"
    assert {column["name"]: column["type"] for column in table["columns"]} == {
        "s": "string",
        "i": "int",
        "l": "long",
        "r": "real",
        "b": "bool",
        "d": "datetime",
        "t": "timespan",
        "j": "dynamic",
        "n": "real",
        "g": "guid",
        "e": "int",
        "m": "timespan",
        "f": "datetime",
        "o": "timespan",
    }
    assert table["rows"] == [
        [
            "x",
            1,
            2,
            1.5,
            True,
            "2026-01-01T00:00:00Z",
            "1.00:00:00",
            '{"a":1}',
            "NaN",
            "00000000-0000-0000-0000-000000000001",
            None,
            "-01:30:00",
            "2026-01-01T00:00:00.25Z",
            None,
        ]
    ]


def test_lists_are_dynamic_and_come_as_json_text(workspace):
    answer = ask(workspace, "range x from 1 to 2 step 1 | summarize l = make_list(x), s = make_set(x)")
    (table,) = answer.json["tables"]
    assert [column["type"] for column in table["columns"]] == ["dynamic", "dynamic"]
    assert json.loads(table["rows"][0][0]) == [1, 2]
    answer = ask(workspace, "range x from 1 to 2 step 1 | summarize make_list(x * 1h), make_list(datetime(2026-01-01))")
    assert [json.loads(cell) for cell in answer.json["tables"][0]["rows"][0]] == [
        ["01:00:00", "02:00:00"],
        ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"],
    ]


@pytest.mark.parametrize(
    ("timespan", "count"),
    [
        (None, 3),
        ("", 3),
        ("PT1H", 2),
        ("PT86400.0S", 3),
        ("P1D", 3),
        ("P0.5D", 3),
        ("2026-03-10T00:00:00Z/2026-03-10T06:00:00Z", 1),
        ("2026-03-10T00:00:00.0000000Z/PT12H", 2),
        ("PT1H/2026-03-10T12:00:00Z", 1),
        ("2026-03-10T01:00:00+01:00/P1W", 3),
    ],
)
def test_a_timespan_limits_every_table(timespan, count):
    now = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
    with Workspace(now=lambda: now) as ws:
        send(ws, [{"TimeGenerated": f"2026-03-10T{hour}:30:00Z"} for hour in ("05", "11")])
        send(ws, [{"TimeGenerated": "2026-03-10T12:30:00Z"}])
        ws.rows("App_CL")
        answer = ask(ws, "App_CL | count", timespan=timespan)
        assert answer.json["tables"][0]["rows"] == [[count]]


@pytest.mark.parametrize("timespan", ["x", "P", "1h", "2026-01-01", "a/b", "P1D/P1D", 5, "P99999999999D"])
def test_a_timespan_that_cannot_be_read_is_refused(workspace, timespan):
    answer = ask(workspace, "App_CL", timespan=timespan)
    assert (answer.status, answer.code) == (400, "BadArgumentError")
    assert "timespan" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"query": 5}', b'"x"', b'{"query": "x", "workspaces": ["y"]}']
)
def test_a_request_that_is_no_query_is_refused(workspace, body):
    answer = call(workspace, "POST", "/v1/workspaces/local/query", body)
    assert (answer.status, answer.code) == (400, "BadArgumentError")


def test_another_workspace_is_not_found(workspace):
    assert call(workspace, "POST", "/v1/workspaces/x/query", {"query": "print 1"}).status == 404


def test_the_path_may_lack_the_version(workspace):
    assert call(workspace, "POST", "/workspaces/local/query", {"query": "print 1"}).status == 200


def test_a_batch_is_answered_in_order(workspace):
    requests = [
        {"id": "1", "workspace": "local", "body": {"query": "print 1"}},
        {"id": "2", "workspace": "local", "body": {"query": "nope"}},
        "nonsense",
    ]
    responses = call(workspace, "POST", "/v1/$batch", {"requests": requests}).json["responses"]
    assert [(each["id"], each["status"]) for each in responses] == [("1", 200), ("2", 400), (None, 404)]
    assert responses[0]["body"]["tables"][0]["rows"] == [[1]]


@pytest.mark.parametrize("body", [b"", {}, [], {"requests": 5}, {"requests": [{}] * 101}])
def test_what_is_no_batch_is_refused(workspace, body):
    assert call(workspace, "POST", "/v1/$batch", body).code == "BadArgumentError"


def test_a_runaway_query_is_stopped_and_others_are_answered():
    with Workspace(query_seconds=0.3) as ws:
        query = (
            "range a from 1 to 100000 step 1 | extend k = 1"
            " | join kind=inner (range b from 1 to 100000 step 1 | extend k = 1) on k | summarize sum(a * b)"
        )
        answer = ask(ws, query)
        assert answer.status == 400
        assert answer.json["error"]["innererror"]["code"] == "Timeout"
        assert ask(ws, "print 1").status == 200
        assert send(ws, [{}]).status == 204


@pytest.mark.parametrize(
    "query",
    [
        "range a from 1 to 1000000000000 step 1 | summarize make_list(a)",
        "range a from 1 to 1000000000000 step 1 | count",
        "range t from datetime(2000-01-01) to datetime(2026-01-01) step 1ms | summarize dcount(t)",
        "range a from 1 to 1000 step 1 | make-series n = count() on a from 0 to 1000000000000 step 1",
        "print strrep('x', 1000000000)",
        "range a from 1 to toscalar(print strlen('x') * 1000000000000) step 1 | sort by a | take 1",
    ],
)
def test_a_query_that_wants_all_the_memory_or_time_is_refused(query):
    with Workspace(query_seconds=1) as ws:
        answer = ask(ws, query)
        assert answer.status == 400
        assert answer.json["error"]["innererror"]["code"] in ("LimitExceeded", "Timeout", "SemanticError")
        assert ask(ws, "print 1").status == 200


def test_a_result_that_is_too_long_is_cut_and_says_so(workspace):
    answer = ask(workspace, "range a from 1 to 500001 step 1")
    assert len(answer.json["tables"][0]["rows"]) == 500_000
    assert answer.json["error"]["code"] == "PartialError"


# faults


def test_faults_are_played_in_order_and_end():
    with Workspace(faults=["503*2", "429,retry-after=7"]) as ws:
        answers = [send(ws, [{}]) for _ in range(4)]
        assert [answer.status for answer in answers] == [503, 503, 429, 204]
        assert answers[2].headers["retry-after"] == "7"
        assert len(ws.rows("App_CL")) == 1


def test_a_reset_loses_the_answer_and_with_stored_only_the_answer():
    with Workspace() as ws:
        ws.fault("reset", "reset,stored")
        for expected in (0, 1):
            with pytest.raises(ConnectionError):
                send(ws, [{}])
            assert len(ws.rows("App_CL")) == expected
        assert send(ws, [{}]).status == 204


def test_a_latency_delays_the_answer_and_ends_when_faults_are_cleared():
    with Workspace() as ws:
        ws.fault("latency=600")
        answered = threading.Event()
        thread = threading.Thread(target=lambda: send(ws, [{}]).status == 204 and answered.set(), daemon=True)
        thread.start()
        assert not answered.wait(0.2)
        ws.clear_faults()
        assert answered.wait(TIMEOUT)
        thread.join(TIMEOUT)


def test_an_outage_resets_everything_until_it_ends():
    with Workspace(faults=["outage=600"]) as ws:
        with pytest.raises(ConnectionError):
            send(ws, [{}])
        assert ask(ws, "print 1").status == 200
        assert call(ws, "GET", "/api/faults").json[0].startswith("outage=")
        assert call(ws, "DELETE", "/api/faults").json == []
        assert send(ws, [{}]).status == 204


def test_faults_are_controlled_over_http():
    with Workspace() as ws:
        assert call(ws, "POST", "/api/faults", ["503*2", "reset"]).json == ["503*2", "reset*1"]
        assert send(ws, [{}]).status == 503
        assert call(ws, "GET", "/api/faults").json == ["503*1", "reset*1"]
        assert call(ws, "PUT", "/api/faults").status == 405
        assert call(ws, "POST", "/api/faults", b"{").status == 400


@pytest.mark.parametrize(
    "fault",
    [
        "",
        "x",
        "200",
        "499",
        "503*0",
        "503,stored",
        "reset,retry-after=5",
        "outage=5*2",
        "latency=4000",
        "latency=-1",
        5,
    ],
)
def test_what_is_no_fault_is_refused_with_how_it_is_written(fault):
    with Workspace() as ws, pytest.raises(ValueError, match=r"is not a fault: write 503\*3"):
        ws.fault(fault)
    with pytest.raises(ConfigurationError, match="is no fault"):
        Workspace(faults=[fault])


# tokens


def test_tokens_are_given_to_who_asks_as_azures_clients_do(workspace):
    form = b"grant_type=client_credentials&client_id=c&scope=https%3A%2F%2Fmonitor.azure.com%2F.default"
    answer = call(workspace, "POST", "/tenant/oauth2/v2.0/token", form)
    assert answer.json["token_type"] == "Bearer"
    assert answer.json["access_token"].count(".") == 2
    assert call(workspace, "POST", "/tenant/oauth2/v2.0/token", b"").status == 400
    configuration = call(workspace, "GET", "/tenant/v2.0/.well-known/openid-configuration").json
    assert configuration["token_endpoint"] == f"{workspace.endpoint}/tenant/oauth2/v2.0/token"


def test_a_managed_identity_needs_its_header(workspace):
    path = "/msi/token?api-version=2019-08-01&resource=https://monitor.azure.com"
    assert call(workspace, "GET", path).status == 400
    assert "access_token" in call(workspace, "GET", path, headers={"X-IDENTITY-HEADER": "local"}).json
    assert call(workspace, "POST", path).status == 404


# the object in Python


def test_a_workspace_can_be_started_and_closed_by_hand():
    ws = Workspace()
    assert repr(ws) == "<Workspace not started>"
    with pytest.raises(RuntimeError, match="not started"):
        _ = ws.endpoint
    with pytest.raises(RuntimeError, match="not started"):
        ws.rows("App_CL")
    ws.close()
    assert ws.start() is ws
    assert ws.start() is ws
    assert ws.endpoint in repr(ws)
    ws.close()
    ws.close()


def test_wait_for_returns_the_rows_as_soon_as_they_are_there(workspace):
    timer = threading.Timer(0.1, lambda: send(workspace, [{"Message": "awaited"}]))
    timer.start()
    (row,) = workspace.wait_for("App_CL | where Message == 'awaited'", timeout=TIMEOUT)
    assert row["Message"] == "awaited"
    timer.join(TIMEOUT)
    with pytest.raises(TimeoutError, match=r"has 0 rows after 0\.05 s, not 2"):
        workspace.wait_for("App_CL | where Message == 'never'", rows=2, timeout=0.05)


def test_python_is_never_given_half_an_answer(workspace):
    with pytest.raises(QueryError, match="more than 500,000 rows"):
        workspace.query("range a from 1 to 500001 step 1")


def test_the_package_has_no_other_names():
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = logging_azmon.local.nope


def test_a_table_that_is_not_there_is_told_with_those_that_are(workspace):
    with pytest.raises(LookupError, match="no table 'Nope'; the tables are App_CL, DCRLogErrors"):
        workspace.rows("Nope")
    assert set(workspace.tables) == {"App_CL", "DCRLogErrors"}


def test_bodies_that_cannot_be_stored_together_are_stored_one_by_one(monkeypatch):
    """One of them may be at fault, and the others are not."""
    failures, attempt = [Exception("together")], Writer._try  # noqa: SLF001 - stands in for it

    def once(self, *args):
        return failures.pop() if failures else attempt(self, *args)

    monkeypatch.setattr(Writer, "_try", once)
    with Workspace() as workspace:
        assert send(workspace, [{"Message": "a"}]).status == 204
        assert [row["Message"] for row in workspace.rows("App_CL")] == ["a"]


def test_the_data_directory_is_for_its_owner_alone(tmp_path):
    with Workspace(data=tmp_path / "new", tls=True) as ws:
        assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
        assert ws.ca_path.parent == tmp_path / "new"
        assert (tmp_path / "new" / "ca-key.pem").stat().st_mode & 0o777 == 0o600
        with pytest.raises(ConfigurationError, match="cannot be opened"):
            Workspace(data=tmp_path / "new", port=0).start()


def test_a_directory_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("x")
    tmp_path.chmod(0o755)
    with pytest.raises(ConfigurationError, match="holds other files"):
        Workspace(data=tmp_path).start()
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    with pytest.raises(ConfigurationError, match="cannot be used"):
        Workspace(data=tmp_path / "thesis.txt").start()


def test_a_client_that_resets_in_the_middle_is_forgotten(workspace, port):
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(head(port, "Content-Length: 100") + b"[")
    assert call(workspace, "GET", "/api/tables").status == 200


# the parts by themselves


@pytest.fixture
def store():
    store = Store([DEFAULT_RULE])
    yield store
    store.close()


def request(body=b"[{}]"):
    headers = {"authorization": "Bearer x"}
    return Request("POST", "/", {"api-version": "2023-01-01"}, headers, body)


def test_a_failure_nobody_thought_of_is_explained():
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


def test_more_connections_than_allowed_are_closed_at_once():
    server = Server(("127.0.0.1", 0), lambda _: Response(204), max_connections=1)
    server.start()
    first = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT)
    first.request("GET", "/")
    assert first.getresponse().status == 204
    with socket.create_connection(("127.0.0.1", server.port), timeout=TIMEOUT) as second:
        assert second.recv(1) == b""
    first.close()
    server.close()


def test_a_server_can_be_closed_before_it_started():
    Server(("127.0.0.1", 0), lambda _: Response(204)).close()


def test_after_close_rows_are_refused_for_now(store):
    intake = Intake(store, Quota())
    assert intake.upload(request(), "dcr-local", "Custom-App").status == 204
    store.close()
    answer = intake.upload(request(), "dcr-local", "Custom-App")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")


def test_waiting_for_rows_has_a_limit(store):
    with pytest.raises(TimeoutError, match="not in their tables after 0 s"):
        store.sync(timeout=0)


def test_waiting_for_a_free_place_among_queries_has_a_limit(store):
    queries = Queries(store, "local", max_seconds=0.01, max_running=0)
    assert queries.query({"query": "print 1"}, "local").status == 429


def test_a_silent_tail_is_kept_open(store):
    stream = EventStreams(store, keep_alive_seconds=0.01).open("App_CL").stream
    assert [next(stream) for _ in range(3)] == [b": listening\n\n", b": still listening\n\n", b": still listening\n\n"]
    stream.close()


def test_problems_do_not_fill_the_memory():
    problems = Problems(lambda: dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    for n in range(MAX_KEPT + 5):
        problems.add(mistyped("Custom-App", f"c{n}", 1, "int"))
    assert len(problems.newest()) == len(problems.take_new()) == MAX_KEPT
    assert problems.newest()[0].column == f"c{MAX_KEPT + 4}"
    assert problems.take_new() == []


def test_a_full_memory_is_told_with_the_way_out():
    assert "--data" in not_stored("Custom-App", 1, "Out of Memory Error: …")["advice"]


def test_a_minutes_quota_begins_anew():
    now = 0.0
    quota = Quota(requests_per_minute=1, clock=lambda: now)
    assert quota.take("r", 1) is None
    now = 59.0
    assert quota.take("r", 1) == 1.0
    assert quota.take("other", 1) is None
    now = 60.0
    assert quota.take("r", 1) is None
