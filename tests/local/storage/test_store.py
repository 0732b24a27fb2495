"""Storing accepted rows, also across failures and restarts."""

import duckdb
import pytest

from logging_azmon.local import Workspace
from logging_azmon.local.storage import writer
from logging_azmon.local.storage.writer import Writer
from support.local_client import send
from support.local_rule import NOW, only_problem, rule, stored_values
from support.pipelines import LIMIT_SECONDS


def test_bodies_that_cannot_be_stored_together_are_stored_one_by_one(monkeypatch):
    """One of them may be at fault; the others are stored."""
    failures, attempt = [Exception("together")], Writer._try  # noqa: SLF001 - wrapped so that it fails once

    def once(self, *args):
        return failures.pop() if failures else attempt(self, *args)

    monkeypatch.setattr(Writer, "_try", once)
    with Workspace() as workspace:
        assert send(workspace, [{"Message": "a"}]).status == 204
        assert [row["Message"] for row in workspace.rows("App_CL")] == ["a"]


def test_waiting_for_rows_to_be_stored_has_a_limit(store):
    with pytest.raises(TimeoutError, match="not in their tables after 0 s"):
        store.sync(timeout=0)


def test_a_body_that_fails_in_the_transformation_costs_no_other_body_its_rows():
    flow = {
        "streams": ["Custom-T"],
        "transformKql": "source | extend Later = datetime_add('day', toint(Big), TimeGenerated)",
        "outputStream": "Custom-T_CL",
    }
    with Workspace(rule(flow), now=lambda: NOW) as ws:
        for n in (0, 1, 2**31 - 1, 3, 4):
            assert send(ws, [{"TimeGenerated": NOW.isoformat(), "Big": n}]).status == 204
        assert stored_values(ws, "Big") == [0, 1, 3, 4]
        assert only_problem(ws) == ("refused", "", 1)


def test_rows_and_problems_survive_a_restart(tmp_path):
    with Workspace(rule(), data=tmp_path / "d") as ws:
        send(ws, [{"Text": "kept", "Nope": 1}])
    with Workspace(rule(), data=tmp_path / "d") as ws:
        assert stored_values(ws, "Text") == ["kept"]
        assert ws.query("DCRLogErrors | count") == [{"Count": 1}]


def test_rows_that_were_acknowledged_are_stored_on_close(tmp_path):
    with Workspace(rule(), data=tmp_path / "d") as ws:
        for _ in range(20):
            assert send(ws, [{"Text": "x"}] * 500).status == 204
    with Workspace(rule(), data=tmp_path / "d") as ws:
        assert ws.query("T_CL | count") == [{"Count": 10_000}]


def test_with_discard_rows_are_acknowledged_and_not_stored():
    with Workspace(rule(), discard=True) as ws:
        assert send(ws, [{"Text": "x", "Nope": 1}]).status == 204
        assert ws.rows("T_CL") == []


class Short:
    """A cursor that finds too little memory a number of times."""

    def __init__(self, cursor, times):
        self._cursor, self._times = cursor, times

    def execute(self, *args):
        if self._times and "staged" in args[0]:
            self._times.pop()
            raise duckdb.OutOfMemoryException("too little")
        return self._cursor.execute(*args)

    def __getattr__(self, name):
        return getattr(self._cursor, name)


def test_memory_that_queries_take_costs_no_acknowledged_row(store, monkeypatch):
    """The writer tries again until the queries have ended."""
    monkeypatch.setattr(writer, "MEMORY_PAUSE_SECONDS", 0.001)
    times = [1] * 5
    slow = Writer(lambda: Short(store._cursor(), times), store.problems, lambda: NOW)  # noqa: SLF001 - shared
    plan = next(iter(store.plans.values()))
    slow.submit(plan, '{"Message": "kept"}', 1)
    slow.sync(LIMIT_SECONDS)
    slow.close()
    assert store.count("App_CL") == 1
    assert store.problems.newest() == []


def test_a_body_that_memory_never_suffices_for_is_reported(store, monkeypatch):
    monkeypatch.setattr(writer, "MEMORY_SECONDS", -1)
    slow = Writer(lambda: Short(store._cursor(), [1] * 1_000), store.problems, lambda: NOW)  # noqa: SLF001 - shared
    plan = next(iter(store.plans.values()))
    slow.submit(plan, '{"Message": "lost"}', 1)
    slow.sync(LIMIT_SECONDS)
    slow.close()
    assert [problem.count for problem in store.problems.newest()] == [1]
