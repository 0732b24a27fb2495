"""The timespan of a query."""

import datetime as dt

import pytest

from logging_azmon.local import Workspace
from support.local_client import ask, send


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
def test_a_timespan_limits_the_rows_of_every_table(timespan, count):
    now = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
    with Workspace(now=lambda: now) as ws:
        send(ws, [{"TimeGenerated": f"2026-03-10T{hour}:30:00Z"} for hour in ("05", "11")])
        send(ws, [{"TimeGenerated": "2026-03-10T12:30:00Z"}])
        ws.rows("App_CL")
        answer = ask(ws, "App_CL | count", timespan=timespan)
        assert answer.json["tables"][0]["rows"] == [[count]]


@pytest.mark.parametrize("timespan", ["x", "P", "1h", "2026-01-01", "a/b", "P1D/P1D", 5, "P99999999999D"])
def test_a_malformed_timespan_is_refused(workspace, timespan):
    answer = ask(workspace, "App_CL", timespan=timespan)
    assert (answer.status, answer.code) == (400, "BadArgumentError")
    assert "timespan" in answer.json["error"]["message"]
