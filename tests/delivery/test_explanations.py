"""Explanations of answers, in words that an operator can act on."""

import pytest

from logging_azmon._delivery.answer import Answer, Failure
from logging_azmon._delivery.explanations import explain, left_behind
from logging_azmon._queue.ledger import Ledger


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            Answer(status=403, code="OperationFailed", message="no access"),
            [
                "403 from https://dce",
                "Monitoring Metrics Publisher on dcr-0",
                "30 minutes",
                "OperationFailed: no access",
            ],
        ),
        (Answer(status=404, code="NotFound"), ["404", "rule_id=dcr-0", "immutable id"]),
        (Answer(status=400, code="InvalidStream"), ["400", "Custom-A is not declared in dcr-0", "5 minutes"]),
        (Answer(status=401), ["401", "credential=", "cloud="]),
        (Answer(status=407), ["407", "HTTPS_PROXY", "NO_PROXY"]),
        (Answer(status=415), ["415", "gzipped JSON"]),
        (Answer(status=429), ["429", "quota"]),
        (Answer(status=200), ["200", "captive portal", "endpoint="]),
        (Answer(status=202), ["202", "captive portal"]),
        (Answer(status=302), ["302", "redirects are not followed"]),
        (Answer(status=418), ["418 from https://dce for Custom-A of dcr-0"]),
        (Answer(failure=Failure.CREDENTIAL, message="CredentialUnavailableError: x"), ["no token", "credential=", "x"]),
        (
            Answer(failure=Failure.TLS, message="certificate verify failed"),
            ["TLS to https://dce", "certificate", "clock"],
        ),
        (Answer(failure=Failure.CONNECTION, message="refused"), ["https://dce cannot be reached (refused)"]),
        (Answer(failure=Failure.UNREADABLE, message="garbage"), ["cannot be read", "garbage", "proxy"]),
        (Answer(failure=Failure.TOO_LARGE, message="9 bytes"), ["too large", "9 bytes"]),
        (Answer(), ["cannot be read"]),
        (Answer(status=403, message="{rule} {0} %s"), ["{rule} {0} %s"]),
    ],
    ids=str,
)
def test_answer_is_explained_in_one_line_that_says_what_to_do(answer, words):
    said = explain(answer, endpoint="https://dce", rule_id="dcr-0", stream="Custom-A")
    assert "\n" not in said
    for word in words:
        assert word in said


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
