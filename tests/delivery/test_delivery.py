"""A batch's way to its end: what an answer does to its rows and to those who wait. Played by fakes, on one thread."""

# ruff: noqa: SLF001 - stands in the way of a part

import itertools
import re
from unittest.mock import Mock

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logging_azmon._delivery.breaker import CircuitBreaker
from logging_azmon._delivery.delivery import SPLITS_PER_MINUTE
from logging_azmon._delivery.retry import TIME_RANGE
from logging_azmon._queue.batch import SPLITS_PER_BATCH
from logging_azmon.testing import Answer, Failure, FakeDestination
from support.delivering import Bench, line, messages

STORED = Answer(status=204)
AWAY = Answer(status=503, code="ServiceUnavailable", message="away")
BUSY = Answer(status=429, code="TooManyRequests", message="slow down")
FORBIDDEN = Answer(status=403, code="OperationFailed", message="no access")
TOO_LONG = Answer(status=413, code="ContentLengthLimitExceeded")
BAD = Answer(status=400, code="InvalidPayload", message="a row is bad")
SPREAD = Answer(status=400, code=TIME_RANGE)


def picky(is_bad, answer=BAD):
    """Refuse batches with such a row."""
    return lambda rows: answer if any(is_bad(row) for row in rows) else STORED


class Always(FakeDestination):
    """Ask the same callable for every answer."""

    def __init__(self, answer):
        super().__init__()
        self._answer = answer

    def send(self, lines, *, seconds=None):
        self.play(self._answer)
        return super().send(lines, seconds=seconds)


class TestWhenABatchGoes:
    def test_the_first_row_goes_within_a_fifth_of_a_second(self):
        bench = Bench()
        bench.put("a")
        pause = bench.step()
        assert 0 < pause <= 0.2
        bench.clock.advance(pause)
        bench.step()
        assert messages(bench.destination.rows) == ["a"]

    def test_in_busy_times_rows_wait_for_company_but_not_longer_than_batch_seconds(self):
        bench = Bench(batch_seconds=5.0)
        bench.put("a")
        bench.run()
        bench.clock.advance(1.0)
        bench.put("b")
        assert 3.0 < bench.run() <= 5.0

    def test_a_full_batch_goes_at_once(self):
        bench = Bench(batch_bytes=4_096)
        bench.put(*range(50), size=100)
        assert bench.steps() == 1
        assert bench.scheduler.has_full_batch() is False
        assert len(bench.destination.rows) == 40

    def test_without_rows_there_is_nothing_to_do(self):
        bench = Bench()
        assert bench.scheduler.next_batch() == (None, 60.0)
        assert not bench.scheduler.has_rows()

    def test_whoever_comes_too_late_for_a_batch_looks_again(self):
        """Not after a minute: another row may be due much sooner."""
        bench = Bench()
        bench.put_batch("a")
        bench.buffer.take = lambda now, *, is_due: None
        assert bench.scheduler.next_batch() == (None, 0.0)
        assert bench.breaker.wait_seconds(bench.clock.monotonic()) == 0.0

    @pytest.mark.parametrize("which", ["shared", "own"])
    def test_whoever_comes_too_late_for_a_probe_waits_for_its_end(self, which):
        bench = Bench(AWAY if which == "shared" else FORBIDDEN, STORED)
        bench.put_batch("a")
        bench.put_batch("b")
        bench.clock.advance(bench.step())
        pause = bench.scheduler.next_batch()[1]
        bench.clock.advance(pause)
        work = bench.scheduler.next_batch()[0]
        assert bench.scheduler.next_batch() == (None, 60.0)
        bench.delivery.deliver(*work)
        assert bench.steps() == 1

    @pytest.mark.parametrize("which", ["shared", "own"])
    def test_a_lane_that_closes_between_looking_and_entering_is_noticed(self, which):
        bench = Bench()
        bench.put_batch("a")
        breaker = bench.scheduler._shared if which == "shared" else bench.scheduler._own
        breaker.acquire = lambda now: None
        assert bench.scheduler.next_batch() == (None, 0.0)
        assert bench.stats.queued == 1


