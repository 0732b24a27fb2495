"""Answers to uploads, and the rows that they store."""

import datetime as dt
import gzip
import json

import pytest

from logging_azmon.local import Workspace
from logging_azmon.local.http.message import Request
from logging_azmon.local.ingest.quota import Quota
from logging_azmon.local.ingest.uploads import UploadEndpoint
from support.local_client import call, send
from support.local_rule import NOW, only_problem, rule, stored_values


@pytest.fixture
def workspace():
    with Workspace(rule(), now=lambda: NOW) as ws:
        yield ws


def test_an_accepted_upload_is_answered_204_without_a_body(workspace):
    answer = send(workspace, [{"Text": "x"}])
    assert (answer.status, answer.body) == (204, b"")
    assert stored_values(workspace, "Text") == ["x"]
    assert workspace.problems() == []


def test_rows_are_stored_in_the_order_in_which_they_were_acknowledged(workspace):
    for n in range(40):
        assert send(workspace, [{"Big": n * 2}, {"Big": n * 2 + 1}]).status == 204
    assert stored_values(workspace, "Big") == list(range(80))


@pytest.mark.parametrize(
    ("column", "sent", "stored"),
    [
        ("Text", "é😀\x00\n", "é😀\x00\n"),
        ("Text", 5, "5"),
        ("Text", True, "true"),
        ("Text", {"a": [1]}, '{"a":[1]}'),
        ("Text", None, ""),
        ("Small", 7, 7),
        ("Small", "7", 7),
        ("Small", None, None),
        ("Big", 2**63 - 1, 2**63 - 1),
        ("Big", -(2**63), -(2**63)),
        ("Real", 1, 1.0),
        ("Real", 0.25, 0.25),
        ("Real", "1e3", 1000.0),
        ("Flag", True, True),
        ("Flag", "false", False),
        ("Any", {"a": [1, None, "x"]}, {"a": [1, None, "x"]}),
        ("Any", "text", "text"),
        ("Any", 5, 5),
        ("TimeGenerated", "2026-03-10T11:00:00.123456Z", NOW.replace(hour=11, microsecond=123456)),
        ("TimeGenerated", "2026-03-10T13:00:00+02:00", NOW.replace(hour=11)),
        ("TimeGenerated", "2026-03-10 11:00:00", NOW.replace(hour=11)),
        ("TimeGenerated", "Tue, 10 Mar 2026 11:00:00 GMT", NOW.replace(hour=11)),
        ("TimeGenerated", None, NOW),
    ],
)
def test_a_value_that_fits_its_column_is_stored(workspace, column, sent, stored):
    assert send(workspace, [{column: sent}]).status == 204
    assert stored_values(workspace, column) == [stored]
    assert workspace.problems() == []


@pytest.mark.parametrize(
    ("column", "sent"),
    [
        ("Small", "x"),
        ("Small", 1.5),
        ("Small", 2**31),
        ("Small", [1]),
        ("Big", 2**63),
        ("Big", "1.0.0"),
        ("Real", "x"),
        ("Flag", "maybe"),
        ("TimeGenerated", "yesterday"),
        ("TimeGenerated", 1_700_000_000),
        ("TimeGenerated", "infinity"),
    ],
)
def test_a_value_of_the_wrong_type_becomes_null_and_is_reported(workspace, column, sent):
    assert send(workspace, [{column: sent, "Text": "kept"}]).status == 204
    assert stored_values(workspace, column) == [NOW if column == "TimeGenerated" else None]
    assert only_problem(workspace) == ("mistyped", column, 1)


@pytest.mark.parametrize(
    ("age", "kept"),
    [
        (dt.timedelta(days=1, hours=23), True),
        (dt.timedelta(days=2, seconds=1), False),
        (-dt.timedelta(hours=23), True),
        (-dt.timedelta(days=1, seconds=1), False),
    ],
)
def test_a_time_too_far_from_receipt_is_replaced_and_reported(workspace, age, kept):
    send(workspace, [{"TimeGenerated": (NOW - age).isoformat()}])
    assert stored_values(workspace, "TimeGenerated") == [NOW - age if kept else NOW]
    assert [each["kind"] for each in workspace.problems()] == ([] if kept else ["replaced"])


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("x" * 65_536, 65_536),
        ("x" * 65_537, 65_536),
        ("é" * 40_000, 32_768),
        ("x" + "é" * 40_000, 32_768),
        ("x" + "😀" * 20_000, 16_384),
    ],
)
def test_text_is_cut_between_characters_at_64_kb_of_utf_8(workspace, text, stored):
    send(workspace, [{"Text": text}, {"Text": "short"}])
    first, second = stored_values(workspace, "Text")
    assert (first, second) == (text[:stored], "short")
    assert [each["kind"] for each in workspace.problems()] == ["cut"] * (len(text.encode()) > 65_536)


