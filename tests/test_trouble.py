"""The value that a `report` callable receives when something goes wrong, and its wording."""

from logging_azmon.testing import Answer
from logging_azmon.trouble import Trouble, clock_time, count, described
from support.delivering import Bench


def trouble(kind="outage", text="away", **more):
    return Trouble(kind=kind, text=text, **more)


class TestTrouble:
    def test_trouble_reads_as_its_text_and_shows_no_rows_in_its_repr(self):
        one = trouble(kind="rejected", text="1 row rejected", rows_json=b'{"secret": 1}\n')
        assert str(one) == "1 row rejected"
        assert "secret" not in repr(one)

    def test_numbers_of_rows_and_times_are_readable(self):
        assert [count(rows) for rows in (0, 1, 2, 1_234)] == ["0 rows", "1 row", "2 rows", "1,234 rows"]
        assert clock_time(1_800_000_131.9) == "08:02:11"

    def test_an_error_is_described_by_its_repr(self):
        assert described(ValueError("x")) == "ValueError('x')"

    def test_reports_of_an_outage_say_what_to_do_what_waits_and_that_it_is_over(self):
        """The texts are the first and the last report of an outage, as an operator reads them."""
        bench = Bench(Answer(status=403, code="OperationFailed", message="no access"))
        bench.put_batch("a", "b")
        bench.run()
        first, last = map(str, bench.troubles)
        assert first.startswith(
            "403 from https://dce.example for Custom-App_CL of dcr-0123 (OperationFailed: no access): the identity"
            " lacks the role Monitoring Metrics Publisher on dcr-0123; once assigned, it can take 30 minutes;"
            " 2 rows are waiting, next try in "
        )
        assert last == "https://dce.example takes rows again"
