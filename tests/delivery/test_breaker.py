"""The circuit breaker: pauses, probes and stretched batches; the tests pass the time."""

# ruff: noqa: SLF001 - its lock and its list of subscribers are private

import gc
import itertools
import threading
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logging_azmon._delivery.breaker import (
    FLOOR_SECONDS,
    HOLD_SECONDS,
    MAX_STRETCH,
    QUOTA_SECONDS,
    CircuitBreaker,
    CircuitBreakers,
)


def latest(low, high):
    return high


def fail(breaker, ticket, now, seconds, *, from_server=False, is_throttled=False):
    breaker.failed(ticket, now, seconds, from_server=from_server, is_throttled=is_throttled)


class Sleeper:
    def __init__(self):
        self.woken = 0

    def wake(self):
        self.woken += 1


class TestCircuitBreaker:
    def test_closed_breaker_gives_a_ticket_to_every_sender(self):
        breaker = CircuitBreaker()
        assert [breaker.acquire(0.0) for _ in range(3)] == [0, 0, 0]
        assert breaker.wait_seconds(0.0) == 0.0
        assert not breaker.is_failing

    def test_failure_opens_the_breaker_for_every_sender(self):
        breaker = CircuitBreaker()
        fail(breaker, breaker.acquire(0.0), 0.0, 10.0)
        assert breaker.wait_seconds(4.0) == 6.0
        assert breaker.acquire(9.9) is None
        assert breaker.is_failing

    def test_after_a_pause_only_one_batch_probes_until_its_outcome_is_known(self):
        breaker = CircuitBreaker()
        fail(breaker, breaker.acquire(0.0), 0.0, 10.0)
        probe = breaker.acquire(10.0)
        assert probe is not None
        assert breaker.acquire(10.0) is None
        assert breaker.wait_seconds(10.0) is None
        assert breaker.succeeded(probe, 10.0)
        assert not breaker.is_failing
        assert None not in [breaker.acquire(10.0) for _ in range(3)]

    def test_failed_probe_opens_the_breaker_again(self):
        breaker = CircuitBreaker()
        fail(breaker, breaker.acquire(0.0), 0.0, 1.0)
        fail(breaker, breaker.acquire(1.0), 1.0, 2.0)
        assert breaker.wait_seconds(1.0) == 2.0
        assert breaker.acquire(3.0) is not None

    def test_requests_that_fail_together_count_as_one_failure(self):
        breaker = CircuitBreaker()
        tickets = [breaker.acquire(0.0) for _ in range(4)]
        assert [breaker.failures_with(ticket) for ticket in tickets] == [1, 1, 1, 1]
        fail(breaker, tickets[0], 0.0, 1.0, is_throttled=True)
        for ticket in tickets[1:]:
            assert breaker.failures_with(ticket) == 1
            fail(breaker, ticket, 0.5, 60.0, is_throttled=True)
        assert breaker.wait_seconds(0.5) == 0.5
        assert breaker.stretch == 2.0
        assert breaker.failures_with(breaker.acquire(1.0)) == 2

    def test_stale_failure_with_a_retry_after_extends_the_pause(self):
        breaker = CircuitBreaker()
        first, late = breaker.acquire(0.0), breaker.acquire(0.0)
        fail(breaker, first, 0.0, 1.0)
        fail(breaker, late, 0.5, 30.0, from_server=True)
        assert breaker.wait_seconds(1.0) == 29.5

    def test_shorter_pause_does_not_replace_a_longer_one(self):
        breaker = CircuitBreaker()
        first, late = breaker.acquire(0.0), breaker.acquire(0.0)
        fail(breaker, first, 0.0, 60.0, from_server=True)
        fail(breaker, late, 0.0, 2.0, from_server=True)
        assert breaker.wait_seconds(0.0) == 60.0

    def test_success_of_a_request_begun_before_the_failure_does_not_close_the_breaker(self):
        breaker = CircuitBreaker()
        first, late = breaker.acquire(0.0), breaker.acquire(0.0)
        fail(breaker, first, 0.0, 5.0)
        assert not breaker.succeeded(late, 0.0)
        assert breaker.is_failing
        assert breaker.wait_seconds(0.0) == 5.0

    def test_probe_released_without_an_outcome_lets_another_batch_probe(self):
        breaker, sleeper = CircuitBreaker(), Sleeper()
        fail(breaker, breaker.acquire(0.0), 0.0, 1.0)
        probe = breaker.acquire(1.0)
        breaker.subscribe(sleeper.wake)
        breaker.release(probe)
        assert sleeper.woken == 1
        assert breaker.acquire(1.0) is not None

    @pytest.mark.parametrize("end", ["succeeded", "failed"])
    def test_ticket_given_back_twice_does_no_harm(self, end):
        breaker = CircuitBreaker()
        fail(breaker, breaker.acquire(0.0), 0.0, 1.0)
        probe = breaker.acquire(1.0)
        if end == "succeeded":
            breaker.succeeded(probe, 1.0)
            breaker.release(probe)
            assert breaker.wait_seconds(1.0) == 0.0
        else:
            fail(breaker, probe, 1.0, 1.0)
            other = breaker.acquire(2.0)
            breaker.release(probe)
            assert breaker.acquire(2.0) is None, "the other probe is still on its way"
            breaker.release(other)

    def test_end_pauses_ends_a_backoff_pause_for_one_probe(self):
        breaker, sleeper = CircuitBreaker(), Sleeper()
        fail(breaker, breaker.acquire(0.0), 0.0, 60.0)
        breaker.subscribe(sleeper.wake)
        breaker.end_pauses(1.0)
        assert sleeper.woken == 1
        assert breaker.acquire(1.0) is not None
        assert breaker.acquire(1.0) is None

    def test_end_pauses_does_not_end_a_pause_that_the_service_asked_for(self):
        breaker = CircuitBreaker()
        fail(breaker, breaker.acquire(0.0), 0.0, 60.0, from_server=True)
        breaker.end_pauses(1.0)
        assert breaker.wait_seconds(1.0) == 59.0

    def test_end_pauses_does_not_end_a_pause_that_the_service_asked_a_stale_request_for(self):
        breaker = CircuitBreaker()
        first, late = breaker.acquire(0.0), breaker.acquire(0.0)
        fail(breaker, first, 0.0, 5.0)
        fail(breaker, late, 0.0, 60.0, from_server=True)
        fail(breaker, late, 0.0, 1.0)
        breaker.end_pauses(1.0)
        assert breaker.wait_seconds(1.0) == 59.0

    def test_end_pauses_without_a_pause_does_nothing(self):
        breaker = CircuitBreaker()
        breaker.end_pauses(1.0)
        assert breaker.wait_seconds(1.0) == 0.0

    def test_repeated_429s_stretch_batches_up_to_a_limit(self):
        breaker, now = CircuitBreaker(), 0.0
        for _ in range(20):
            fail(breaker, breaker.acquire(now), now, 1.0, is_throttled=True)
            now += QUOTA_SECONDS
        assert breaker.stretch == MAX_STRETCH

    def test_consecutive_429s_within_a_minute_stretch_once(self):
        breaker, now = CircuitBreaker(), 0.0
        for _ in range(20):
            fail(breaker, breaker.acquire(now), now, 1.0, is_throttled=True)
            now += 1.0
        assert breaker.stretch == 2.0

    def test_429_after_a_success_stretches_again_within_the_same_minute(self):
        breaker = CircuitBreaker()
        fail(breaker, breaker.acquire(0.0), 0.0, 1.0, is_throttled=True)
        breaker.succeeded(breaker.acquire(1.0), 1.0)
        fail(breaker, breaker.acquire(2.0), 2.0, 1.0, is_throttled=True)
        assert breaker.stretch == 4.0

    def test_stretch_does_not_fall_for_five_minutes_after_a_429(self):
        breaker = self.throttled()
        breaker.succeeded(breaker.acquire(HOLD_SECONDS), 60 + HOLD_SECONDS - 0.1)
        assert breaker.stretch == 4.0
        breaker.succeeded(breaker.acquire(HOLD_SECONDS), 60 + HOLD_SECONDS)
        assert breaker.stretch < 4.0

    def test_successes_lower_the_stretch_but_not_to_where_the_quota_was_exceeded(self):
        breaker, now = self.throttled(), 1_000.0
        stretches = []
        for _ in range(60):
            breaker.succeeded(breaker.acquire(now), now)
            stretches.append(breaker.stretch)
        assert stretches == sorted(stretches, reverse=True)
        assert stretches[-1] == stretches[-2] == 2.5

    def test_floor_under_the_stretch_is_lowered_gradually_over_hours(self):
        breaker, now = self.throttled(), 60 + FLOOR_SECONDS
        by_hour = [breaker.stretch]
        for _ in range(8):
            for _ in range(60):
                breaker.succeeded(breaker.acquire(now), now)
            by_hour.append(breaker.stretch)
            now += FLOOR_SECONDS
        assert all(after >= before * 0.5 for before, after in itertools.pairwise(by_hour))
        assert by_hour[1] > by_hour[-1] == 1.0

    @staticmethod
    def throttled():
        """Return a breaker whose quota was exceeded at twice the usual interval."""
        breaker = CircuitBreaker(latest)
        fail(breaker, breaker.acquire(0.0), 0.0, 1.0, is_throttled=True)
        fail(breaker, breaker.acquire(60.0), 60.0, 1.0, is_throttled=True)
        return breaker

    def test_outage_does_not_stretch_batches(self):
        breaker = CircuitBreaker()
        fail(breaker, breaker.acquire(0.0), 0.0, 1.0)
        assert breaker.stretch == 1.0

    def test_subscribers_are_woken_when_a_pause_begins_and_when_a_probe_succeeds(self):
        breaker, sleeper = CircuitBreaker(), Sleeper()
        breaker.subscribe(sleeper.wake)
        fail(breaker, breaker.acquire(0.0), 0.0, 1.0)
        assert sleeper.woken == 1
        probe = breaker.acquire(1.0)
        breaker.succeeded(probe, 1.0)
        assert sleeper.woken == 2
        breaker.succeeded(breaker.acquire(1.0), 1.0)
        assert sleeper.woken == 2, "a closed breaker has nothing to wait for"

    def test_breaker_holds_its_subscribers_weakly(self):
        """A bound method is a separate object that is freed at once, so the breaker must refer to its owner."""
        breaker, sleeper, gone = CircuitBreaker(), Sleeper(), Sleeper()
        for one in (sleeper, gone):
            breaker.subscribe(one.wake)
        trace = weakref.ref(gone)
        del one, gone
        gc.collect()
        assert trace() is None, "a breaker keeps no subscriber alive"
        fail(breaker, breaker.acquire(0.0), 0.0, 1.0)
        assert sleeper.woken == 1
        breaker.subscribe(Sleeper().wake)
        breaker.subscribe(sleeper.wake)
        assert len(breaker._wakes) <= 3

    def test_breaker_can_be_used_by_a_signal_handler_that_interrupts_it(self):
        """The lock is re-entrant."""
        breaker = CircuitBreaker()
        with breaker._lock:
            breaker.end_pauses(0.0)
            assert breaker.acquire(0.0) == 0

    def test_subscribers_are_woken_without_the_lock(self):
        breaker, seen = CircuitBreaker(), []

        class Eager:
            def wake(self):
                thread = threading.Thread(target=lambda: seen.append(breaker.wait_seconds(0.0)))
                thread.start()
                thread.join(10)

        eager = Eager()
        breaker.subscribe(eager.wake)
        fail(breaker, breaker.acquire(0.0), 0.0, 3.0)
        assert seen == [3.0]

    @given(
        st.lists(
            st.sampled_from(["acquire", "succeed", "fail", "late", "retry_after", "release", "end_pauses", "wait"]),
            max_size=60,
        )
    )
    def test_failing_breaker_never_lets_more_than_one_probe_out(self, moves):  # noqa: C901 - a branch each
        breaker, now, probing, old = CircuitBreaker(), 0.0, set(), []
        for move in moves:
            if move == "acquire":
                ticket = breaker.acquire(now)
                if ticket is not None:
                    assert not (breaker.is_failing and probing)
                    probing.add(ticket) if breaker.is_failing else old.append(ticket)
            elif move == "wait":
                now += 1.0
            elif move == "end_pauses":
                breaker.end_pauses(now)
            elif move == "late" and old:
                fail(breaker, old.pop(), now, 1.0)
            elif move == "retry_after" and old:
                fail(breaker, old.pop(), now, 1.0, from_server=True)
            elif probing:
                ticket = probing.pop()
                if move == "succeed":
                    assert breaker.succeeded(ticket, now)
                elif move == "release":
                    breaker.release(ticket)
                else:
                    fail(breaker, ticket, now, 1.0)
            pause = breaker.wait_seconds(now)
            assert pause is None or pause >= 0.0
            assert (pause is None) <= bool(probing), "there is no waiting for a probe that is not on its way"

    def test_repr_shows_the_state(self):
        breaker = CircuitBreaker()
        states = [repr(breaker)]
        fail(breaker, breaker.acquire(0.0), 0.0, 10.0, from_server=True, is_throttled=True)
        states.append(repr(breaker))
        breaker.acquire(10.0)
        states.append(repr(breaker))
        assert states == [
            "<CircuitBreaker closed, failures=0, resume_at=0.0, from_server=False, stretch=1.0>",
            "<CircuitBreaker open, failures=1, resume_at=10.0, from_server=True, stretch=2.0>",
            "<CircuitBreaker half-open, failures=1, resume_at=10.0, from_server=True, stretch=2.0>",
        ]


class TestCircuitBreakers:
    def test_pipelines_of_one_endpoint_and_rule_share_a_breaker(self):
        breakers = CircuitBreakers()
        breaker = breakers.of("https://a", "dcr-1")
        assert breakers.of("https://a", "dcr-1") is breaker
        assert breakers.of("https://a", "dcr-2") is not breaker
        assert breakers.of("https://b", "dcr-1") is not breaker

    def test_breaker_without_a_pipeline_is_forgotten(self):
        breakers = CircuitBreakers()
        trace = weakref.ref(breakers.of("https://a", "dcr-1"))
        gc.collect()
        assert trace() is None