class TestAnswers:
    def test_204_delivers(self):
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
    def test_rows_are_kept_through_every_trouble_and_arrive_once(self, trouble):
        bench = Bench(*[trouble] * 5)
        bench.put("a", "b")
        bench.run()
        stats = bench.stats
        assert messages(bench.destination.rows) == ["a", "b"]
        assert (stats.delivered, stats.dropped, stats.rejected) == (2, {}, 0)
        assert (stats.requests, stats.retries) == (6, 5)
        assert len(bench.told("recovered")) == 1
        assert not bench.scheduler.is_failing

    def test_401_is_tried_again_at_once_with_a_new_token(self):
        bench = Bench(Answer(status=401))
        bench.put_batch("a")
        assert bench.run() == 0.0
        assert messages(bench.destination.rows) == ["a"]
        assert bench.troubles == []

    def test_401_twice_is_as_403(self):
        bench = Bench(Answer(status=401), Answer(status=401))
        bench.put_batch("a")
        assert bench.run() >= 30.0
        assert bench.stats.requests == 3
        assert "credential=" in bench.told("configuration")[0]

    def test_retry_after_is_waited_for(self):
        bench = Bench(Answer(status=429, retry_after="17"))
        bench.put_batch("a")
        assert bench.run() == 17.0

    def test_retry_after_is_waited_for_no_longer_than_five_minutes(self):
        bench = Bench(Answer(status=503, retry_after="86400"))
        bench.put_batch("a")
        assert bench.run() == 300.0

    def test_an_outage_is_told_with_what_waits_and_what_was_lost(self):
        bench = Bench(Answer(status=403, message="no access"), batch_bytes=4_096, queue_bytes=8_192)
        bench.put(*range(100), size=100)
        bench.step()
        told = bench.troubles[0]
        assert "Monitoring Metrics Publisher on dcr-0123" in str(told)
        assert "30 minutes" in str(told)
        assert "81 rows are waiting, 19 rows dropped so far" in str(told)
        assert (told.kind, told.status, told.rows) == ("configuration", 403, 81)

    def test_one_row_is_waiting(self):
        bench = Bench(AWAY)
        bench.put_batch("a")
        bench.step()
        assert "; 1 row is waiting, next try in" in bench.told("outage")[0]

    def test_quick_first_slow_later(self):
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
    def test_rows_at_fault_are_found_and_rejected_the_others_arrive(self, poison):
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

    def test_a_batch_that_is_all_poison_costs_so_many_requests_and_no_more(self):
        bench = Bench(destination=Always(lambda rows: BAD))
        bench.put_batch(*range(5_000))
        bench.run()
        stats = bench.stats
        assert stats.rejected == 5_000
        assert stats.requests <= 1 + SPLITS_PER_BATCH
        assert sum(trouble.rows for trouble in bench.troubles) == 5_000
        assert b"".join(trouble.rows_json for trouble in bench.troubles).count(b"\n") == 5_000

    def test_every_second_row_at_fault_stays_within_the_budget_too(self):
        bench = Bench(destination=Always(picky(lambda row: int(row["Message"]) % 2)))
        bench.put_batch(*range(4_000))
        bench.run()
        stats = bench.stats
        assert stats.requests <= 1 + SPLITS_PER_BATCH
        assert stats.delivered + stats.rejected == 4_000
        assert stats.dropped == {}

    def test_the_pipeline_spends_no_more_than_its_minute_has(self):
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
    def test_413_finds_the_size_that_fits_and_loses_nothing(self, sizes, limit, rows_at_most):
        def judge(rows):
            size = sum(len(orjson.dumps(row)) + 1 for row in rows)
            return STORED if size <= limit and len(rows) <= rows_at_most else TOO_LONG

        bench = Bench(destination=Always(judge))
        rows = [line(number, size) for number, size in enumerate(sizes)]
        bench.put_batch(*rows)
        bench.run()
        assert messages(bench.destination.rows) == [str(number) for number in range(len(rows))]
        assert bench.stats.rejected == 0

    def test_413_never_costs_rows_that_fit_however_many_there_are(self):
        """Where the minute's budget is used up they wait."""
        bench = Bench(destination=Always(lambda rows: STORED if len(rows) == 1 else TOO_LONG))
        bench.put_batch(*range(1_000))
        seconds = bench.run()
        assert seconds > 60
        assert len(bench.destination.rows) == 1_000
        assert bench.stats.rejected == 0
        assert bench.stats.requests < 2_200
        assert "next try in" in bench.told("throttled")[0]

    def test_a_single_row_that_is_too_large_is_shrunk(self):
        bench = Bench(TOO_LONG)
        bench.put_batch(line("big", 900_000))
        bench.run()
        (row,) = bench.destination.rows
        assert row["Message"] == "big"
        assert len(orjson.dumps(row)) <= 450_000
        assert (bench.stats.delivered, bench.stats.retries) == (1, 0)

    def test_a_short_row_is_rejected_rather_than_delivered_without_its_words(self):
        bench = Bench(TOO_LONG, TOO_LONG, TOO_LONG)
        bench.put_batch("a few words")
        bench.put_batch("others")
        bench.run()
        assert bench.stats.rejected == 1
        assert messages(bench.destination.rows) == ["others"]

    def test_a_single_row_that_is_too_large_even_shrunk_is_rejected(self):
        bench = Bench(TOO_LONG, TOO_LONG)
        bench.put_batch(line("big", 900_000))
        bench.run()
        assert bench.stats.rejected == 1
        assert bench.stats.requests == 2
        assert "413" in bench.told("rejected")[0]

    def test_what_was_known_to_be_too_large_was_never_sent_and_is_no_request(self):
        limit = Answer(failure=Failure.TOO_LARGE, message="9 bytes")
        bench = Bench(limit, limit, limit)
        bench.put_batch(*range(8))
        bench.run()
        assert messages(bench.destination.rows) == [str(number) for number in range(8)]
        assert bench.stats.requests == 4
        assert bench.stats.retries == 0

    def test_it_proves_nothing_about_an_outage(self):
        bench = Bench(AWAY, Answer(failure=Failure.TOO_LARGE), AWAY)
        bench.put_batch("a", "b")
        bench.clock.advance(bench.step() + 1)
        bench.step()
        assert bench.told("recovered") == []
        bench.run()
        assert len(bench.told("recovered")) == 1

    def test_rows_that_are_too_far_apart_are_sent_in_groups(self):
        def judge(rows):
            times = [row["TimeGenerated"] for row in rows]
            return SPREAD if min(times)[11:13] != max(times)[11:13] else STORED

        bench = Bench(destination=Always(judge))
        bench.put_batch(*[line(n, TimeGenerated=f"2026-11-20T{n % 3:02}:10:00.000000Z") for n in range(9)])
        bench.run()
        assert messages(bench.destination.rows) == ["0", "3", "6", "1", "4", "7", "2", "5", "8"]
        assert bench.stats.requests == 4

    def test_of_many_groups_those_beyond_the_minutes_budget_wait_and_none_is_rejected(self):
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
        assert "splitting has used up its 600 requests a minute" in bench.told("throttled")[0], (
            "the second batch had to wait"
        )

    def test_rows_without_a_time_are_split_like_any_others(self):
        bench = Bench(destination=Always(picky(lambda row: row["Message"] == "3", SPREAD)))
        bench.put_batch(*range(8))
        bench.run()
        assert bench.stats.rejected == 1
        assert len(bench.destination.rows) == 7

    def test_an_outage_in_the_middle_of_splitting_loses_nothing(self):
        bench = Bench(BAD, STORED, AWAY, BAD, STORED)
        bench.put_batch(*range(8))
        bench.run()
        stats = bench.stats
        assert stats.delivered + stats.rejected == 8
        assert sorted(messages(bench.destination.rows), key=int) == [str(number) for number in range(8)]

    @given(st.lists(st.sampled_from([STORED, AWAY, BUSY, FORBIDDEN, BAD, TOO_LONG, SPREAD, Answer(status=401)])))
    def test_whatever_is_answered_every_row_ends_once(self, answers):
        bench = Bench(*answers, batch_bytes=4_096)
        bench.put(*range(100), size=100)
        bench.run()
        stats = bench.stats
        assert stats.delivered + stats.rejected == 100
        assert stats.delivered == len(bench.destination.rows) == len(set(messages(bench.destination.rows)))
        rejected = b"".join(trouble.rows_json for trouble in bench.troubles)
        assert rejected.count(b"\n") == stats.rejected


