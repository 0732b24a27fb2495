"""The effect of answers on the rows of a batch: on one thread, with a fake destination and a manual clock."""

import itertools
import re
from unittest.mock import Mock

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logging_azmon._delivery.decision import TIME_RANGE
from logging_azmon._delivery.delivery import SPLITS_PER_MINUTE
from logging_azmon._queue.batch import SPLITS_PER_BATCH
from logging_azmon.testing import Answer, Failure, FakeDestination
from support.delivering import Always, Bench, line, messages

STORED = Answer(status=204)
AWAY = Answer(status=503, code="ServiceUnavailable", message="away")
BUSY = Answer(status=429, code="TooManyRequests", message="slow down")
FORBIDDEN = Answer(status=403, code="OperationFailed", message="no access")
TOO_LONG = Answer(status=413, code="ContentLengthLimitExceeded")
BAD = Answer(status=400, code="InvalidPayload", message="a row is bad")
SPREAD = Answer(status=400, code=TIME_RANGE)


def picky(is_bad, answer=BAD):
    """Refuse each batch that has a poison row."""
    return lambda rows: answer if any(is_bad(row) for row in rows) else STORED


class TestAnswers:
    def test_204_counts_rows_as_delivered(self):
        bench = Bench()
        bench.put("a", "b")
        bench.run()
        stats = bench.stats
        assert messages(bench.destination.rows) == ["a", "b"]
        assert (stats.delivered, stats.requests, stats.retries, stats.sent_bytes) == (2, 1, 0, len(line("a") * 2))
        assert bench.troubles == []

    @pytest.mark.parametrize(
        "trouble",
        [
            AWAY,
            BUSY,
            FORBIDDEN,
            Answer(status=408),
            Answer(status=500),
            Answer(status=404),
            Answer(status=400, code="InvalidStream"),
            Answer(status=200),
            Answer(status=302),
            Answer(status=407),
            Answer(status=415),
            *[Answer(failure=failure) for failure in Failure if failure is not Failure.TOO_LARGE],
            Answer(),
        ],
        ids=str,
    )
    def test_rows_are_kept_through_every_failure_and_arrive_once(self, trouble):
        bench = Bench(*[trouble] * 5)
        bench.put("a", "b")
        bench.run()
        stats = bench.stats
        assert messages(bench.destination.rows) == ["a", "b"]
        assert (stats.delivered, stats.dropped, stats.rejected) == (2, {}, 0)
        assert (stats.requests, stats.retries) == (6, 5)
        assert len(bench.reported("recovered")) == 1
        assert not bench.scheduler.is_failing

    def test_401_is_retried_at_once_with_a_new_token(self):
        bench = Bench(Answer(status=401))
        bench.put_batch("a")
        assert bench.run() == 0.0
        assert messages(bench.destination.rows) == ["a"]
        assert bench.troubles == []

    def test_second_401_is_retried_slowly_as_a_403(self):
        bench = Bench(Answer(status=401), Answer(status=401))
        bench.put_batch("a")
        assert bench.run() >= 30.0
        assert bench.stats.requests == 3
        assert "credential=" in bench.reported("configuration")[0]

    def test_retry_waits_as_long_as_retry_after_says(self):
        bench = Bench(Answer(status=429, retry_after="17"))
        bench.put_batch("a")
        assert bench.run() == 17.0

    def test_retry_waits_no_longer_than_five_minutes_for_a_retry_after(self):
        bench = Bench(Answer(status=503, retry_after="86400"))
        bench.put_batch("a")
        assert bench.run() == 300.0

    def test_report_of_an_outage_counts_waiting_and_dropped_rows(self):
        bench = Bench(Answer(status=403, message="no access"), batch_bytes=4_096, queue_bytes=8_192)
        bench.put(*range(100), size=100)
        bench.step()
        report = bench.troubles[0]
        assert "Monitoring Metrics Publisher on dcr-0123" in str(report)
        assert "30 minutes" in str(report)
        assert "81 rows are waiting, 19 rows dropped so far" in str(report)
        assert (report.kind, report.status, report.rows) == ("configuration", 403, 81)

    def test_report_of_an_outage_counts_a_single_row_in_the_singular(self):
        bench = Bench(AWAY)
        bench.put_batch("a")
        bench.step()
        assert "; 1 row is waiting, next try in" in bench.reported("outage")[0]

    def test_report_of_an_outage_says_when_the_only_batch_is_sent_again(self):
        """It waits longer than the pause of the pipeline if it has failed several times."""
        bench = Bench(*[AWAY] * 12, retry_seconds=300.0)
        bench.put_batch("a")
        moments = []
        for requests in range(1, 13):
            bench.run_until(lambda: bench.stats.requests == requests)  # noqa: B023 - called before the next
            moments.append(bench.clock.monotonic())
        gaps = [later - sooner for sooner, later in itertools.pairwise(moments)]
        told = [float(re.search(r"next try in ([\d.]+) s", text)[1]) for text in bench.reported("outage")]
        assert told[: len(gaps)] == pytest.approx(gaps, abs=0.51)

    def test_retries_come_soon_at_first_and_up_to_retry_seconds_apart_later(self):
        bench = Bench(*[AWAY] * 30, retry_seconds=60.0)
        bench.put_batch("a")
        moments = []
        for requests in range(1, 32):
            bench.run_until(lambda: bench.stats.requests == requests)  # noqa: B023 - called before the next
            moments.append(bench.clock.monotonic())
        assert not bench.scheduler.has_rows()
        gaps = [later - sooner for sooner, later in itertools.pairwise(moments)]
        assert max(gaps[:3]) <= 4.0
        assert max(gaps) <= 60.0
        assert max(gaps[8:]) > 10.0


