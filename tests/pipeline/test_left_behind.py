"""The rows that a closed pipeline leaves behind."""

import pytest

from logging_azmon._pipeline.left_behind import left_behind
from logging_azmon._queue.ledger import Ledger


@pytest.mark.parametrize(
    ("spool", "outcome"),
    [(None, "whether they arrived is not known"), ("/spool", "they may be sent again by the next process")],
)
def test_closed_pipeline_reports_rows_on_disk_lost_rows_and_rows_in_flight(spool, outcome):
    ledger = Ledger()
    ledger.spooled, ledger.handed_over, ledger.in_flight = 2, 3, 4
    troubles = list(left_behind(ledger.snapshot(), 1, close_seconds=5.0, spool=spool))
    assert [(trouble.kind, trouble.reason, trouble.rows) for trouble in troubles] == [
        ("spool", "closed", 5),
        ("lost", "closed", 1),
        ("lost", "in_flight", 4),
    ]
    assert [str(trouble) for trouble in troubles] == [
        f"5 rows not delivered within close_seconds=5 stay in the spool {spool} for the next process",
        "1 row lost: not delivered within close_seconds=5",
        f"4 rows still on the way when the pipeline was closed: {outcome}",
    ]


def test_closed_pipeline_without_rows_reports_nothing():
    assert list(left_behind(Ledger().snapshot(), 0, close_seconds=5.0, spool=None)) == []
