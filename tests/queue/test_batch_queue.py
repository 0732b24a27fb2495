"""The queue of batches: order, settling, flush and close, also under threads."""

# ruff: noqa: SLF001 - what must hold inside, at any moment

import sys
import threading
from queue import SimpleQueue

import pytest

from logging_azmon._queue import batch as batch_module
from logging_azmon._queue.backlog import Backlog
from logging_azmon._queue.batch import Attempts, Batch
from support.batch_queues import ROW, Jumping, lines_of, queue_of, stats_of, take_all
from support.delivering import is_balanced, line


class TestTaking:
    def filled(self):
        queue = queue_of(queue_bytes=10_000)
        rows = [line(number, 100) for number in range(9)]
        for row in rows:
            queue.put(row)
        return queue, rows

    def test_batches_given_back_are_taken_first_in_their_old_order(self):
        queue, rows = self.filled()
        first, second, third = take_all(queue)
        for batch in (second, first, third):
            queue.give_back(batch)
        assert stats_of(queue).queued == 9
        assert lines_of(take_all(queue)) == rows

    def test_giving_back_wakes_a_listener(self):
        wakes = []
        queue = queue_of(wake=lambda: wakes.append(1))
        queue.put(ROW)
        batch = queue.take(0.0, is_due=True)
        queue.give_back(batch)
        assert len(wakes) == 2

    def test_a_batch_that_must_wait_does_not_hold_up_others(self):
        queue, rows = self.filled()
        first = queue.take(0.0, is_due=True)
        first.attempts.not_before = 50.0
        queue.give_back(first)
        assert lines_of(take_all(queue, now=49.9)) == rows[3:]
        assert queue.next_event_at() == 50.0
        assert not queue.is_ready(49.9, is_due=True)
        assert lines_of(take_all(queue, now=50.0)) == rows[:3]
        assert queue.next_event_at() is None

    def test_a_batch_is_settled_once(self):
        queue, _ = self.filled()
        batch = queue.take(0.0, is_due=True)
        queue.settle(batch)
        queue.settle(batch, lost="again")
        queue.settle(batch, is_rejected=True)
        queue.give_back(batch)
        stats = stats_of(queue)
        assert (stats.delivered, stats.rejected, stats.dropped, stats.queued) == (3, 0, {}, 6)

    def test_each_way_to_settle_a_batch_has_its_counter(self):
        queue, _ = self.filled()
        first, second, third = take_all(queue)
        queue.settle(first)
        queue.settle(second, is_rejected=True)
        queue.settle(third, lost="gave_up")
        stats = stats_of(queue)
        assert (stats.delivered, stats.rejected, stats.dropped) == (3, 3, {"gave_up": 3})
        assert queue.is_empty

    def test_parts_replace_a_batch(self):
        queue, _ = self.filled()
        batch = queue.take(0.0, is_due=True)
        parts = batch_module.halves(batch)
        queue.replace(batch, parts)
        queue.settle(batch, lost="never")
        assert stats_of(queue).in_flight == 3
        queue.settle(parts[0])
        queue.give_back(parts[1])
        assert stats_of(queue).delivered == 1
        assert stats_of(queue).queued == 8

    def test_shrinking_a_part_makes_room(self):
        queue = queue_of(queue_bytes=1_000)
        queue.put(line("big", 1_000))
        batch = queue.take(0.0, is_due=True)
        small = Batch(ROW, 1, batch.first_row)
        queue.replace(batch, [small])
        assert [queue.put(ROW) for _ in range(10)] == [True] * 9 + [False]
        queue.settle(small)
        assert queue.put(ROW)