class TestSplitting:
    @pytest.mark.parametrize("poison", [{0}, {40}, {999}, {3, 500, 998}, {10, 11, 12, 13}])
    def test_splitting_rejects_poison_rows_and_delivers_all_others(self, poison):
        bench = Bench(destination=Always(picky(lambda row: int(row["Message"]) in poison)))
        bench.put_batch(*range(1_000))
        bench.run()
        assert sorted(map(int, messages(bench.destination.rows))) == sorted(set(range(1_000)) - poison)
        stats = bench.stats
        assert (stats.delivered, stats.rejected, stats.dropped) == (1_000 - len(poison), len(poison), {})
        assert stats.requests <= 1 + 2 * 10 * len(poison)
        assert stats.retries == 0
        rejected = [trouble for trouble in bench.troubles if trouble.kind == "rejected"]
        assert {orjson.loads(trouble.rows_json)["Message"] for trouble in rejected} == {str(bad) for bad in poison}
        assert "1 row rejected: 400 from https://dce.example" in str(rejected[0])
        assert "a row is bad" in str(rejected[0])

    def test_batch_of_poison_rows_alone_costs_no_more_requests_than_its_budget(self):
        bench = Bench(destination=Always(lambda rows: BAD))
        bench.put_batch(*range(5_000))
        bench.run()
        stats = bench.stats
        assert stats.rejected == 5_000
        assert stats.requests <= 1 + SPLITS_PER_BATCH
        assert sum(trouble.rows for trouble in bench.troubles) == 5_000
        assert b"".join(trouble.rows_json for trouble in bench.troubles).count(b"\n") == 5_000

    def test_batch_with_every_second_row_poison_stays_within_its_budget(self):
        bench = Bench(destination=Always(picky(lambda row: int(row["Message"]) % 2)))
        bench.put_batch(*range(4_000))
        bench.run()
        stats = bench.stats
        assert stats.requests <= 1 + SPLITS_PER_BATCH
        assert stats.delivered + stats.rejected == 4_000
        assert stats.dropped == {}

    def test_pipeline_stays_within_its_splits_per_minute(self):
        bench = Bench(destination=Always(lambda rows: BAD))
        for _ in range(10):
            bench.put_batch(*range(1_000))
        assert bench.run() < 60
        assert bench.stats.requests <= 10 + SPLITS_PER_MINUTE
        assert bench.stats.rejected == 10_000
        bench.clock.advance(60)
        requests = bench.stats.requests
        bench.put_batch(*range(1_000))
        bench.run()
        assert bench.stats.requests > requests + 100

    @given(st.lists(st.integers(1, 60), min_size=1, max_size=60), st.integers(60, 200), st.integers(1, 100))
    def test_413_splits_batches_until_they_fit_and_loses_no_row(self, sizes, limit, rows_at_most):
        def judge(rows):
            size = sum(len(orjson.dumps(row)) + 1 for row in rows)
            return STORED if size <= limit and len(rows) <= rows_at_most else TOO_LONG

        bench = Bench(destination=Always(judge))
        rows = [line(number, size) for number, size in enumerate(sizes)]
        bench.put_batch(*rows)
        bench.run()
        assert messages(bench.destination.rows) == [str(number) for number in range(len(rows))]
        assert bench.stats.rejected == 0

    def test_413_rejects_no_row_that_fits_even_past_the_budget_for_splits(self):
        """Once the budget of a minute is used up, the rest waits."""
        bench = Bench(destination=Always(lambda rows: STORED if len(rows) == 1 else TOO_LONG))
        bench.put_batch(*range(1_000))
        seconds = bench.run()
        assert seconds > 60
        assert len(bench.destination.rows) == 1_000
        assert bench.stats.rejected == 0
        assert bench.stats.requests < 2_200
        assert "next try in" in bench.reported("throttled")[0]

    def test_single_row_that_is_too_large_is_shrunk(self):
        bench = Bench(TOO_LONG)
        bench.put_batch(line("big", 900_000))
        bench.run()
        (row,) = bench.destination.rows
        assert row["Message"] == "big"
        assert len(orjson.dumps(row)) <= 450_000
        assert (bench.stats.delivered, bench.stats.retries) == (1, 0)

    def test_short_row_is_rejected_rather_than_delivered_without_its_words(self):
        bench = Bench(TOO_LONG, TOO_LONG, TOO_LONG)
        bench.put_batch("a few words")
        bench.put_batch("others")
        bench.run()
        assert bench.stats.rejected == 1
        assert messages(bench.destination.rows) == ["others"]

    def test_single_row_that_is_too_large_even_shrunk_is_rejected(self):
        bench = Bench(TOO_LONG, TOO_LONG)
        bench.put_batch(line("big", 900_000))
        bench.run()
        assert bench.stats.rejected == 1
        assert bench.stats.requests == 2
        assert "413" in bench.reported("rejected")[0]

    def test_batch_known_to_be_too_large_is_split_without_counting_a_request(self):
        limit = Answer(failure=Failure.TOO_LARGE, message="9 bytes")
        bench = Bench(limit, limit, limit)
        bench.put_batch(*range(8))
        bench.run()
        assert messages(bench.destination.rows) == [str(number) for number in range(8)]
        assert bench.stats.requests == 4
        assert bench.stats.retries == 0

    def test_batch_known_to_be_too_large_does_not_end_an_outage(self):
        bench = Bench(AWAY, Answer(failure=Failure.TOO_LARGE), AWAY)
        bench.put_batch("a", "b")
        bench.clock.advance(bench.step() + 1)
        bench.step()
        assert bench.reported("recovered") == []
        bench.run()
        assert len(bench.reported("recovered")) == 1

    def test_rows_more_than_30_minutes_apart_are_sent_in_groups(self):
        def judge(rows):
            times = [row["TimeGenerated"] for row in rows]
            return SPREAD if min(times)[11:13] != max(times)[11:13] else STORED

        bench = Bench(destination=Always(judge))
        bench.put_batch(*[line(n, TimeGenerated=f"2026-11-20T{n % 3:02}:10:00.000000Z") for n in range(9)])
        bench.run()
        assert messages(bench.destination.rows) == ["0", "3", "6", "1", "4", "7", "2", "5", "8"]
        assert bench.stats.requests == 4

    def test_groups_by_time_beyond_the_budget_for_splits_wait_and_none_is_rejected(self):
        bench = Bench(destination=Always(lambda rows: SPREAD if len(rows) > 1 else STORED))
        bench.put_batch(
            *[
                line(n, TimeGenerated=f"2026-{1 + n // 24 // 28:02}-{1 + n // 24 % 28:02}T{n % 24:02}:00:00Z")
                for n in range(700)
            ]
        )
        bench.put_batch(
            line("x", TimeGenerated="2026-01-01T00:00:00Z"), line("y", TimeGenerated="2026-01-02T00:00:00Z")
        )
        bench.run()
        assert len(bench.destination.rows) == 702
        assert bench.stats.rejected == 0
        assert "splitting has used up its 600 requests a minute" in bench.reported("throttled")[0], (
            "the second batch had to wait"
        )

    def test_rows_without_a_time_are_split_in_halves(self):
        bench = Bench(destination=Always(picky(lambda row: row["Message"] == "3", SPREAD)))
        bench.put_batch(*range(8))
        bench.run()
        assert bench.stats.rejected == 1
        assert len(bench.destination.rows) == 7

    def test_outage_in_the_middle_of_splitting_loses_no_row(self):
        bench = Bench(BAD, STORED, AWAY, BAD, STORED)
        bench.put_batch(*range(8))
        bench.run()
        stats = bench.stats
        assert stats.delivered + stats.rejected == 8
        assert sorted(messages(bench.destination.rows), key=int) == [str(number) for number in range(8)]

    @given(st.lists(st.sampled_from([STORED, AWAY, BUSY, FORBIDDEN, BAD, TOO_LONG, SPREAD, Answer(status=401)])))
    def test_every_row_is_settled_once_whatever_the_answers(self, answers):
        bench = Bench(*answers, batch_bytes=4_096)
        bench.put(*range(100), size=100)
        bench.run()
        stats = bench.stats
        assert stats.delivered + stats.rejected == 100
        assert stats.delivered == len(bench.destination.rows) == len(set(messages(bench.destination.rows)))
        rejected = b"".join(trouble.rows_json for trouble in bench.troubles)
        assert rejected.count(b"\n") == stats.rejected


