"""Arbitrary bodies, headers and queries: no crash, no 500, and nothing stored that was not sent."""

import datetime as dt
import gzip
import json
import socket

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from logging_azmon.local import Workspace
from support.local_client import ask, call, connect, port_of, send, stream_declaration

COLUMNS = {
    "TimeGenerated": "datetime",
    "Text": "string",
    "Number": "long",
    "Real": "real",
    "Flag": "boolean",
    "Any": "dynamic",
    "Id": "string",
}
RULE = {
    "streamDeclarations": {
        "Custom-F": stream_declaration(COLUMNS),
    }
}
# The workspace is shared, because starting one costs more than a hundred requests, and because no request may affect
# the next.
FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | text
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4), max_leaves=8
)
times = st.datetimes(timezones=st.just(dt.UTC)).map(dt.datetime.isoformat)
rows = st.dictionaries(st.sampled_from([*COLUMNS, "Nope", "text"]), values | times, max_size=8)


@pytest.fixture(scope="module")
def workspace():
    with Workspace(RULE) as ws:
        yield ws


def checked(answer):
    """Check that an answer is a success or a refusal with a code and a message, and return it."""
    assert answer.status < 500, answer
    if answer.status >= 400:
        assert answer.json["error"]["code"]
        assert answer.json["error"]["message"]
    return answer


@FUZZ
@given(st.lists(rows | scalars, max_size=5))
@example([{"Text": "\x00"}])
@example([{"Any": {"": {"": ""}}}])
@example([{"Any": "\x00", "Text": "'; DROP TABLE F_CL; --"}])
def test_every_row_sent_is_stored_once_with_the_text_it_had(workspace, sent):
    before = len(workspace.rows("F_CL"))
    assert checked(send(workspace, sent)).status == 204
    stored = workspace.rows("F_CL")[before:]
    expected = [row for row in sent if isinstance(row, dict)]
    assert len(stored) == len(expected)
    for row, was in zip(stored, expected, strict=True):
        if isinstance(was.get("Text", ""), str):
            assert row["Text"] == was.get("Text", "")
        if isinstance(was.get("Flag"), bool):
            assert row["Flag"] is was["Flag"]
        if type(was.get("Number")) is int and abs(was["Number"]) < 2**63:
            assert row["Number"] == was["Number"]
        for name, value in row.items():
            if was.get(name) is None and name != "TimeGenerated":
                assert value in (None, "")


@FUZZ
@given(st.binary(max_size=200), st.sampled_from([{}, {"Content-Encoding": "gzip"}, {"Content-Type": "text/plain"}]))
@example(gzip.compress(b"[{}]") * 3, {"Content-Encoding": "gzip"})
@example(b'[{"Text": "\\ud800"}]', {})
@example(b'[{"Number": 1e999}]', {})
@example(b'[{"Text": "x", "Text": "y"}]', {})
@example(b"[" * 2000 + b"]" * 2000, {})
@example(b'[{"Any": ' + b"[" * 900 + b"]" * 900 + b"}]", {})
@example(b'\xef\xbb\xbf[{"Text": "bom"}]', {})
def test_an_upload_of_any_bytes_is_answered(workspace, body, headers):
    before = len(workspace.rows("F_CL"))
    answer = checked(send(workspace, body, headers=headers))
    if answer.status != 204:
        assert len(workspace.rows("F_CL")) == before


@FUZZ
@given(st.binary(max_size=100), st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=20)), max_size=5))
@example(b"GET / HTTP/1.1", [(b"Content-Length", b"99999999999999")])
@example(b"POST / HTTP/1.1", [(b"Transfer-Encoding", b"chunked")])
def test_a_request_with_any_head_is_answered_or_its_connection_closed(workspace, line, headers):
    data = line + b"\r\n" + b"".join(name + b": " + value + b"\r\n" for name, value in headers) + b"\r\n"
    with connect(port_of(workspace)) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as reader:
            answer = reader.read()
    assert answer == b"" or answer[:10] in (b"HTTP/1.1 4", b"HTTP/1.1 5")
    assert b"InternalServerError" not in answer


WORDS = [
    *("F_CL", "| where", "| extend", "| project", "| summarize", "| take", "| sort by", "| search", "| distinct *"),
    *("| make-series", "| project-keep", "| serialize", "| join", "| parse", "| mv-expand", "union", "let x =", ";"),
    *("Text", "Number", "Any", "Any.a", "Any['a']", "TimeGenerated", "==", "has", "+", "/", "by", "on", "step", "from"),
    *("count()", "row_number()", "prev(Text)", "bin(Number, 0)", "ago(1d)", "now()", "tostring(Any)", "'x'", '"', "1"),
    *("0", "-1", "1e400", "(", ")", ",", "=", "*", "datetime(0001-01-01)", "strcat(Text, Number)", "\n", "//", "\\"),
]


@FUZZ
@given(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join) | text)
@example("F_CL | make-series count() on Number step 0")
@example("F_CL | make-series count() on TimeGenerated step 0s")
@example("F_CL | where Text matches regex '('")
@example("F_CL | extend ['\"; drop table F_CL; --'] = 1")
@example("F_CL | summarize count() by bin(Number, 0)")
@example("F_CL | project x = 1 / 0, y = 9223372036854775807 + 1")
@example("range x from 1 to 10 step 0")
@example("print todatetime('9999-12-31') + 365000d")
@example("F_CL | parse Text with * '' x")
@example("search '*'")
@example("search ''")
@example("F_CL | search")
@example("F_CL | where Text == @'")
@example("datatable(a: long) ['x']")
@example("print '\x00'")
def test_any_query_is_answered_and_changes_nothing(workspace, query):
    before = {table["name"]: table["rows"] for table in call(workspace, "GET", "/api/tables").json}
    answer = checked(ask(workspace, query))
    if answer.status == 400:
        inner = answer.json["error"]["innererror"]
        assert inner["message"]
        assert inner.get("line", 1) >= 1
        assert inner.get("pos", 1) >= 1
    after = {table["name"]: table["rows"] for table in call(workspace, "GET", "/api/tables").json}
    assert {**after, "DCRLogErrors": 0} == {**before, "DCRLogErrors": 0}


@FUZZ
@given(values)
def test_any_json_in_place_of_a_query_is_answered(workspace, body):
    for path in ("/v1/workspaces/local/query", "/v1/$batch", "/api/faults"):
        checked(call(workspace, "POST", path, json.dumps(body).encode()))
    call(workspace, "DELETE", "/api/faults")


@FUZZ
@given(values)
def test_a_query_with_any_timespan_is_answered(workspace, timespan):
    checked(ask(workspace, "F_CL | count", timespan=timespan))