class TestFlushing:
    def test_a_watermark_is_settled_when_all_rows_before_it_are(self):
        queue = queue_of(queue_bytes=10_000)
        assert queue.is_settled(queue.make_all_due())
        for _ in range(4):
            queue.put(ROW)
        mark = queue.make_all_due()
        assert mark == 4
        full, rest = (queue.take(0.0, is_due=False) for _ in range(2))
        assert queue.put(ROW), "what comes later is no part of it"
        assert queue.take(0.0, is_due=False) is None
        queue.settle(rest)
        assert not queue.is_settled(mark)
        queue.give_back(full)
        assert not queue.is_settled(mark)
        queue.settle(queue.take(0.0, is_due=False), is_rejected=True)
        assert queue.is_settled(mark)
        assert not queue.is_settled(queue.make_all_due())

    def test_an_unsettled_part_holds_up_the_watermark_of_its_batch(self):
        queue = queue_of(queue_bytes=10_000)
        for _ in range(3):
            queue.put(ROW)
        mark = queue.make_all_due()
        batch = queue.take(0.0, is_due=False)
        queue.replace(batch, parts := batch_module.halves(batch))
        queue.settle(parts[0])
        assert not queue.is_settled(mark)
        queue.settle(parts[1])
        assert queue.is_settled(mark)

    def test_dropped_rows_do_not_hold_up_a_watermark(self):
        queue = queue_of(queue_bytes=1_000, overflow="drop_old")
        for _ in range(10):
            queue.put(ROW)
        mark = queue.make_all_due()
        for _ in range(10):
            queue.put(ROW)
        assert queue.is_settled(mark)

    def test_urging_makes_a_batch_due_that_must_wait(self):
        queue = queue_of()
        queue.put(ROW)
        batch = queue.take(0.0, is_due=True)
        batch.attempts.not_before = 1e9
        queue.give_back(batch)
        queue.make_all_due()
        assert queue.take(0.0, is_due=False) is batch

    def test_watchers_get_a_token_for_each_settled_batch(self):
        queue, wakeups = queue_of(), SimpleQueue()
        queue.watch(wakeups)
        for _ in range(4):
            queue.put(ROW)
        first, second = take_all(queue)
        queue.settle(first)
        queue.settle(second, lost="gave_up")
        assert wakeups.qsize() == 2
        assert queue.is_flushing
        queue.unwatch(wakeups)
        assert not queue.is_flushing
        queue.put(ROW)
        queue.settle(queue.take(0.0, is_due=True))
        assert wakeups.qsize() == 2


class TestClosing:
    def test_rows_after_close_are_counted(self):
        queue = queue_of()
        queue.put(ROW)
        queue.begin_drain()
        assert not queue.put(ROW)
        assert stats_of(queue).dropped == {"after_close": 1}
        assert len(take_all(queue)) == 1, "what came before is still delivered"

    @pytest.mark.parametrize("overflow", ["drop_new", "drop_old", "block"])
    def test_rows_after_close_are_dropped_under_any_overflow_policy(self, overflow):
        clock = Jumping()
        queue = queue_of(overflow=overflow, clock=clock)
        queue.put(ROW)
        queue.begin_drain()
        assert not queue.put(ROW)
        assert stats_of(queue).dropped == {"after_close": 1}
        assert clock.waits == []

    def test_rows_of_a_closed_queue_are_counted_even_if_given_back_later(self):
        queue, wakeups = queue_of(), SimpleQueue()
        for _ in range(10):
            queue.put(ROW)
        late, delivered = queue.take(0.0, is_due=True), queue.take(0.0, is_due=True)
        queue.begin_drain()
        queue.watch(wakeups)
        assert queue.close() == 4
        assert wakeups.qsize() == 1
        assert stats_of(queue).dropped == {"closed": 4}
        queue.give_back(late)
        queue.settle(delivered)
        stats = stats_of(queue)
        assert (stats.dropped, stats.delivered, stats.queued) == ({"closed": 7}, 3, 0)
        assert queue.is_empty
        assert not queue.put(ROW)
        assert stats_of(queue).dropped == {"closed": 7, "after_close": 1}


class TestNotices:
    def test_a_notice_is_a_batch_of_its_own_and_due_at_once(self):
        wakes = []
        queue = queue_of(wake=lambda: wakes.append(1))
        queue.put(ROW)
        assert queue.put_notice(line("notice"))
        assert len(wakes) == 2
        batch = queue.take(0.0, is_due=False)
        assert lines_of([batch]) == [line("notice")]
        assert batch.is_notice
        assert stats_of(queue).accepted == 2

    def test_a_notice_is_refused_without_room(self):
        queue = queue_of(queue_bytes=1_000)
        for _ in range(10):
            queue.put(ROW)
        assert not queue.put_notice(line("notice"))
        assert stats_of(queue).accepted == 10

    def test_a_notice_is_accepted_while_draining_but_not_once_closed(self):
        queue = queue_of()
        queue.begin_drain()
        assert queue.put_notice(line("notice"))
        assert not queue.put(ROW)
        queue.close()
        assert not queue.put_notice(line("notice"))

    @pytest.mark.parametrize("end", ["dropped", "given up", "closed", "given up in parts"])
    def test_the_loss_of_a_notice_causes_no_other_notice(self, end):
        queue = queue_of(queue_bytes=1_000, overflow="drop_old")
        queue.put_notice(line("notice"))
        if end == "closed":
            queue.begin_drain()
            queue.close()
        elif end == "dropped":
            for _ in range(10):
                queue.put(ROW)
        else:
            batch = queue.take(0.0, is_due=False)
            if end == "given up in parts":
                queue.replace(batch, [small := Batch(line("n"), 1, batch.first_row, is_notice=True)])
                batch = small
            queue.settle(batch, lost="gave_up")
        assert sum(stats_of(queue).dropped.values()) == 1
        assert not queue._ledger.has_unreported