class TestPoisonBatch:
    """A batch that always fails must not hold up the others, nor be sent without pauses."""

    @pytest.mark.parametrize(
        "answer",
        [AWAY, BUSY, FORBIDDEN, Answer(failure=Failure.CONNECTION), Answer(failure=Failure.UNREADABLE)],
        ids=str,
    )
    def test_batch_that_always_fails_holds_up_no_other_and_does_not_spin(self, answer):
        bench = Bench(destination=Always(picky(lambda row: row["Message"] == "poison", answer)), retry_seconds=60.0)
        bench.put_batch("poison")
        for number in range(100):
            bench.put_batch(number)
            bench.run(seconds=60.0)
        bench.run(seconds=3_600.0)
        assert messages(bench.destination.rows) == [str(number) for number in range(100)]
        tries = sum(batch[0]["Message"] == "poison" for batch in bench.destination.batches)
        seconds = bench.clock.monotonic() - 1_000
        assert 20 <= tries <= 20 + seconds / 20
        assert bench.stats.queued == 1

    def test_batch_that_makes_the_destination_raise_holds_up_no_other(self):
        def judge(rows):
            if rows[0]["Message"] == "poison":
                raise ZeroDivisionError
            return STORED

        bench = Bench(destination=Always(judge))
        bench.put_batch("poison")
        for number in range(20):
            bench.put_batch(number)
            bench.run(seconds=120.0)
        bench.run(seconds=3_600.0)
        assert messages(bench.destination.rows) == [str(number) for number in range(20)]
        assert bench.stats.queued == 1
        assert "unexpected ZeroDivisionError() while delivering" in bench.reported("internal")[0]

    def test_tries_of_a_single_row_are_at_most_retry_seconds_apart(self):
        bench = Bench(*[AWAY] * 40, retry_seconds=10.0)
        bench.put_batch("a")
        longest = 0.0
        for requests in range(1, 42):
            began = bench.clock.monotonic()
            bench.run_until(lambda: bench.stats.requests == requests)  # noqa: B023 - called before the next
            longest = max(longest, bench.clock.monotonic() - began)
        assert not bench.scheduler.has_rows()
        assert longest <= 10.0


