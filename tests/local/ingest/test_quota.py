"""Limits of requests and rows per minute."""

from logging_azmon.local import Workspace
from logging_azmon.local.ingest.quota import Quota
from support.local_client import send
from support.local_rule import rule


def test_a_quota_is_counted_anew_each_minute_for_each_rule():
    now = 0.0
    quota = Quota(requests_per_minute=1, clock=lambda: now)
    assert quota.take("r", 1) is None
    now = 59.0
    assert quota.take("r", 1) == 1.0
    assert quota.take("other", 1) is None
    now = 60.0
    assert quota.take("r", 1) is None


def test_uploads_beyond_the_quota_are_answered_with_429_and_retry_after():
    with Workspace(rule(), requests_per_minute=2) as ws:
        assert [send(ws, []).status for _ in range(3)] == [204, 204, 429]
        assert 1 <= int(send(ws, []).headers["retry-after"]) <= 60
    with Workspace(rule(), rows_per_minute=3) as ws:
        assert [send(ws, [{}] * n).status for n in (2, 2, 1)] == [204, 429, 204]
        assert len(ws.rows("T_CL")) == 3