def test_a_dynamic_value_that_is_too_long_becomes_a_string_of_its_cut_json(workspace):
    send(workspace, [{"Any": ["x" * 70_000]}, {"Any": [1]}])
    first, second = stored_values(workspace, "Any")
    assert isinstance(first, str)
    assert first.startswith('["xxx')
    assert second == [1]
    assert only_problem(workspace) == ("cut", "Any", 1)


def test_an_undeclared_column_is_dropped_and_reported(workspace):
    send(workspace, [{"Text": "x", "Nope": 1}, {"Nope": 2}])
    assert "Nope" not in workspace.rows("T_CL")[0]
    assert only_problem(workspace) == ("dropped", "Nope", 2)
    assert "streamDeclarations" in workspace.problems()[0]["advice"]


def test_a_column_in_another_case_is_dropped_and_reported_with_its_spelling(workspace):
    send(workspace, [{"text": "x"}])
    assert stored_values(workspace, "Text") == [""]
    assert workspace.problems()[0]["advice"] == "Names are case-sensitive: send Text."


def test_the_problems_of_undeclared_columns_in_one_body_are_bounded(workspace):
    send(workspace, [{f"c{n}": 1 for n in range(500)}])
    assert len(workspace.problems()) == 21
    assert sum(each["count"] for each in workspace.problems()) == 500


@pytest.mark.parametrize("body", [b'{"Text": "x"}', b'"x"', b"5", b"null", b"true"])
def test_a_body_that_is_not_an_array_is_answered_204_and_dropped_and_reported(workspace, body):
    assert send(workspace, body).status == 204
    assert workspace.rows("T_CL") == []
    assert "Send an array" in workspace.problems()[0]["advice"]


def test_array_elements_that_are_not_objects_are_dropped_and_reported(workspace):
    assert send(workspace, [1, {"Text": "x"}, None, [2], "y"]).status == 204
    assert stored_values(workspace, "Text") == ["x"]
    assert only_problem(workspace) == ("dropped", "", 4)


def test_an_empty_array_is_accepted(workspace):
    assert send(workspace, []).status == 204
    assert send(workspace, b" [ ] ").status == 204
    assert workspace.rows("T_CL") == []


@pytest.mark.parametrize("members", [1, 3])
def test_a_gzip_body_may_have_several_members(workspace, members):
    body = json.dumps([{"Text": "zipped"}]).encode()
    cut = [body[len(body) * n // members : len(body) * (n + 1) // members] for n in range(members)]
    answer = send(workspace, b"".join(map(gzip.compress, cut)), headers={"Content-Encoding": "gzip"})
    assert answer.status == 204
    assert stored_values(workspace, "Text") == ["zipped"]


def refused(answer):
    assert answer.headers["x-ms-error-code"] == answer.code
    assert answer.headers["x-ms-request-id"]
    return answer.status, answer.code, answer.json["error"]["message"]


def test_an_unknown_rule_and_an_unknown_stream_are_refused_in_azures_words(workspace):
    assert refused(send(workspace, [], rule="dcr-x")) == (
        404,
        "NotFound",
        "Data collection rule with immutable Id 'dcr-x' not found.",
    )
    assert refused(send(workspace, [], stream="Custom-X")) == (
        400,
        "InvalidStream",
        "The stream Custom-X was not configured in the data collection rule with immutable Id dcr-t.",
    )


def test_a_body_over_1_mib_on_the_wire_is_refused_and_one_of_1_mib_is_not(workspace):
    padding = 1_048_576 - len(json.dumps([{"Text": ""}]))
    assert send(workspace, json.dumps([{"Text": "x" * padding}]).encode()).status == 204
    status, code, message = refused(send(workspace, b"[" + b" " * 1_048_575 + b"]"))
    assert (status, code) == (413, "ContentLengthLimitExceeded")
    assert message == ("Maximum allowed content length: 1048576 bytes (1 MB). Provided content length: 1048577 bytes.")


def test_a_body_that_inflates_beyond_50_mb_is_refused(workspace):
    bomb = gzip.compress(b"[" + b" " * (50 * 1024 * 1024) + b"]", 9)
    assert refused(send(workspace, bomb, headers={"Content-Encoding": "gzip"}))[:2] == (413, "PayloadSizeLimitExceeded")
    fine = gzip.compress(b"[" + b" " * (50 * 1024 * 1024 - 2) + b"]", 9)
    assert send(workspace, fine, headers={"Content-Encoding": "gzip"}).status == 204


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"", {}, 400, "InvalidContentLength"),
        (b"[{]", {}, 400, "InvalidPayload"),
        (b'[{"Text": NaN}]', {}, 400, "InvalidPayload"),
        (b'[{"Text": "\xff"}]', {}, 400, "InvalidPayload"),
        (b"[" * 100_000, {}, 400, "InvalidPayload"),
        (b"[]", {"Authorization": ""}, 401, "AuthenticationTokenMissing"),
        (b"[]", {"Authorization": "Basic eDp5"}, 401, "AuthenticationTokenMissing"),
        (b"[]", {"Content-Type": "text/plain"}, 415, "UnsupportedMediaType"),
        (b"[]", {"Content-Encoding": "br"}, 415, "UnsupportedContentEncoding"),
        (b"[]", {"Content-Encoding": "gzip"}, 400, "InvalidContentEncoding"),
        (gzip.compress(b"[]", mtime=0)[:-4], {"Content-Encoding": "gzip"}, 400, "InvalidContentEncoding"),
    ],
)
def test_an_unreadable_upload_is_refused_with_its_reason(workspace, body, headers, status, code):
    assert refused(send(workspace, body, headers=headers))[:2] == (status, code)
    assert workspace.rows("T_CL") == []
    assert workspace.problems()[0]["kind"] == "refused"