class TestOneBadBatch:
    """A batch that the service always answers with an error must not hold up the others, nor spin."""

    @pytest.mark.parametrize(
        "answer",
        [AWAY, BUSY, FORBIDDEN, Answer(failure=Failure.CONNECTION), Answer(failure=Failure.UNREADABLE)],
        ids=str,
    )
    def test_it_holds_up_nobody_for_ever_and_does_not_spin(self, answer):
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

    def test_not_even_one_that_makes_the_destination_raise(self):
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
        assert "unexpected ZeroDivisionError() while delivering" in bench.told("internal")[0]

    def test_a_lone_row_is_never_kept_longer_than_retry_seconds_between_two_tries(self):
        bench = Bench(*[AWAY] * 40, retry_seconds=10.0)
        bench.put_batch("a")
        longest = 0.0
        for requests in range(1, 42):
            began = bench.clock.monotonic()
            bench.run_until(lambda: bench.stats.requests == requests)  # noqa: B023 - called before the next
            longest = max(longest, bench.clock.monotonic() - began)
        assert not bench.scheduler.has_rows()
        assert longest <= 10.0


class TestErrorsOfOurOwn:
    def test_a_batch_that_cannot_be_taken_keeps_no_place_in_the_lane(self, monkeypatch):
        """After a failure one probes before all go on; if it never came back, nobody would ever go."""
        bench = Bench(Answer(status=503))
        bench.put_batch("a")
        bench.step()
        bench.clock.advance(1_000)
        with monkeypatch.context() as patched:
            patched.setattr(bench.buffer, "take", Mock(side_effect=MemoryError))
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
    def test_what_ends_a_thread_is_passed_on_but_costs_no_row(self, error):
        def fail(rows):
            raise error

        bench = Bench(fail)
        bench.put_batch("a")
        with pytest.raises(error):
            bench.step()
        assert bench.stats.queued == 1
        bench.run()
        assert messages(bench.destination.rows) == ["a"]

    def test_an_error_that_cannot_say_what_it_is(self):
        class SilentError(Exception):
            def __repr__(self):
                raise ValueError

        def fail(rows):
            raise SilentError

        bench = Bench(fail)
        bench.put_batch("a")
        bench.run()
        assert "unexpected SilentError while delivering" in bench.told("internal")[0]

    def test_an_error_after_a_delivery_does_not_send_the_rows_again(self, monkeypatch):
        bench = Bench()
        bench.ledger.drop("internal", 1, 0.0, accepted=1)
        bench.put_batch("a")
        monkeypatch.setattr(bench.buffer, "put_notice", Mock(side_effect=MemoryError))
        bench.step()
        assert len(bench.destination.batches) == 1
        assert bench.stats.delivered == 1
        assert bench.told("internal")


