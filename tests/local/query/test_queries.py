"""The query API: single queries, batches, and limits."""

import pytest

from logging_azmon.local import QueryError, Workspace
from logging_azmon.local.query import queries
from logging_azmon.local.query.queries import Queries
from support.local_client import ask, call, send


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"query": 5}', b'"x"', b'{"query": "x", "workspaces": ["y"]}']
)
def test_a_request_without_a_valid_query_is_refused(workspace, body):
    answer = call(workspace, "POST", "/v1/workspaces/local/query", body)
    assert (answer.status, answer.code) == (400, "BadArgumentError")


def test_a_query_to_another_workspace_is_answered_with_404(workspace):
    assert call(workspace, "POST", "/v1/workspaces/x/query", {"query": "print 1"}).status == 404


def test_the_query_path_works_without_a_version(workspace):
    assert call(workspace, "POST", "/workspaces/local/query", {"query": "print 1"}).status == 200


def test_the_queries_of_a_batch_are_answered_in_order(workspace):
    requests = [
        {"id": "1", "workspace": "local", "body": {"query": "print 1"}},
        {"id": "2", "workspace": "local", "body": {"query": "nope"}},
        "nonsense",
    ]
    responses = call(workspace, "POST", "/v1/$batch", {"requests": requests}).json["responses"]
    assert [(each["id"], each["status"]) for each in responses] == [("1", 200), ("2", 400), (None, 404)]
    assert responses[0]["body"]["tables"][0]["rows"] == [[1]]


@pytest.mark.parametrize("body", [b"", {}, [], {"requests": 5}, {"requests": [{}] * 101}])
def test_a_malformed_batch_is_refused(workspace, body):
    assert call(workspace, "POST", "/v1/$batch", body).code == "BadArgumentError"


def test_a_runaway_query_is_stopped_and_others_are_answered():
    with Workspace(query_seconds=1) as ws:
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
def test_a_query_that_needs_too_much_memory_or_time_is_refused(query):
    with Workspace(query_seconds=1) as ws:
        answer = ask(ws, query)
        assert answer.status == 400
        assert answer.json["error"]["innererror"]["code"] in ("LimitExceeded", "Timeout", "SemanticError")
        assert ask(ws, "print 1").status == 200


def test_a_result_that_is_too_long_is_truncated_and_marked_as_partial(workspace):
    answer = ask(workspace, "range a from 1 to 500001 step 1")
    assert len(answer.json["tables"][0]["rows"]) == 500_000
    assert answer.json["error"]["code"] == "PartialError"


def test_a_query_that_finds_no_free_slot_is_answered_with_429_within_the_time_limit(store):
    queries = Queries(store, "local", max_seconds=0.01, max_running=0)
    assert queries.query({"query": "print 1"}, "local").status == 429


def test_the_bytes_of_an_answer_are_bounded_whatever_their_types(workspace, monkeypatch):
    monkeypatch.setattr(queries, "MAX_BYTES", 100_000)
    answer = ask(workspace, "range a from 1 to 100000 step 1 | extend b = a, c = 1.5, d = now()")
    assert answer.json["error"]["code"] == "PartialError"
    assert len(answer.json["tables"][0]["rows"]) < 50_000


def test_the_bytes_of_a_batch_are_bounded_together(workspace, monkeypatch):
    monkeypatch.setattr(queries, "MAX_BYTES", 1_000)
    requests = [{"id": str(n), "workspace": "local", "body": {"query": "print strrep('x', 900)"}} for n in range(4)]
    responses = call(workspace, "POST", "/v1/$batch", {"requests": requests}).json["responses"]
    assert [each["status"] for each in responses] == [200, 200, 413, 413]


def test_a_dynamic_value_that_is_nested_too_deeply_is_a_query_error(workspace):
    with pytest.raises(QueryError, match="nested too deeply"):
        workspace.query("print x = parse_json(strcat(strrep('[', 1020), '[[[[[[[[[1', ']]]]]]]]]', strrep(']', 1020)))")
