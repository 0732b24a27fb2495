"""The budget of requests for splitting batches; the tests pass the time."""

import threading

from logging_azmon._delivery.budget import Budget


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
