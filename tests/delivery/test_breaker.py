"""Who may send to one place, and when: with the clock given."""

# ruff: noqa: SLF001 - what must hold inside

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


class TestLane:
    def test_in_good_times_all_may_send_at_once(self):
        breaker = CircuitBreaker()
        assert [breaker.acquire(0.0) for _ in range(3)] == [0, 0, 0]
        assert breaker.wait_seconds(0.0) == 0.0
        assert not breaker.is_failing

    def test_a_failure_pauses_everybody(self):
        breaker = CircuitBreaker()
        fail(breaker, breaker.acquire(0.0), 0.0, 10.0)
        assert breaker.wait_seconds(4.0) == 6.0
        assert breaker.acquire(9.9) is None
        assert breaker.is_failing

    def test_after_a_pause_exactly_one_probes_until_it_is_known_how_that_ends(self):
        breaker = CircuitBreaker()
        fail(breaker, breaker.acquire(0.0), 0.0, 10.0)
        probe = breaker.acquire(10.0)
        assert probe is not None
        assert breaker.acquire(10.0) is None
        assert breaker.wait_seconds(10.0) is None
        assert breaker.succeeded(probe, 10.0)
        assert not breaker.is_failing
        assert None not in [breaker.acquire(10.0) for _ in range(3)]

    def test_a_probe_that_fails_pauses_again(self):
        breaker = CircuitBreaker()
        fail(breaker, breaker.acquire(0.0), 0.0, 1.0)
        fail(breaker, breaker.acquire(1.0), 1.0, 2.0)
        assert breaker.wait_seconds(1.0) == 2.0
        assert breaker.acquire(3.0) is not None

    def test_several_that_fail_together_count_as_one_failure(self):
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

    def test_a_late_failure_that_was_told_when_to_come_back_pauses_everybody_until_then(self):
        breaker = CircuitBreaker()
        first, late = breaker.acquire(0.0), breaker.acquire(0.0)
        fail(breaker, first, 0.0, 1.0)
        fail(breaker, late, 0.5, 30.0, from_server=True)
        assert breaker.wait_seconds(1.0) == 29.5

    def test_the_longest_pause_wins(self):
        breaker = CircuitBreaker()
        first, late = breaker.acquire(0.0), breaker.acquire(0.0)
        fail(breaker, first, 0.0, 60.0, from_server=True)
        fail(breaker, late, 0.0, 2.0, from_server=True)
        assert breaker.wait_seconds(0.0) == 60.0

    def test_one_that_began_before_a_failure_proves_nothing_by_passing(self):
        breaker = CircuitBreaker()
        first, late = breaker.acquire(0.0), breaker.acquire(0.0)
        fail(breaker, first, 0.0, 5.0)
        assert not breaker.succeeded(late, 0.0)
        assert breaker.is_failing
        assert breaker.wait_seconds(0.0) == 5.0

    def test_a_probe_that_was_not_used_lets_somebody_else_probe(self):
        breaker, sleeper = CircuitBreaker(), Sleeper()
        fail(breaker, breaker.acquire(0.0), 0.0, 1.0)
        probe = breaker.acquire(1.0)
        breaker.subscribe(sleeper.wake)
        breaker.release(probe)
        assert sleeper.woken == 1
        assert breaker.acquire(1.0) is not None

    @pytest.mark.parametrize("end", ["passed", "failed"])
    def test_a_ticket_given_back_twice_does_no_harm(self, end):
        breaker = CircuitBreaker()
        fail(breaker, breaker.acquire(0.0), 0.0, 1.0)
        probe = breaker.acquire(1.0)
        if end == "passed":
            breaker.succeeded(probe, 1.0)
            breaker.release(probe)
            assert breaker.wait_seconds(1.0) == 0.0
        else:
            fail(breaker, probe, 1.0, 1.0)
            other = breaker.acquire(2.0)
            breaker.release(probe)
            assert breaker.acquire(2.0) is None, "the other still probes"
            breaker.release(other)

    def test_hurrying_cuts_a_pause_of_our_own_making_short_for_one_probe(self):
        breaker, sleeper = CircuitBreaker(), Sleeper()
        fail(breaker, breaker.acquire(0.0), 0.0, 60.0)
        breaker.subscribe(sleeper.wake)
        breaker.hurry(1.0)
        assert sleeper.woken == 1
        assert breaker.acquire(1.0) is not None
        assert breaker.acquire(1.0) is None

    def test_hurrying_does_not_override_what_the_service_asked_for(self):
        breaker = CircuitBreaker()
        fail(breaker, breaker.acquire(0.0), 0.0, 60.0, from_server=True)
        breaker.hurry(1.0)
        assert breaker.wait_seconds(1.0) == 59.0

    def test_not_even_when_others_failed_without_being_asked(self):
        breaker = CircuitBreaker()
        first, late = breaker.acquire(0.0), breaker.acquire(0.0)
        fail(breaker, first, 0.0, 5.0)
        fail(breaker, late, 0.0, 60.0, from_server=True)
        fail(breaker, late, 0.0, 1.0)
        breaker.hurry(1.0)
        assert breaker.wait_seconds(1.0) == 59.0

    def test_hurrying_may_be_asked_for_at_any_time(self):
        breaker = CircuitBreaker()
        breaker.hurry(1.0)
        assert breaker.wait_seconds(1.0) == 0.0

    def test_429s_stretch_up_to_a_limit(self):
        breaker, now = CircuitBreaker(), 0.0
        for _ in range(20):
            fail(breaker, breaker.acquire(now), now, 1.0, is_throttled=True)
            now += QUOTA_SECONDS
        assert breaker.stretch == MAX_STRETCH

    def test_tries_in_vain_within_a_minute_stretch_once_because_they_tell_of_one_quota(self):
        breaker, now = CircuitBreaker(), 0.0
        for _ in range(20):
            fail(breaker, breaker.acquire(now), now, 1.0, is_throttled=True)
            now += 1.0
        assert breaker.stretch == 2.0

    def test_a_429_after_a_success_stretches_at_once(self):
        breaker = CircuitBreaker()
        fail(breaker, breaker.acquire(0.0), 0.0, 1.0, is_throttled=True)
        breaker.succeeded(breaker.acquire(1.0), 1.0)
        fail(breaker, breaker.acquire(2.0), 2.0, 1.0, is_throttled=True)
        assert breaker.stretch == 4.0

    def test_after_a_429_nothing_becomes_shorter_for_a_while(self):
        breaker = self.throttled()
        breaker.succeeded(breaker.acquire(HOLD_SECONDS), 60 + HOLD_SECONDS - 0.1)
        assert breaker.stretch == 4.0
        breaker.succeeded(breaker.acquire(HOLD_SECONDS), 60 + HOLD_SECONDS)
        assert breaker.stretch < 4.0

    def test_then_successes_bring_it_down_but_not_to_where_the_quota_was_used_up(self):
        breaker, now = self.throttled(), 1_000.0
        stretches = []
        for _ in range(60):
            breaker.succeeded(breaker.acquire(now), now)
            stretches.append(breaker.stretch)
        assert stretches == sorted(stretches, reverse=True)
        assert stretches[-1] == stretches[-2] == 2.5

    def test_in_time_it_is_forgotten_step_by_step(self):
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
        """Return a breaker whose quota was used up with twice the usual interval."""
        breaker = CircuitBreaker(latest)
        fail(breaker, breaker.acquire(0.0), 0.0, 1.0, is_throttled=True)
        fail(breaker, breaker.acquire(60.0), 60.0, 1.0, is_throttled=True)
        return breaker

    def test_an_outage_does_not_stretch(self):
        breaker = CircuitBreaker()
        fail(breaker, breaker.acquire(0.0), 0.0, 1.0)
        assert breaker.stretch == 1.0

    def test_who_waits_is_woken_when_a_pause_begins_and_when_a_probe_ends_well(self):
        breaker, sleeper = CircuitBreaker(), Sleeper()
        breaker.subscribe(sleeper.wake)
        fail(breaker, breaker.acquire(0.0), 0.0, 1.0)
        assert sleeper.woken == 1
        probe = breaker.acquire(1.0)
        breaker.succeeded(probe, 1.0)
        assert sleeper.woken == 2
        breaker.succeeded(breaker.acquire(1.0), 1.0)
        assert sleeper.woken == 2, "in good times nobody waits"

    def test_a_lane_remembers_whom_to_wake_as_long_as_they_live(self):
        """A bound method is an object of its own that dies at once: its owner is what counts."""
        breaker, sleeper, gone = CircuitBreaker(), Sleeper(), Sleeper()
        for one in (sleeper, gone):
            breaker.subscribe(one.wake)
        trace = weakref.ref(gone)
        del one, gone
        gc.collect()
        assert trace() is None, "a breaker keeps nobody alive"
        fail(breaker, breaker.acquire(0.0), 0.0, 1.0)
        assert sleeper.woken == 1
        breaker.subscribe(Sleeper().wake)
        breaker.subscribe(sleeper.wake)
        assert len(breaker._wakes) <= 3

    def test_a_signal_handler_that_flushes_may_come_in_anywhere(self):
        """Held by the same thread, the lock does not stop it."""
        breaker = CircuitBreaker()
        with breaker._lock:
            breaker.hurry(0.0)
            assert breaker.acquire(0.0) == 0

    def test_whoever_is_woken_may_use_the_lane_at_once(self):
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

    @given(st.lists(st.sampled_from(["enter", "pass", "fail", "late", "order", "leave", "hurry", "wait"]), max_size=60))
    def test_while_there_is_trouble_never_more_than_one_is_on_the_way(self, moves):  # noqa: C901 - a branch each
        breaker, now, probing, old = CircuitBreaker(), 0.0, set(), []
        for move in moves:
            if move == "enter":
                ticket = breaker.acquire(now)
                if ticket is not None:
                    assert not (breaker.is_failing and probing)
                    probing.add(ticket) if breaker.is_failing else old.append(ticket)
            elif move == "wait":
                now += 1.0
            elif move == "hurry":
                breaker.hurry(now)
            elif move == "late" and old:
                fail(breaker, old.pop(), now, 1.0)
            elif move == "order" and old:
                fail(breaker, old.pop(), now, 1.0, from_server=True)
            elif probing:
                ticket = probing.pop()
                if move == "pass":
                    assert breaker.succeeded(ticket, now)
                elif move == "leave":
                    breaker.release(ticket)
                else:
                    fail(breaker, ticket, now, 1.0)
            pause = breaker.wait_seconds(now)
            assert pause is None or pause >= 0.0
            assert (pause is None) <= bool(probing), "nobody waits for a probe that is not on its way"


class TestLanes:
    def test_pipelines_of_one_endpoint_and_rule_share_a_lane(self):
        breakers = CircuitBreakers()
        breaker = breakers.of("https://a", "dcr-1")
        assert breakers.of("https://a", "dcr-1") is breaker
        assert breakers.of("https://a", "dcr-2") is not breaker
        assert breakers.of("https://b", "dcr-1") is not breaker

    def test_a_lane_that_nobody_uses_is_forgotten(self):
        breakers = CircuitBreakers()
        trace = weakref.ref(breakers.of("https://a", "dcr-1"))
        gc.collect()
        assert trace() is None
