"""When a batch goes, and what dividing batches may cost: pure, with the clock given."""

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
    def test_the_first_row_goes_within_a_fifth_of_a_second(self):
        assert 0 < Pace(5.0).due_at(since=100.0, stretch=1.0) - 100.0 <= 0.2

    def test_the_first_row_after_a_quiet_time_goes_within_a_fifth_of_a_second(self):
        pace = Pace(5.0, latest)
        pace.taken(100.0)
        assert pace.due_at(since=105.0, stretch=1.0) <= 105.2

    def test_in_busy_times_a_batch_goes_at_its_age(self):
        pace = Pace(5.0, latest)
        pace.taken(100.0)
        assert pace.due_at(since=100.1, stretch=1.0) == 105.1

    def test_no_batch_waits_longer_for_being_the_first(self):
        assert Pace(0.05).due_at(since=100.0, stretch=1.0) == 100.05

    def test_processes_that_start_together_soon_do_not_send_together(self):
        spread = [(Pace(10.0, chooser), chooser) for chooser in (earliest, latest)]
        # The first row after the start is quick for all; what comes right after it spreads over most of an interval.
        early, late = (pace.due_at(since=0.0, stretch=2.0) for pace, _ in spread)
        assert (early, late) == (4.0, 20.0)
        for pace, _ in spread:
            pace.taken(0.0)
        assert [pace.due_at(since=1.0, stretch=1.0) for pace, _ in spread] == [9.0, 11.0]

    def test_stretching_makes_batches_wait_longer_but_not_for_ever(self):
        pace = Pace(5.0, latest)
        assert pace.due_at(since=0.0, stretch=4.0) == 20.0
        assert pace.due_at(since=0.0, stretch=MAX_STRETCH) == MAX_STRETCHED_SECONDS
        # Whoever asks for longer intervals than that keeps them.
        assert Pace(600.0, latest).due_at(since=0.0, stretch=MAX_STRETCH) == 600.0

    @given(st.floats(0.01, 3_600), st.floats(1.0, MAX_STRETCH), st.floats(0, 1e6), st.none() | st.floats(0, 1e6))
    def test_every_batch_goes_between_at_once_and_the_longest_interval(self, batch_seconds, stretch, since, taken):
        pace = Pace(batch_seconds)
        if taken is not None:
            pace.taken(taken)
        wait = pace.due_at(since, stretch) - since
        assert wait + 1e-9 > 0
        assert wait <= max(batch_seconds, MAX_STRETCHED_SECONDS) + 1e-9


class TestBudget:
    def test_so_many_a_minute_and_then_no_more(self):
        budget = Budget(6, 60.0)
        assert [budget.grant(2, now=0.0) for _ in range(4)] == [True, True, True, False]

    def test_what_was_granted_a_minute_ago_is_there_again(self):
        budget = Budget(4, 60.0)
        budget.grant(2, now=0.0)
        budget.grant(2, now=30.0)
        assert not budget.grant(2, now=59.9)
        assert budget.grant(2, now=60.0)
        assert not budget.grant(2, now=89.9)
        assert budget.grant(2, now=90.0)

    def test_a_refusal_costs_nothing(self):
        budget = Budget(4, 60.0)
        budget.grant(2, now=0.0)
        assert not budget.grant(3, now=1.0)
        assert budget.grant(2, now=1.0)

    def test_more_than_the_whole_budget_is_granted_when_nothing_else_was(self):
        budget = Budget(4, 60.0)
        assert budget.grant(9, now=0.0)
        assert not budget.grant(1, now=59.0)

    def test_threads_together_get_no_more_than_that(self):
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