class TestThreads:
    @pytest.fixture(autouse=True)
    def turns(self):
        """Make the interpreter switch threads as often as possible."""
        before = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        yield
        sys.setswitchinterval(before)

    @pytest.mark.parametrize("overflow", ["drop_new", "drop_old"])
    def test_every_snapshot_of_a_queue_adds_up_while_threads_log_and_deliver(self, overflow):  # noqa: C901 - three roles at once
        queue = queue_of(queue_bytes=20_000, batch_bytes=1_000, overflow=overflow)
        is_over, start, snapshots, ends = threading.Event(), threading.Barrier(5), [], []

        def log(name):
            start.wait(10)
            for number in range(2_000):
                queue.put(line(f"{name} {number}"))

        def deliver():
            start.wait(10)
            turn = 0
            while not (is_over.is_set() and queue.is_empty):
                batch = queue.take(0.0, is_due=True)
                if batch is None:
                    continue
                turn += 1
                if turn % 5 == 0:
                    queue.give_back(batch)
                elif turn % 3 == 0 and batch.rows > 1:
                    queue.replace(batch, parts := batch_module.halves(batch))
                    for part in parts:
                        ends.extend(lines_of([part]))
                        queue.settle(part)
                else:
                    ends.extend(lines_of([batch]))
                    queue.settle(batch)

        def look():
            start.wait(10)
            while not is_over.is_set():
                snapshots.append(is_balanced(queue._ledger.snapshot()))

        loggers = [threading.Thread(target=log, args=(name,)) for name in "ab"]
        others = [threading.Thread(target=target) for target in (deliver, deliver, look)]
        for thread in loggers + others:
            thread.start()
        for thread in loggers:
            thread.join(30)
        is_over.set()
        for thread in others:
            thread.join(30)
        assert snapshots
        assert all(snapshots)
        stats = stats_of(queue)
        assert stats.accepted == 4_000
        assert stats.delivered == len(ends) == len(set(ends))
        assert stats.delivered + sum(stats.dropped.values()) == 4_000


class TestRepr:
    """Objects that one debugs show their state in the repr."""

    def test_the_repr_of_a_queue_shows_waiting_and_taken_batches_and_the_bound(self):
        queue = queue_of(queue_bytes=1_000)
        for _ in range(5):
            queue.put(ROW)
        queue.take(0.0, is_due=False)

        assert (
            repr(queue) == "<BatchQueue open waiting=1 taken=1 store=<MemoryStore bytes=600 limit=1000 reserved=100>>"
        )

    def test_the_repr_of_a_queue_shows_its_state(self):
        queue = queue_of()
        queue.begin_drain()
        assert repr(queue).startswith("<BatchQueue draining waiting=0")
        queue.close()
        assert repr(queue).startswith("<BatchQueue closed waiting=0")

    def test_the_repr_of_a_batch_shows_its_rows_and_tries(self):
        batch = Batch(ROW, 1, 7, is_open=True, attempts=Attempts(tries=2))

        assert repr(batch) == "<Batch queued open first_row=7 rows=1 bytes=100 tries=2>"

    def test_the_repr_of_a_ledger_shows_its_counters(self):
        queue = queue_of()
        queue.put(ROW)
        stats_of(queue)

        assert repr(queue._ledger) == (
            "<Ledger accepted=1 queued=1 spooled=0 in_flight=0 delivered=0 rejected=0 dropped=0>"
        )


def test_a_queue_left_to_the_parent_takes_no_rows_even_without_the_lock():
    """A forked child must not wait for a lock that a thread of its parent holds; it gets a new queue."""
    queue = queue_of(queue_bytes=10_000, batch_bytes=5_000, overflow="block")
    queue.put(ROW)
    queue.put(ROW)
    assert queue._store._open.reserved

    queue.leave_to_parent()

    assert not queue.put(ROW)
    assert stats_of(queue).dropped == {"after_close": 1}


def test_a_batch_is_removed_from_the_backlog_once():
    """A nested call may have removed it already."""
    backlog, batch = Backlog(), Batch(b"", 0, 0)
    backlog.append(batch)

    assert [backlog.remove(batch), backlog.remove(batch)] == [True, False]
