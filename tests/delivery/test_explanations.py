"""Explanations of answers, in words that an operator can act on."""

import pytest

from logging_azmon._delivery.answer import Answer, Failure
from logging_azmon._delivery.explanations import explain


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
        (Answer(status=400), ["400", "not the service's own answer", "proxy", "kept"]),
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
