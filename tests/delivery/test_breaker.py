"""Who may send to one place, and when: with the clock given."""

# ruff: noqa: SLF001 - what must hold inside

import gc
import itertools
import threading
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logging_azmon._delivery.breaker import CALM_SECONDS, MOST_STRETCH, QUOTA_SECONDS, REMEMBERED_SECONDS, Lane, Lanes


def latest(low, high):
    return high


def fail(lane, ticket, now, seconds, *, is_ordered=False, is_throttled=False):
    lane.failed(ticket, now, seconds, is_ordered=is_ordered, is_throttled=is_throttled)


class Sleeper:
    def __init__(self):
        self.woken = 0

    def wake(self):
        self.woken += 1


class TestLane:
    def test_in_good_times_all_may_send_at_once(self):
        lane = Lane()
        assert [lane.enter(0.0) for _ in range(3)] == [0, 0, 0]
        assert lane.wait_seconds(0.0) == 0.0
        assert not lane.is_troubled

    def test_a_failure_pauses_everybody(self):
        lane = Lane()
        fail(lane, lane.enter(0.0), 0.0, 10.0)
        assert lane.wait_seconds(4.0) == 6.0
        assert lane.enter(9.9) is None
        assert lane.is_troubled

    def test_after_a_pause_exactly_one_probes_until_it_is_known_how_that_ends(self):
        lane = Lane()
        fail(lane, lane.enter(0.0), 0.0, 10.0)
        probe = lane.enter(10.0)
        assert probe is not None
        assert lane.enter(10.0) is None
        assert lane.wait_seconds(10.0) is None
        assert lane.passed(probe, 10.0)
        assert not lane.is_troubled
        assert None not in [lane.enter(10.0) for _ in range(3)]

    def test_a_probe_that_fails_pauses_again(self):
        lane = Lane()
        fail(lane, lane.enter(0.0), 0.0, 1.0)
        fail(lane, lane.enter(1.0), 1.0, 2.0)
        assert lane.wait_seconds(1.0) == 2.0
        assert lane.enter(3.0) is not None

    def test_several_that_fail_together_count_as_one_failure(self):
        lane = Lane()
        tickets = [lane.enter(0.0) for _ in range(4)]
        assert [lane.failures_with(ticket) for ticket in tickets] == [1, 1, 1, 1]
        fail(lane, tickets[0], 0.0, 1.0, is_throttled=True)
        for ticket in tickets[1:]:
            assert lane.failures_with(ticket) == 1
            fail(lane, ticket, 0.5, 60.0, is_throttled=True)
        assert lane.wait_seconds(0.5) == 0.5
        assert lane.stretch == 2.0
        assert lane.failures_with(lane.enter(1.0)) == 2

    def test_a_late_failure_that_was_told_when_to_come_back_pauses_everybody_until_then(self):
        lane = Lane()
        first, late = lane.enter(0.0), lane.enter(0.0)
        fail(lane, first, 0.0, 1.0)
        fail(lane, late, 0.5, 30.0, is_ordered=True)
        assert lane.wait_seconds(1.0) == 29.5

    def test_the_longest_pause_wins(self):
        lane = Lane()
        first, late = lane.enter(0.0), lane.enter(0.0)
        fail(lane, first, 0.0, 60.0, is_ordered=True)
        fail(lane, late, 0.0, 2.0, is_ordered=True)
        assert lane.wait_seconds(0.0) == 60.0

    def test_one_that_began_before_a_failure_proves_nothing_by_passing(self):
        lane = Lane()
        first, late = lane.enter(0.0), lane.enter(0.0)
        fail(lane, first, 0.0, 5.0)
        assert not lane.passed(late, 0.0)
        assert lane.is_troubled
        assert lane.wait_seconds(0.0) == 5.0

    def test_a_probe_that_was_not_used_lets_somebody_else_probe(self):
        lane, sleeper = Lane(), Sleeper()
        fail(lane, lane.enter(0.0), 0.0, 1.0)
        probe = lane.enter(1.0)
        lane.subscribe(sleeper.wake)
        lane.left(probe)
        assert sleeper.woken == 1
        assert lane.enter(1.0) is not None

    @pytest.mark.parametrize("end", ["passed", "failed"])
    def test_a_ticket_given_back_twice_does_no_harm(self, end):
        lane = Lane()
        fail(lane, lane.enter(0.0), 0.0, 1.0)
        probe = lane.enter(1.0)
        if end == "passed":
            lane.passed(probe, 1.0)
            lane.left(probe)
            assert lane.wait_seconds(1.0) == 0.0
        else:
            fail(lane, probe, 1.0, 1.0)
            other = lane.enter(2.0)
            lane.left(probe)
            assert lane.enter(2.0) is None, "the other still probes"
            lane.left(other)

    def test_hurrying_cuts_a_pause_of_our_own_making_short_for_one_probe(self):
        lane, sleeper = Lane(), Sleeper()
        fail(lane, lane.enter(0.0), 0.0, 60.0)
        lane.subscribe(sleeper.wake)
        lane.hurry(1.0)
        assert sleeper.woken == 1
        assert lane.enter(1.0) is not None
        assert lane.enter(1.0) is None

    def test_hurrying_does_not_override_what_the_service_asked_for(self):
        lane = Lane()
        fail(lane, lane.enter(0.0), 0.0, 60.0, is_ordered=True)
        lane.hurry(1.0)
        assert lane.wait_seconds(1.0) == 59.0

    def test_not_even_when_others_failed_without_being_asked(self):
        lane = Lane()
        first, late = lane.enter(0.0), lane.enter(0.0)
        fail(lane, first, 0.0, 5.0)
        fail(lane, late, 0.0, 60.0, is_ordered=True)
        fail(lane, late, 0.0, 1.0)
        lane.hurry(1.0)
        assert lane.wait_seconds(1.0) == 59.0

    def test_hurrying_may_be_asked_for_at_any_time(self):
        lane = Lane()
        lane.hurry(1.0)
        assert lane.wait_seconds(1.0) == 0.0

    def test_429s_stretch_up_to_a_limit(self):
        lane, now = Lane(), 0.0
        for _ in range(20):
            fail(lane, lane.enter(now), now, 1.0, is_throttled=True)
            now += QUOTA_SECONDS
        assert lane.stretch == MOST_STRETCH

    def test_tries_in_vain_within_a_minute_stretch_once_because_they_tell_of_one_quota(self):
        lane, now = Lane(), 0.0
        for _ in range(20):
            fail(lane, lane.enter(now), now, 1.0, is_throttled=True)
            now += 1.0
        assert lane.stretch == 2.0

    def test_a_429_after_a_success_stretches_at_once(self):
        lane = Lane()
        fail(lane, lane.enter(0.0), 0.0, 1.0, is_throttled=True)
        lane.passed(lane.enter(1.0), 1.0)
        fail(lane, lane.enter(2.0), 2.0, 1.0, is_throttled=True)
        assert lane.stretch == 4.0

    def test_after_a_429_nothing_becomes_shorter_for_a_while(self):
        lane = self.throttled()
        lane.passed(lane.enter(CALM_SECONDS), 60 + CALM_SECONDS - 0.1)
        assert lane.stretch == 4.0
        lane.passed(lane.enter(CALM_SECONDS), 60 + CALM_SECONDS)
        assert lane.stretch < 4.0

    def test_then_successes_bring_it_down_but_not_to_where_the_quota_was_used_up(self):
        lane, now = self.throttled(), 1_000.0
        stretches = []
        for _ in range(60):
            lane.passed(lane.enter(now), now)
            stretches.append(lane.stretch)
        assert stretches == sorted(stretches, reverse=True)
        assert stretches[-1] == stretches[-2] == 2.5

    def test_in_time_it_is_forgotten_step_by_step(self):
        lane, now = self.throttled(), 60 + REMEMBERED_SECONDS
        by_hour = [lane.stretch]
        for _ in range(8):
            for _ in range(60):
                lane.passed(lane.enter(now), now)
            by_hour.append(lane.stretch)
            now += REMEMBERED_SECONDS
        assert all(after >= before * 0.5 for before, after in itertools.pairwise(by_hour))
        assert by_hour[1] > by_hour[-1] == 1.0

    @staticmethod
    def throttled():
        """Return a lane whose quota was used up with twice the usual interval."""
        lane = Lane(latest)
        fail(lane, lane.enter(0.0), 0.0, 1.0, is_throttled=True)
        fail(lane, lane.enter(60.0), 60.0, 1.0, is_throttled=True)
        return lane

    def test_an_outage_does_not_stretch(self):
        lane = Lane()
        fail(lane, lane.enter(0.0), 0.0, 1.0)
        assert lane.stretch == 1.0

    def test_who_waits_is_woken_when_a_pause_begins_and_when_a_probe_ends_well(self):
        lane, sleeper = Lane(), Sleeper()
        lane.subscribe(sleeper.wake)
        fail(lane, lane.enter(0.0), 0.0, 1.0)
        assert sleeper.woken == 1
        probe = lane.enter(1.0)
        lane.passed(probe, 1.0)
        assert sleeper.woken == 2
        lane.passed(lane.enter(1.0), 1.0)
        assert sleeper.woken == 2, "in good times nobody waits"

    def test_a_lane_remembers_whom_to_wake_as_long_as_they_live(self):
        """A bound method is an object of its own that dies at once: its owner is what counts."""
        lane, sleeper, gone = Lane(), Sleeper(), Sleeper()
        for one in (sleeper, gone):
            lane.subscribe(one.wake)
        trace = weakref.ref(gone)
        del one, gone
        gc.collect()
        assert trace() is None, "a lane keeps nobody alive"
        fail(lane, lane.enter(0.0), 0.0, 1.0)
        assert sleeper.woken == 1
        lane.subscribe(Sleeper().wake)
        lane.subscribe(sleeper.wake)
        assert len(lane._wakes) <= 3

    def test_a_signal_handler_that_flushes_may_come_in_anywhere(self):
        """Held by the same thread, the lock does not stop it."""
        lane = Lane()
        with lane._lock:
            lane.hurry(0.0)
            assert lane.enter(0.0) == 0

    def test_whoever_is_woken_may_use_the_lane_at_once(self):
        lane, seen = Lane(), []

        class Eager:
            def wake(self):
                thread = threading.Thread(target=lambda: seen.append(lane.wait_seconds(0.0)))
                thread.start()
                thread.join(10)

        eager = Eager()
        lane.subscribe(eager.wake)
        fail(lane, lane.enter(0.0), 0.0, 3.0)
        assert seen == [3.0]

    @given(st.lists(st.sampled_from(["enter", "pass", "fail", "late", "order", "leave", "hurry", "wait"]), max_size=60))
    def test_while_there_is_trouble_never_more_than_one_is_on_the_way(self, moves):  # noqa: C901 - a branch each
        lane, now, probing, old = Lane(), 0.0, set(), []
        for move in moves:
            if move == "enter":
                ticket = lane.enter(now)
                if ticket is not None:
                    assert not (lane.is_troubled and probing)
                    probing.add(ticket) if lane.is_troubled else old.append(ticket)
            elif move == "wait":
                now += 1.0
            elif move == "hurry":
                lane.hurry(now)
            elif move == "late" and old:
                fail(lane, old.pop(), now, 1.0)
            elif move == "order" and old:
                fail(lane, old.pop(), now, 1.0, is_ordered=True)
            elif probing:
                ticket = probing.pop()
                if move == "pass":
                    assert lane.passed(ticket, now)
                elif move == "leave":
                    lane.left(ticket)
                else:
                    fail(lane, ticket, now, 1.0)
            pause = lane.wait_seconds(now)
            assert pause is None or pause >= 0.0
            assert (pause is None) <= bool(probing), "nobody waits for a probe that is not on its way"


class TestLanes:
    def test_pipelines_of_one_endpoint_and_rule_share_a_lane(self):
        lanes = Lanes()
        lane = lanes.of("https://a", "dcr-1")
        assert lanes.of("https://a", "dcr-1") is lane
        assert lanes.of("https://a", "dcr-2") is not lane
        assert lanes.of("https://b", "dcr-1") is not lane

    def test_a_lane_that_nobody_uses_is_forgotten(self):
        lanes = Lanes()
        trace = weakref.ref(lanes.of("https://a", "dcr-1"))
        gc.collect()
        assert trace() is None