class TestPauses:
    def pair(self, *answers, **second):
        """Make two pipelines of one endpoint and rule."""
        destination, breaker = FakeDestination(*answers), CircuitBreaker()
        one = Bench(destination=destination, breaker=breaker)
        two = Bench(destination=destination, breaker=breaker, clock=one.clock, stream="Custom-Other_CL", **second)
        one.put_batch("one")
        two.put_batch("two")
        return one, two, destination

    def test_an_outage_pauses_all_pipelines_of_an_endpoint_and_rule(self):
        one, two, destination = self.pair(Answer(status=503, retry_after="30"))
        one.step()
        assert two.step() == 30.0
        assert two.scheduler.is_failing
        one.clock.advance(30)
        two.step()
        assert messages(destination.rows) == ["two"]
        assert one.steps() == 1

    def test_a_configuration_trouble_of_one_does_not_pause_another(self):
        one, two, destination = self.pair(FORBIDDEN)
        assert one.step() == 0.0
        assert one.step() >= 30.0
        two.step()
        assert messages(destination.rows) == ["two"]
        assert not two.scheduler.is_failing

    def test_after_an_outage_one_batch_probes_before_all_resume(self):
        one, two, _ = self.pair(Answer(status=503, retry_after="30"))
        one.step()
        one.clock.advance(30)
        probe = two.scheduler.next_batch()[0]
        assert one.scheduler.next_batch() == (None, 60.0)
        two.delivery.deliver(*probe)
        assert one.scheduler.next_batch()[0] is not None

    def test_a_probe_that_meets_a_configuration_trouble_lets_the_others_probe_at_once(self):
        one, two, destination = self.pair(Answer(status=503, retry_after="30"), FORBIDDEN)
        woken = []

        class Waiting:
            def wake(self):
                woken.append(destination.batches[:])

        waiting = Waiting()
        one.step()
        one.clock.advance(30)
        two.scheduler.subscribe(waiting.wake)
        two.step()
        assert woken
        assert one.steps() == 1
        assert messages(destination.rows) == ["one"]

    def test_who_subscribes_is_woken_by_both_lanes(self):
        class Sleeper:
            woken = 0

            def wake(self):
                self.woken += 1

        for answer in (AWAY, FORBIDDEN):
            bench, sleeper = Bench(answer), Sleeper()
            bench.scheduler.subscribe(sleeper.wake)
            bench.put_batch("a")
            bench.step()
            assert sleeper.woken == 1

    def test_whoever_flushes_has_one_batch_probe_now(self):
        bench = Bench(*[AWAY] * 8)
        bench.put_batch("a")
        bench.run_until(lambda: bench.stats.requests == 8)
        bench.buffer.urge()
        bench.scheduler.hurry()
        assert bench.run() == 0.0

    def test_whoever_flushes_has_no_batch_probe_before_the_service_wants_it(self):
        bench = Bench(Answer(status=429, retry_after="60"))
        bench.put_batch("a")
        bench.step()
        bench.buffer.urge()
        bench.scheduler.hurry()
        assert bench.run() == 60.0

    def test_429s_make_batches_larger_and_successes_in_time_bring_the_old_pace_back(self):
        bench = Bench(*[Answer(status=429, retry_after="60")] * 3, batch_seconds=5.0)
        bench.put_batch("a")
        bench.run()
        stretched = bench.breaker.stretch
        assert stretched > 5
        bench.put("b")
        assert bench.run() > 5.0 * 4
        for _ in range(12):
            bench.clock.advance(3_600.0)
            for _ in range(4):
                bench.put_batch("c")
                bench.run()
        assert bench.breaker.stretch == 1.0

    def test_closing_makes_everything_due_and_tries_faster(self):
        bench = Bench(*[FORBIDDEN, AWAY] * 10, retry_seconds=60.0)
        bench.put("a")
        bench.scheduler.is_closing = True
        assert bench.run() <= 20.0
        assert messages(bench.destination.rows) == ["a"]


