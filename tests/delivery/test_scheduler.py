"""The order and time of sending batches: on one thread, with a fake destination and a manual clock."""

# ruff: noqa: SLF001 - a breaker opens between two calls, as if by another thread

import pytest

from logging_azmon._delivery.breaker import CircuitBreaker
from logging_azmon.testing import Answer, FakeDestination
from support.delivering import Bench, messages

STORED = Answer(status=204)
AWAY = Answer(status=503, code="ServiceUnavailable", message="away")
FORBIDDEN = Answer(status=403, code="OperationFailed", message="no access")


class TestNextBatch:
    def test_first_row_is_sent_within_a_fifth_of_a_second(self):
        bench = Bench()
        bench.put("a")
        pause = bench.step()
        assert 0 < pause <= 0.2
        bench.clock.advance(pause)
        bench.step()
        assert messages(bench.destination.rows) == ["a"]

    def test_row_soon_after_a_batch_waits_for_others_at_most_batch_seconds(self):
        bench = Bench(batch_seconds=5.0)
        bench.put("a")
        bench.run()
        bench.clock.advance(1.0)
        bench.put("b")
        assert 3.0 < bench.run() <= 5.0

    def test_full_batch_is_sent_at_once(self):
        bench = Bench(batch_bytes=4_096)
        bench.put(*range(50), size=100)
        assert bench.steps() == 1
        assert bench.scheduler.has_ready_batch() is False
        assert len(bench.destination.rows) == 40

    def test_scheduler_without_rows_waits_until_it_is_woken(self):
        bench = Bench()
        assert bench.scheduler.next_batch() == (None, 60.0)
        assert not bench.scheduler.has_rows()

    def test_thread_that_loses_the_race_for_a_batch_looks_again_at_once(self):
        """The thread must not sleep for a minute, because another row may be due much sooner."""
        bench = Bench()
        bench.put_batch("a")
        bench.queue.take = lambda now, *, is_due: None
        assert bench.scheduler.next_batch() == (None, 0.0)
        assert bench.breaker.wait_seconds(bench.clock.monotonic()) == 0.0

    @pytest.mark.parametrize("which", ["shared", "own"])
    def test_thread_that_loses_the_race_for_a_probe_waits_for_its_end(self, which):
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
    def test_no_batch_is_taken_if_a_breaker_opens_after_the_check(self, which):
        bench = Bench()
        bench.put_batch("a")
        breaker = bench.scheduler._shared_breaker if which == "shared" else bench.scheduler._own_breaker
        breaker.acquire = lambda now: None
        assert bench.scheduler.next_batch() == (None, 0.0)
        assert bench.stats.queued == 1

    def test_repr_shows_both_breakers_and_that_the_pipeline_closes(self):
        bench = Bench()
        bench.queue.begin_drain()
        breaker = "<CircuitBreaker closed, failures=0, resume_at=0.0, from_server=False, stretch=1.0>"
        assert repr(bench.scheduler) == f"<Scheduler shared={breaker}, own={breaker}, draining>"


class TestPauses:
    def pair(self, *answers, **second):
        """Make two pipelines of one endpoint and rule."""
        destination, breaker = FakeDestination(*answers), CircuitBreaker()
        one = Bench(destination=destination, breaker=breaker)
        two = Bench(destination=destination, breaker=breaker, clock=one.clock, stream="Custom-Other_CL", **second)
        one.put_batch("one")
        two.put_batch("two")
        return one, two, destination

    def test_outage_pauses_all_pipelines_of_an_endpoint_and_rule(self):
        one, two, destination = self.pair(Answer(status=503, retry_after="30"))
        one.step()
        assert two.step() == 30.0
        assert two.scheduler.is_failing
        one.clock.advance(30)
        two.step()
        assert messages(destination.rows) == ["two"]
        assert one.steps() == 1

    def test_configuration_error_of_one_pipeline_does_not_pause_another(self):
        one, two, destination = self.pair(FORBIDDEN)
        assert one.step() == 0.0
        assert one.step() >= 30.0
        two.step()
        assert messages(destination.rows) == ["two"]
        assert not two.scheduler.is_failing

    def test_after_an_outage_one_batch_probes_before_all_pipelines_resume(self):
        one, two, _ = self.pair(Answer(status=503, retry_after="30"))
        one.step()
        one.clock.advance(30)
        probe = two.scheduler.next_batch()[0]
        assert one.scheduler.next_batch() == (None, 60.0)
        two.delivery.deliver(*probe)
        assert one.scheduler.next_batch()[0] is not None

    def test_probe_that_meets_a_configuration_error_lets_another_pipeline_probe(self):
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

    def test_subscribers_are_woken_by_both_breakers(self):
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

    def test_flush_during_a_backoff_lets_one_batch_probe_now(self):
        bench = Bench(*[AWAY] * 8)
        bench.put_batch("a")
        bench.run_until(lambda: bench.stats.requests == 8)
        bench.queue.make_all_due()
        bench.scheduler.end_pauses()
        assert bench.run() == 0.0

    def test_flush_waits_as_long_as_the_service_asked_for(self):
        bench = Bench(Answer(status=429, retry_after="60"))
        bench.put_batch("a")
        bench.step()
        bench.queue.make_all_due()
        bench.scheduler.end_pauses()
        assert bench.run() == 60.0

    def test_429s_make_batches_wait_longer_until_hours_of_success_restore_the_pace(self):
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

    def test_closing_makes_every_row_due_and_retries_sooner(self):
        bench = Bench(*[FORBIDDEN, AWAY] * 10, retry_seconds=60.0)
        bench.put("a")
        bench.queue.begin_drain()
        assert bench.run() <= 20.0
        assert messages(bench.destination.rows) == ["a"]
