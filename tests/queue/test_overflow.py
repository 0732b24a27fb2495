"""The bound of the queue, and each overflow policy for a row that finds no room."""

# ruff: noqa: SLF001 - what must hold inside, at any moment

import asyncio
import sys
import threading

from hypothesis import given
from hypothesis import strategies as st

from logging_azmon._process import feedback
from logging_azmon._queue import batch as batch_module
from logging_azmon._queue.overflow import DropOld
from logging_azmon.testing import ManualClock
from support.batch_queues import ROW, Jumping, lines_of, queue_of, stats_of, take_all
from support.delivering import line


class TestBound:
    @given(st.lists(st.integers(30, 300), max_size=100), st.sampled_from(["drop_new", "drop_old"]))
    def test_memory_never_holds_more_than_queue_bytes(self, sizes, overflow):
        queue = queue_of(queue_bytes=2_000, overflow=overflow)
        held = 0
        for number, size in enumerate(sizes):
            row = line(number, size)
            fits = held + len(row) <= 2_000
            assert queue.put(row) or not fits
            queue._ledger.catch_up()
            held = sum(len(batch.data) for batch in queue._backlog.waiting)
            assert held == queue._store.used_bytes <= 2_000
        stats = stats_of(queue)
        assert stats.accepted == len(sizes)
        assert stats.queued == len(lines_of(take_all(queue)))

    def test_a_row_is_accepted_up_to_exactly_queue_bytes(self):
        queue = queue_of(queue_bytes=1_000)
        assert [queue.put(ROW) for _ in range(11)] == [True] * 10 + [False]
        assert stats_of(queue).dropped == {"queue_full": 1}

    def test_rows_in_flight_count_against_the_bound_until_settled(self):
        queue = queue_of(queue_bytes=1_000)
        for _ in range(10):
            queue.put(ROW)
        batches = take_all(queue)
        assert not queue.put(ROW)
        queue.settle(batches[0])
        assert [queue.put(ROW) for _ in range(4)] == [True, True, True, False]
        queue.settle(batches[1], is_rejected=True)
        assert queue.put(ROW)

    def test_drop_new_keeps_the_oldest_rows(self):
        queue = queue_of(queue_bytes=1_000)
        rows = [line(number, 100) for number in range(15)]
        assert [queue.put(row) for row in rows] == [True] * 10 + [False] * 5
        assert lines_of(take_all(queue)) == rows[:10]
        assert stats_of(queue).dropped == {"queue_full": 5}

    def test_drop_old_keeps_the_newest_rows(self):
        queue = queue_of(queue_bytes=1_000, overflow="drop_old")
        rows = [line(number, 100) for number in range(25)]
        assert all(queue.put(row) for row in rows)
        assert lines_of(take_all(queue)) == rows[15:]
        assert stats_of(queue).dropped == {"queue_full": 15}

    def test_drop_old_drops_no_more_rows_than_it_must(self):
        queue = queue_of(queue_bytes=1_000, overflow="drop_old")
        for number in range(10):
            queue.put(line(number, 100))
        queue.put(line("big", 250))
        assert stats_of(queue).dropped == {"queue_full": 3}

    def test_drop_old_drops_rows_given_back_before_later_rows(self):
        queue = queue_of(queue_bytes=1_000, overflow="drop_old")
        rows = [line(number, 100) for number in range(11)]
        for row in rows[:10]:
            queue.put(row)
        taken = queue.take(0.0, is_due=True)
        queue.replace(taken, parts := batch_module.halves(taken))
        for part in reversed(parts):
            queue.give_back(part)
        queue.put(rows[10])
        assert lines_of(take_all(queue)) == rows[1:]

    def test_drop_old_cannot_drop_rows_in_flight(self):
        queue = queue_of(queue_bytes=1_000, overflow="drop_old")
        for _ in range(10):
            queue.put(ROW)
        batches = take_all(queue)
        assert not queue.put(ROW)
        assert stats_of(queue).dropped == {"queue_full": 1}
        assert stats_of(queue).in_flight == sum(batch.rows for batch in batches) == 10

    def test_drop_old_drops_rows_of_the_open_batch_too(self):
        queue = queue_of(queue_bytes=1_000, batch_bytes=2_001, overflow="drop_old")
        for number in range(10):
            queue.put(line(number, 100))
        big = line("big", 1_000)
        assert queue.put(big)
        assert lines_of(take_all(queue)) == [big]

    def test_a_row_larger_than_the_bound_is_dropped(self):
        queue = queue_of(queue_bytes=1_000, overflow="drop_old")
        queue.put(ROW)
        assert not queue.put(line("big", 1_001))
        assert stats_of(queue).dropped == {"queue_full": 1}
        assert lines_of(take_all(queue)) == [ROW], "nothing gives way to a row that will not come in"

    def test_a_close_during_drop_old_drops_no_waiting_row(self):
        """Another thread closes the queue after it was found full and before room is made."""

        class Interrupted(DropOld):
            def put(self, line, queue):
                queue.begin_drain()
                return super().put(line, queue)

        queue = queue_of(queue_bytes=1_000, overflow=Interrupted())
        for number in range(10):
            queue.put(line(number, 100))
        assert not queue.put(ROW)
        assert stats_of(queue).queued == 10
        assert "queue_full" not in stats_of(queue).dropped or stats_of(queue).dropped["queue_full"] == 1

    def test_a_flush_does_not_wait_for_a_batch_emptied_by_drop_old(self):
        """Otherwise the flush would look for the empty batch at once, again and again."""
        queue = queue_of(queue_bytes=1_000, batch_bytes=301, overflow="drop_old")
        for number in range(10):
            queue.put(line(number, 100))
        queue.put(line("big", 950))
        take_all(queue)
        assert queue.next_event_at() is None