class TestUnexpectedErrors:
    def test_error_while_taking_a_batch_releases_the_probe(self, monkeypatch):
        """A probe that never ended would stop every sender for good."""
        bench = Bench(Answer(status=503))
        bench.put_batch("a")
        bench.step()
        bench.clock.advance(1_000)
        with monkeypatch.context() as patched:
            patched.setattr(bench.queue, "take", Mock(side_effect=MemoryError))
            with pytest.raises(MemoryError):
                bench.scheduler.next_batch()
        bench.run()
        assert bench.stats.delivered == 1

    def test_rows_are_given_back_when_the_destination_raises(self):
        def fail(rows):
            raise RuntimeError("a bug")

        bench = Bench(fail, fail)
        bench.put_batch("a", "b")
        bench.run()
        assert messages(bench.destination.rows) == ["a", "b"]
        assert bench.stats.delivered == 2

    @pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
    def test_system_exit_and_ctrl_c_are_raised_but_cost_no_row(self, error):
        def fail(rows):
            raise error

        bench = Bench(fail)
        bench.put_batch("a")
        with pytest.raises(error):
            bench.step()
        assert bench.stats.queued == 1
        bench.run()
        assert messages(bench.destination.rows) == ["a"]

    def test_error_whose_repr_raises_is_reported_by_its_type(self):
        class SilentError(Exception):
            def __repr__(self):
                raise ValueError

        def fail(rows):
            raise SilentError

        bench = Bench(fail)
        bench.put_batch("a")
        bench.run()
        assert "unexpected SilentError while delivering" in bench.reported("internal")[0]

    def test_error_after_a_delivery_does_not_send_the_rows_again(self, monkeypatch):
        bench = Bench()
        bench.ledger.drop("internal", 1, 0.0, accepted=1)
        bench.put_batch("a")
        monkeypatch.setattr(bench.queue, "put_notice", Mock(side_effect=MemoryError))
        bench.step()
        assert len(bench.destination.batches) == 1
        assert bench.stats.delivered == 1
        assert bench.reported("internal")