@pytest.mark.parametrize(
    ("query", "code"),
    [("", "MissingApiVersionParameter"), ("?api-version=2020-01-01", "InvalidApiVersionParameter")],
)
def test_an_upload_without_a_valid_api_version_is_refused(workspace, query, code):
    answer = call(workspace, "POST", f"/dataCollectionRules/dcr-t/streams/Custom-T{query}", [])
    assert refused(answer)[:2] == (400, code)


def test_parameter_names_in_the_query_string_are_decoded(workspace):
    path = "/dataCollectionRules/dcr-t/streams/Custom-T?api%2Dversion=2023-01-01"
    assert call(workspace, "POST", path, [{"Text": "x"}]).status == 204


def test_an_upload_by_another_method_is_refused(workspace):
    answer = call(workspace, "PUT", "/dataCollectionRules/dcr-t/streams/Custom-T?api-version=2023-01-01", [])
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


def test_each_loss_is_a_row_of_DCRLogErrors(workspace):  # noqa: N802 - the table's name
    send(workspace, [{"Nope": 1, "Small": "x", "TimeGenerated": "2001-01-01"}])
    send(workspace, b"{", rule="dcr-t")
    found = workspace.query("DCRLogErrors | project OperationName, InputStreamId, Kind, ColumnName, Count")
    assert sorted(tuple(row.values()) for row in found) == [
        ("Ingestion", "Custom-T", "refused", "", 1),
        ("Transformation", "Custom-T", "dropped", "Nope", 1),
        ("Transformation", "Custom-T", "mistyped", "Small", 1),
        ("Transformation", "Custom-T", "replaced", "TimeGenerated", 1),
    ]


def test_one_stream_can_feed_several_tables_and_two_streams_can_feed_one_table():
    flows = [
        {"streams": ["Custom-T"], "transformKql": "source | where Small > 1", "outputStream": "Custom-Some_CL"},
        {"streams": ["Custom-T"], "outputStream": "Custom-All_CL"},
    ]
    with Workspace(rule(*flows)) as ws:
        send(ws, [{"Small": 1}, {"Small": 2}])
        assert [row["Small"] for row in ws.rows("Some_CL")] == [2]
        assert [row["Small"] for row in ws.rows("All_CL")] == [1, 2]


def test_a_built_in_table_has_azures_columns_and_drops_others():
    flow = {
        "streams": ["Custom-T"],
        "transformKql": "source | project TimeGenerated, SyslogMessage = Text, ProcessID = Small, Nope = 1",
        "outputStream": "Microsoft-Syslog",
    }
    with Workspace(rule(flow), now=lambda: NOW) as ws:
        send(ws, [{"Text": "hello", "Small": 5}])
        (row,) = ws.rows("Syslog")
        assert (row["SyslogMessage"], row["ProcessID"], row["Facility"]) == ("hello", 5, None)
        assert only_problem(ws) == ("dropped", "Nope", 1)


def upload_request(body=b"[{}]"):
    headers = {"authorization": "Bearer x"}
    return Request("POST", "/", {"api-version": "2023-01-01"}, headers, body)


def test_an_upload_after_close_is_answered_with_503(store):
    uploads = UploadEndpoint(store, Quota())
    assert uploads.upload(upload_request(), "dcr-local", "Custom-App").status == 204
    store.close()
    answer = uploads.upload(upload_request(), "dcr-local", "Custom-App")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
