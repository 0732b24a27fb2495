"""The ledger: every row and every loss is counted once."""

import threading
from collections import defaultdict

from logging_azmon._queue.ledger import Ledger, Loss
from support.delivering import is_balanced


class TestLedger:
    def test_each_loss_is_reported_once(self):
        ledger = Ledger()
        assert not ledger.has_unreported
        ledger.drop("queue_full", 2, 10.0, accepted=2)
        ledger.drop("queue_full", 3, 30.0, accepted=3)
        assert ledger.take_unreported() == {"queue_full": Loss(5, 10.0, 30.0)}
        assert ledger.take_unreported() == {}

    def test_a_loss_that_could_not_be_reported_joins_later_ones(self):
        ledger = Ledger()
        ledger.drop("queue_full", 2, 10.0, accepted=2)
        unreported = ledger.take_unreported()
        ledger.drop("queue_full", 3, 30.0, accepted=3)
        ledger.restore_unreported("queue_full", unreported["queue_full"])
        ledger.restore_unreported("gave_up", Loss(1, 5.0, 6.0))
        assert ledger.take_unreported() == {"queue_full": Loss(5, 10.0, 30.0), "gave_up": Loss(1, 5.0, 6.0)}

    def test_dropping_no_rows_is_not_a_loss(self):
        ledger = Ledger()
        ledger.drop("closed", 0, 10.0)
        assert not ledger.has_unreported
        assert ledger.snapshot().dropped == {}

    def test_a_snapshot_does_not_change_later(self):
        ledger = Ledger()
        before = ledger.snapshot()
        ledger.drop("queue_full", 1, 0.0, accepted=1)
        ledger.misfit()
        ledger.sent(10, is_retry=True)
        after = ledger.snapshot()
        assert (before.accepted, before.dropped, before.requests) == (0, {}, 0)
        assert (after.misfits, after.requests, after.retries, after.sent_bytes) == (1, 1, 1, 10)
        assert after.dropped == {"queue_full": 1}

    def test_a_row_dropped_in_the_middle_of_a_snapshot_is_in_all_of_it_or_in_none(self):
        """A finalizer may run where a dict is created, and a signal handler where its constructor returns."""

        class Interrupted(defaultdict):
            def __iter__(self):  # copied key by key
                return super().__iter__()

            def keys(self):
                keys = [*super().keys()]
                if not lost:
                    lost.append(1)
                    ledger.drop("queue_full", 1, 0.0, accepted=1)
                return keys

        lost = []
        ledger = Ledger()
        ledger.dropped = Interrupted(int)
        assert is_balanced(stats := ledger.snapshot())
        assert stats.accepted == 1

    def test_counters_are_exact_under_threads(self):
        ledger, start = Ledger(), threading.Barrier(4)

        def work():
            start.wait(10)
            for _ in range(5_000):
                ledger.misfit()
                ledger.sent(1, is_retry=False)
                ledger.drop("queue_full", 1, 0.0, accepted=1)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        stats = ledger.snapshot()
        assert (stats.misfits, stats.requests, stats.sent_bytes, stats.accepted) == (20_000,) * 4
        assert ledger.take_unreported()["queue_full"].rows == 20_000

    def test_each_move_leaves_the_ledger_balanced(self):
        """In every move of rows, one counter gains exactly what another loses."""
        ledger = Ledger()
        with ledger.lock:
            for move in (
                lambda: ledger.accept(10),
                lambda: ledger.take(6, "queued"),
                lambda: ledger.give_back(1, "queued"),
                lambda: ledger.deliver(3),
                lambda: ledger.reject(2, 0.0),
                lambda: ledger.adopt(8),
                lambda: ledger.take(4, "spooled"),
                lambda: ledger.give_back(3, "spooled"),
                lambda: ledger.discover(2, is_adopted=True),
                lambda: ledger.discover(1, is_adopted=False),
                lambda: ledger.hand_over(5),
            ):
                move()
                assert is_balanced(ledger.snapshot())

        stats = ledger.snapshot()
        assert (stats.accepted, stats.adopted) == (11, 10)
        assert (stats.queued, stats.spooled, stats.in_flight) == (5, 2, 4)
        assert (stats.delivered, stats.rejected, stats.handed_over) == (3, 2, 5)
