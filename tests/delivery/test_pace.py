"""The due time of batches; the tests pass the time."""

from hypothesis import given
from hypothesis import strategies as st

from logging_azmon._delivery.breaker import MAX_STRETCH
from logging_azmon._delivery.pace import MAX_STRETCHED_SECONDS, Pace


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