class TestTimeLimits:
    def test_rows_not_sent_within_the_time_limit_are_given_back(self):
        bench = Bench(BAD)

        def slow(rows):
            bench.clock.advance(3.0)
            return STORED

        bench.destination.play(*[slow] * 8)
        bench.put_batch(*range(8))
        work = bench.scheduler.next_batch()[0]
        bench.delivery.deliver(*work, seconds=5.0)
        assert bench.stats.delivered == 8 // 2 + 8 // 2
        bench = Bench(
            destination=Always(lambda rows: bench.clock.advance(3.0) or picky(lambda row: row["Message"] == "0")(rows))
        )
        bench.put_batch(*range(8))
        work = bench.scheduler.next_batch()[0]
        bench.delivery.deliver(*work, seconds=5.0)
        assert bench.stats.requests == 2
        assert bench.stats.queued == 8
        bench.run()
        assert bench.stats.delivered == 7

    def test_destination_is_given_the_time_that_is_left(self):
        class Asked(FakeDestination):
            seconds = ()

            def send(self, lines, *, seconds=None):
                self.seconds += (seconds,)
                return super().send(lines)

        bench = Bench(destination=Asked())
        bench.put_batch("a")
        bench.delivery.deliver(*bench.scheduler.next_batch()[0], seconds=5.0)
        bench.put_batch("b")
        bench.run()
        assert bench.destination.seconds == (5.0, None)

    def test_rows_are_dropped_and_reported_after_give_up_seconds(self):
        bench = Bench(destination=Always(lambda rows: AWAY), give_up_seconds=120.0, retry_seconds=10.0)
        bench.put_batch("a", "b")
        assert 120.0 <= bench.run() <= 140.0
        assert bench.stats.dropped == {"gave_up": 2}
        assert re.search(r"2 rows given up after 1[2-4]\d s \(give_up_seconds=120\)", bench.reported("lost")[0])

    def test_rows_are_kept_for_days_without_give_up_seconds(self):
        bench = Bench(destination=Always(lambda rows: AWAY))
        bench.put_batch("a")
        bench.run(seconds=7 * 24 * 3_600.0)
        assert bench.stats.queued == 1

    def test_batch_given_back_after_the_pipeline_closed_is_counted_as_closed(self):
        bench = Bench(lambda rows: (bench.queue.begin_drain() and bench.queue.close() and AWAY) or AWAY)
        bench.put_batch("a")
        bench.step()
        assert bench.stats.dropped == {"closed": 1}