class TestTimeLimits:
    def test_what_is_not_sent_in_time_is_given_back(self):
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

    def test_the_destination_is_told_how_much_time_is_left(self):
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

    def test_give_up_seconds_ends_trying_and_says_so(self):
        bench = Bench(destination=Always(lambda rows: AWAY), give_up_seconds=120.0, retry_seconds=10.0)
        bench.put_batch("a", "b")
        assert 120.0 <= bench.run() <= 140.0
        assert bench.stats.dropped == {"gave_up": 2}
        assert re.search(r"2 rows given up after 1[2-4]\d s \(give_up_seconds=120\)", bench.told("lost")[0])

    def test_without_it_nothing_is_given_up(self):
        bench = Bench(destination=Always(lambda rows: AWAY))
        bench.put_batch("a")
        bench.run(seconds=7 * 24 * 3_600.0)
        assert bench.stats.queued == 1

    def test_a_batch_that_comes_back_after_the_end_is_counted(self):
        bench = Bench(lambda rows: (bench.buffer.abandon("closed") and AWAY) or AWAY)
        bench.put_batch("a")
        bench.step()
        assert bench.stats.dropped == {"closed": 1}


class TestTellingLosses:
    def test_losses_arrive_as_rows_when_delivery_works_again(self):
        bench = Bench(Answer(status=503, retry_after="205"), batch_bytes=4_096, queue_bytes=8_192)
        bench.put(*range(80), size=100)
        bench.step()
        dropped = bench.put(*range(1_235), size=100).count(False)
        bench.clock.advance(205)
        dropped += bench.put("the last", size=100).count(False)
        bench.run()
        (notice,) = [row for row in bench.destination.rows if "dropped" in row["Message"]]
        first, last = "08:00:00", "08:03:25"
        assert notice["Message"] == f"{dropped:,} rows dropped: queue_full, {first} to {last} UTC"
        assert notice["Level"] == "WARNING"
        assert bench.told("lost") == [notice["Message"]]
        assert bench.troubles[-1].reason == "queue_full"
        assert bench.troubles[-1].rows == dropped
        assert bench.stats.delivered == len(bench.destination.rows)

    def test_each_reason_has_its_row(self):
        bench = Bench()
        bench.ledger.drop("queue_full", 2, 0.0, accepted=2)
        bench.ledger.drop("internal", 1, 0.0, accepted=1)
        bench.put_batch("a")
        bench.run()
        assert messages(bench.destination.rows) == [
            "a",
            "2 rows dropped: queue_full, 00:00:00 to 00:00:00 UTC",
            "1 row dropped: internal, 00:00:00 to 00:00:00 UTC",
        ]

    def test_not_more_often_than_batches_go(self):
        bench = Bench(batch_seconds=5.0)
        for _ in range(20):
            bench.ledger.drop("queue_full", 1, 0.0, accepted=1)
            bench.put_batch("a")
            bench.run()
            bench.clock.advance(1.0)
        bench.clock.advance(5.0)
        bench.put_batch("a")
        bench.run()
        notices = [row for row in bench.destination.rows if row["Message"] != "a"]
        assert 4 <= len(notices) <= 6
        assert sum(int(row["Message"].split()[0]) for row in notices) == 20

    def test_what_finds_no_room_is_told_later(self):
        bench = Bench(batch_bytes=4_096, queue_bytes=8_192)
        bench.ledger.drop("queue_full", 5, 10.0, accepted=5)
        dropped = bench.put(*["x"] * 100, size=100).count(False)
        assert dropped
        bench.notices.put()
        bench.ledger.drop("queue_full", 2, 20.0, accepted=2)
        bench.run()
        bench.clock.advance(5.0)
        bench.put_batch("a")
        bench.run()
        told = [message for message in messages(bench.destination.rows) if "dropped" in message]
        assert told == [f"{5 + dropped + 2} rows dropped: queue_full, 00:00:10 to 00:00:20 UTC"]

    def test_losing_a_notice_breeds_no_other(self):
        bench = Bench(batch_bytes=4_096, queue_bytes=8_192, overflow="drop_old", give_up_seconds=10.0)
        bench.ledger.drop("internal", 1, 0.0, accepted=1)
        bench.notices.put()
        bench.destination.play(*[AWAY] * 50)
        bench.run()
        assert bench.stats.dropped == {"internal": 1, "gave_up": 1}
        assert not bench.ledger.has_untold
        bench.destination._script.clear()
        bench.clock.advance(100)
        bench.put_batch("a")
        bench.run()
        assert messages(bench.destination.rows) == ["a"]
