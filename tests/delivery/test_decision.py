"""The decision for each answer, as a pure function."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logging_azmon._delivery.answer import Answer, Failure
from logging_azmon._delivery.decision import TIME_RANGE, Action, Decision, judge

OUTAGE = Decision(Action.RETRY, "outage")
THROTTLED = Decision(Action.RETRY, "throttled")
CONFIGURATION = Decision(Action.RETRY, "configuration")


@pytest.mark.parametrize(
    ("answer", "decision"),
    [
        (Answer(status=204), Decision(Action.DONE)),
        (Answer(failure=Failure.CONNECTION), OUTAGE),
        *[(Answer(status=status), OUTAGE) for status in (408, 500, 501, 502, 503, 504, 507, 599)],
        (Answer(status=429), THROTTLED),
        (Answer(status=401), Decision(Action.RENEW)),
        (Answer(status=403, code="OperationFailed"), CONFIGURATION),
        (Answer(status=404, code="NotFound"), CONFIGURATION),
        (Answer(status=400, code="InvalidStream"), CONFIGURATION),
        (Answer(status=413, code="ContentLengthLimitExceeded"), Decision(Action.SPLIT_BY_SIZE)),
        (Answer(failure=Failure.TOO_LARGE), Decision(Action.SPLIT_BY_SIZE)),
        (Answer(status=400, code=TIME_RANGE), Decision(Action.SPLIT_BY_TIME)),
        (Answer(status=400, code="InvalidPayload"), Decision(Action.SPLIT)),
        (Answer(status=400), CONFIGURATION),
        (Answer(failure=Failure.CREDENTIAL), CONFIGURATION),
        (Answer(failure=Failure.TLS), CONFIGURATION),
        (Answer(failure=Failure.UNREADABLE), CONFIGURATION),
        (Answer(), CONFIGURATION),
        *[(Answer(status=status), CONFIGURATION) for status in (100, 200, 201, 202, 206, 301, 302, 304, 307, 308)],
        *[(Answer(status=status), CONFIGURATION) for status in (402, 405, 407, 409, 410, 415, 418, 451)],
    ],
    ids=str,
)
def test_each_answer_to_several_rows_has_its_decision(answer, decision):
    assert judge(answer, rows=2) == decision


@pytest.mark.parametrize(
    ("answer", "how", "action"),
    [
        (Answer(status=413), {}, Action.SHRINK),
        (Answer(status=413), {"is_shrunk": True}, Action.REJECT),
        (Answer(failure=Failure.TOO_LARGE), {}, Action.SHRINK),
        (Answer(failure=Failure.TOO_LARGE), {"is_shrunk": True}, Action.REJECT),
        (Answer(status=400, code="InvalidPayload"), {}, Action.REJECT),
        (Answer(status=400, code=TIME_RANGE), {}, Action.REJECT),
        (Answer(status=400, code="InvalidStream"), {}, Action.RETRY),
        (Answer(status=204), {}, Action.DONE),
    ],
    ids=str,
)
def test_single_row_is_shrunk_or_rejected_instead_of_split(answer, how, action):
    assert judge(answer, rows=1, **how).action is action


def test_token_is_renewed_once_and_a_second_401_is_a_configuration_error():
    assert judge(Answer(status=401), rows=5).action is Action.RENEW
    assert judge(Answer(status=401), rows=5, has_renewed=True) == CONFIGURATION


@given(st.integers(100, 599), st.sampled_from(["", "InvalidStream", TIME_RANGE, "Other"]), st.integers(1, 9))
def test_only_a_204_delivers_and_only_a_413_or_a_400_with_a_code_can_cost_rows(status, code, rows):
    action = judge(Answer(status=status, code=code), rows=rows).action
    assert (action is Action.DONE) == (status == 204)
    if action in {Action.REJECT, Action.SPLIT, Action.SPLIT_BY_TIME, Action.SPLIT_BY_SIZE, Action.SHRINK}:
        assert status == 413 or (status == 400 and code)
