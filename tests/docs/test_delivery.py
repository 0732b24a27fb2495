"""docs/delivery.md agrees with the code that decides what happens to rows."""

import re

import pytest

from logging_azmon._delivery.decision import Action, Decision, judge
from logging_azmon._delivery.delivery import SPLITS_PER_MINUTE
from logging_azmon._delivery.pace import MAX_STRETCHED_SECONDS
from logging_azmon._delivery.retry import MAX_RETRY_AFTER_SECONDS
from logging_azmon._queue.batch import SPLITS_PER_BATCH
from logging_azmon.testing import Answer, Failure
from support.pages import names, section, table

STATUS = re.compile(r"\b\d{3}\b").findall


class TestAnswers:
    """The table of answers agrees with the decisions of the code."""

    TABLE = table("delivery", "Responses of the service", "the service answers")
    # The beginning of the second column, and the decision that it stands for, if a batch has several rows.
    MEANS = (
        ("delivered", {Decision(Action.DONE)}),
        ("tried again;", {Decision(Action.RETRY, "outage"), Decision(Action.RETRY, "throttled")}),
        ("tried once more with a new token, then treated as 403", {Decision(Action.RENEW)}),
        ("kept and tried again slowly", {Decision(Action.RETRY, "configuration")}),
        ("split in two", {Decision(Action.SPLIT_BY_SIZE)}),
        ("split by time", {Decision(Action.SPLIT_BY_TIME)}),
        ("split until", {Decision(Action.SPLIT)}),
    )
    OTHERWISE = "anything else: a proxy's page, a redirect, a TLS failure, no token"

    @staticmethod
    def answers(cell):
        """Return the answers that a cell of the first column stands for."""
        (code,) = names(cell) or ["Other" if "any other code" in cell else ""]
        # A code belongs to the number before it.
        numbers = [(number, code if f"{number} `" in cell or len(names(cell)) == 0 else "") for number in STATUS(cell)]
        found = [Answer(status=int(number), code=code) for number, code in numbers]
        found += [Answer(status=status) for status in range(500, 600) if "5xx" in cell]
        return found + [Answer(failure=Failure.CONNECTION)] * ("nothing" in cell)

    @pytest.mark.parametrize(("cell", "then"), TABLE[:-1], ids=[row[0] for row in TABLE[:-1]])
    def test_each_line_of_the_table_describes_the_decision_for_its_answer(self, cell, then):
        """The decisions are those for several rows; the text describes those for a single row."""
        (expected,) = [decisions for words, decisions in self.MEANS if then.startswith(words)]
        answers = self.answers(cell)

        assert answers
        assert {judge(answer, rows=2) for answer in answers} == expected

    def test_rows_are_kept_after_any_answer_without_a_line_of_its_own(self):
        """The last line of the table says so."""
        named = {answer.status for cell, _ in self.TABLE[:-1] for answer in self.answers(cell)}
        others = [Answer(status=status) for status in range(100, 600) if status not in named]
        others += [Answer(failure=failure) for failure in (Failure.CREDENTIAL, Failure.TLS, Failure.UNREADABLE)]
        cell, then = self.TABLE[-1]

        assert (cell, then.startswith("kept and tried again slowly")) == (self.OTHERWISE, True)
        assert {judge(answer, rows=2) for answer in others} == {Decision(Action.RETRY, "configuration")}

    def test_the_text_on_single_rows_and_on_tokens_agrees_with_the_decisions(self):
        """A row that is too long is shrunk, then rejected; one at fault is rejected; a second 401 is a 403."""
        single = {"rows": 1, "is_shrunk": False}

        assert judge(Answer(status=413), **single).action is Action.SHRINK
        assert judge(Answer(status=413), **single | {"is_shrunk": True}).action is Action.REJECT
        assert judge(Answer(status=400, code="InvalidPayload"), **single).action is Action.REJECT
        assert judge(Answer(status=401), rows=2, has_renewed=True) == judge(Answer(status=403), rows=2)

    def test_the_documented_numbers_are_those_of_the_code(self):
        """The page gives seconds of the code in minutes."""
        told = " ".join(then for _, then in self.TABLE)

        assert f"honoured, up to {MAX_RETRY_AFTER_SECONDS / 60:g} minutes" in told
        assert f"a row may wait up to {MAX_STRETCHED_SECONDS / 60:g} minutes for its batch" in " ".join(
            section("delivery", "Responses of the service").split()
        )
        assert f"more than {SPLITS_PER_MINUTE} requests a minute" in told
        assert f"At most {SPLITS_PER_BATCH} more requests a batch and {SPLITS_PER_MINUTE} a minute" in told
