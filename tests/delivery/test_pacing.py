"""The due time of batches, and the budget for splitting them; the tests pass the time."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from logging_azmon._delivery.breaker import MAX_STRETCH
from logging_azmon._delivery.pacing import MAX_STRETCHED_SECONDS, Budget, Pace


def latest(low, high):
    return high


def earliest(low, high):
    return low


class TestPace:
    def test_first_batch_is_due_within_a_fifth_of_a_second(self):
        assert 0 < Pace(5.0).due_at(since=100.0, stretch=1.0) - 100.0 <= 0.2

    def test_first_batch_after_a_quiet_period_is_due_within_a_fifth_of_a_second(self):
        pace = Pace(5.0, latest)
        pace.taken(100.0)
        assert pace.due_at(since=105.0, stretch=1.0) <= 105.2

    def test_batch_soon_after_another_is_due_batch_seconds_after_it_began(self):
        pace = Pace(5.0, latest)
        pace.taken(100.0)
        assert pace.due_at(since=100.1, stretch=1.0) == 105.1

    def test_first_batch_waits_no_longer_than_a_shorter_batch_seconds(self):
        assert Pace(0.05).due_at(since=100.0, stretch=1.0) == 100.05

    def test_processes_that_start_together_spread_their_batches(self):
        spread = [(Pace(10.0, chooser), chooser) for chooser in (earliest, latest)]
        # All processes send the first row soon; their next batches are spread over most of an interval.
        early, late = (pace.due_at(since=0.0, stretch=2.0) for pace, _ in spread)
        assert (early, late) == (4.0, 20.0)
        for pace, _ in spread:
            pace.taken(0.0)
        assert [pace.due_at(since=1.0, stretch=1.0) for pace, _ in spread] == [9.0, 11.0]

    def test_stretched_batches_wait_at_most_two_minutes_or_batch_seconds(self):
        pace = Pace(5.0, latest)
        assert pace.due_at(since=0.0, stretch=4.0) == 20.0
        assert pace.due_at(since=0.0, stretch=MAX_STRETCH) == MAX_STRETCHED_SECONDS
        # If batch_seconds is longer, it is the limit.
        assert Pace(600.0, latest).due_at(since=0.0, stretch=MAX_STRETCH) == 600.0

    @given(st.floats(0.01, 3_600), st.floats(1.0, MAX_STRETCH), st.floats(0, 1e6), st.none() | st.floats(0, 1e6))
    def test_every_batch_is_due_within_the_longest_interval(self, batch_seconds, stretch, since, taken):
        pace = Pace(batch_seconds)
        if taken is not None:
            pace.taken(taken)
        wait = pace.due_at(since, stretch) - since
        assert wait + 1e-9 > 0
        assert wait <= max(batch_seconds, MAX_STRETCHED_SECONDS) + 1e-9

    def test_repr_shows_when_a_batch_was_taken_last(self):
        pace = Pace(5.0, latest)
        before = repr(pace)
        pace.taken(100.0)
        assert before == "<Pace last_taken=none, batch_seconds=5, jitter=1.00>"
        assert repr(pace) == "<Pace last_taken=100.0, batch_seconds=5, jitter=1.00>"


class TestBudget:
    def test_repr_shows_what_is_granted(self):
        budget = Budget(600, 60.0)
        budget.grant(2, now=0.0)
        assert repr(budget) == "<Budget 2 of 600 granted in 60 s>"

    def test_budget_grants_no_more_than_its_number_in_a_window(self):
        budget = Budget(6, 60.0)
        assert [budget.grant(2, now=0.0) for _ in range(4)] == [True, True, True, False]

    def test_budget_recovers_each_grant_when_it_leaves_the_window(self):
        budget = Budget(4, 60.0)
        budget.grant(2, now=0.0)
        budget.grant(2, now=30.0)
        assert not budget.grant(2, now=59.9)
        assert budget.grant(2, now=60.0)
        assert not budget.grant(2, now=89.9)
        assert budget.grant(2, now=90.0)

    def test_refused_request_does_not_use_up_the_budget(self):
        budget = Budget(4, 60.0)
        budget.grant(2, now=0.0)
        assert not budget.grant(3, now=1.0)
        assert budget.grant(2, now=1.0)

    def test_more_than_the_whole_budget_is_granted_if_nothing_else_was(self):
        budget = Budget(4, 60.0)
        assert budget.grant(9, now=0.0)
        assert not budget.grant(1, now=59.0)

    def test_threads_together_are_granted_no_more_than_the_budget(self):
        budget, start, granted = Budget(100, 60.0), threading.Barrier(4), []

        def take():
            start.wait(10)
            granted.append(sum(budget.grant(1, now=0.0) for _ in range(100)))

        threads = [threading.Thread(target=take) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert sum(granted) == 100