class TestBlock:
    def full(self, clock, block_seconds=1.0):
        queue = queue_of(queue_bytes=1_000, overflow="block", clock=clock, block_seconds=block_seconds)
        for _ in range(1_000 // len(ROW)):
            assert queue.put(ROW)
        return queue

    def test_block_waits_once_and_not_in_every_log_call(self):
        clock = Jumping()
        queue = self.full(clock)
        assert [queue.put(ROW) for _ in range(100)] == [False] * 100
        assert clock.waits == [1.0]
        assert stats_of(queue).dropped == {"queue_full": 100}

    def test_block_waits_again_after_a_batch_was_settled(self):
        clock = Jumping()
        queue = self.full(clock)
        queue.put(ROW)
        taken = queue.take(0.0, is_due=True)
        queue.settle(taken)
        for _ in range(taken.rows):
            assert queue.put(ROW)
        queue.put(ROW)
        assert clock.waits == [1.0, 1.0]

    def test_block_takes_the_row_as_soon_as_there_is_room(self):
        clock = Jumping()
        queue = self.full(clock)
        taken = queue.take(0.0, is_due=True)
        clock.meanwhile = lambda: queue.settle(taken)
        began = clock.monotonic()
        assert queue.put(ROW)
        assert clock.monotonic() == began
        assert stats_of(queue).dropped == {}

    def test_block_keeps_its_deadline_when_the_new_room_is_too_small(self):
        clock = Jumping()
        queue = self.full(clock)

        def free_one_row():
            clock.advance(0.4)
            if taken:
                queue.settle(taken.pop())

        batch = queue.take(0.0, is_due=True)
        taken = batch_module.halves(batch)
        queue.replace(batch, taken[:])
        clock.meanwhile = free_one_row
        began = clock.monotonic()
        assert not queue.put(line("big", 500))
        assert clock.monotonic() - began <= 1.4
        assert stats_of(queue).dropped == {"queue_full": 1}

    def test_close_ends_the_wait_of_block_and_the_row_counts_as_after_close(self):
        clock = Jumping()
        queue = self.full(clock, block_seconds=60.0)
        clock.meanwhile = queue.begin_drain
        began = clock.monotonic()
        assert not queue.put(ROW)
        assert clock.monotonic() == began
        assert stats_of(queue).dropped == {"after_close": 1}

    def test_block_never_waits_in_a_running_event_loop(self):
        clock = Jumping()
        queue = self.full(clock)

        async def log():
            return queue.put(ROW)

        assert asyncio.run(log()) is False
        assert clock.waits == []
        assert not queue.put(ROW)
        assert clock.waits == [1.0], "outside of it, it does"

    def test_block_works_with_asyncio_half_imported_or_not_at_all(self, monkeypatch):
        clock = Jumping()
        queue = self.full(clock)
        monkeypatch.setitem(sys.modules, "asyncio", type(sys)("asyncio"))
        assert not queue.put(ROW)
        monkeypatch.delitem(sys.modules, "asyncio")
        queue = self.full(clock)
        assert not queue.put(ROW)
        assert clock.waits == [1.0, 1.0]

    def test_block_never_waits_on_a_delivering_thread(self):
        clock = Jumping()
        queue = self.full(clock)
        with feedback.delivering():
            assert not queue.put(ROW)
        assert clock.waits == []

    def test_block_never_waits_in_a_log_call_that_interrupted_another(self):
        clock = Jumping()
        queue = self.full(clock)
        with queue.lock:
            assert not queue.put(ROW)
        assert clock.waits == []

    def test_block_holds_no_lock_while_it_waits(self):
        """Other threads can log, take and settle meanwhile."""
        clock = ManualClock()
        queue = self.full(clock)
        done = []
        thread = threading.Thread(target=lambda: done.append(queue.put(ROW)))
        thread.start()
        clock.wait_for_waiters(1)
        assert stats_of(queue).queued == 10
        queue.settle(queue.take(0.0, is_due=True))
        thread.join(10)
        assert done == [True]
