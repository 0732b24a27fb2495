"""Storing accepted rows, also across failures and restarts."""

import pytest

from logging_azmon.local import Workspace
from logging_azmon.local.storage.writer import Writer
from support.local_client import send
from support.local_rule import NOW, only_problem, rule, stored_values


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
