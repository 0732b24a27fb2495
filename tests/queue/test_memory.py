"""The queue in memory: bounded by bytes, in order, whole under threads, signal handlers and finalisers."""

# ruff: noqa: SLF001 - what must hold inside, at any moment

import asyncio
import dis
import inspect
import sys
import threading
import types
from queue import SimpleQueue

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logging_azmon._process import feedback
from logging_azmon._queue import batch as batch_module
from logging_azmon._queue import batch_queue as batches_module
from logging_azmon._queue import ledger as ledger_module
from logging_azmon._queue import memory as buffer_module
from logging_azmon._queue.batch import Batch
from logging_azmon._queue.ledger import Ledger
from logging_azmon._queue.memory import MemoryBuffer
from logging_azmon.testing import ManualClock
from support.delivering import is_balanced, line
from support.interrupting import PLACES, at, traced_by

ROW = line("row", 100)


class Jumping(ManualClock):
    """Let whoever waits go ahead in time at once; note how long he wanted to wait."""

    def __init__(self):
        super().__init__()
        self.waits = []
        self.meanwhile = lambda: None

    def wait(self, tokens, seconds):
        self.waits.append(seconds)
        self.meanwhile()
        if tokens.empty():
            self.advance(seconds)
        else:
            tokens.get()


def buffer_of(
    *, queue_bytes=1_000, batch_bytes=301, overflow="drop_new", clock=None, wake=lambda: None, block_seconds=1.0
):
    clock = Jumping() if clock is None else clock
    return MemoryBuffer(
        Ledger(),
        clock,
        wake=wake,
        queue_bytes=queue_bytes,
        batch_bytes=batch_bytes,
        overflow=overflow,
        block_seconds=block_seconds,
    )


def stats_of(buffer):
    stats = buffer._ledger.snapshot()
    assert is_balanced(stats)
    return stats


def take_all(buffer, now=1e9):
    batches = []
    while (batch := buffer.take(now, is_due=True)) is not None:
        batches.append(batch)
    return batches


def lines_of(batches):
    return b"".join(bytes(batch.data) for batch in batches).splitlines(keepends=True)


class TestBatches:
    def test_rows_come_out_as_they_went_in(self):
        buffer = buffer_of(queue_bytes=10_000)
        rows = [line(number) for number in range(50)]
        assert all(buffer.put(row) for row in rows)
        batches = take_all(buffer)
        assert lines_of(batches) == rows
        assert sum(batch.rows for batch in batches) == 50

    @given(st.lists(st.integers(30, 300), max_size=60), st.integers(301, 2_000))
    def test_a_body_is_never_longer_than_batch_bytes(self, sizes, batch_bytes):
        buffer = buffer_of(queue_bytes=10**6, batch_bytes=batch_bytes)
        rows = [line(number, size) for number, size in enumerate(sizes)]
        for row in rows:
            buffer.put(row)
        batches = take_all(buffer)
        assert lines_of(batches) == rows
        for batch in batches:
            body = b"[%b]" % bytes(batch.data[:-1]).replace(b"\n", b",")
            assert len(body) <= batch_bytes
            assert batch.rows == batch.data.count(b"\n")

    def test_a_batch_is_as_full_as_can_be(self):
        buffer = buffer_of(batch_bytes=301)
        for _ in range(7):
            buffer.put(ROW)
        assert [batch.rows for batch in take_all(buffer)] == [3, 3, 1]

    def test_a_row_longer_than_a_batch_goes_alone_rather_than_never(self):
        buffer = buffer_of(batch_bytes=301)
        big = line("big", 500)
        assert [buffer.put(row) for row in (ROW, big, ROW)] == [True, True, True]
        assert lines_of(take_all(buffer)) == [ROW, big, ROW]

    def test_only_a_full_batch_goes_by_itself(self):
        buffer = buffer_of()
        buffer.put(ROW)
        assert not buffer.is_ready(1e9, is_due=False)
        assert buffer.take(1e9, is_due=False) is None
        assert buffer.is_ready(0.0, is_due=True)
        for _ in range(3):
            buffer.put(ROW)
        assert buffer.take(1e9, is_due=False).rows == 3
        assert buffer.take(1e9, is_due=False) is None

    def test_listeners_are_woken_by_the_first_row_of_a_batch_only(self):
        wakes = []
        buffer = buffer_of(wake=lambda: wakes.append(stats_of(buffer).queued))
        for _ in range(7):
            buffer.put(ROW)
        assert wakes == [1, 4, 7]

    def test_it_says_since_when_the_open_batch_waits(self):
        clock = Jumping()
        buffer = buffer_of(clock=clock)
        assert buffer.open_since() is None
        buffer.put(ROW)
        began = clock.monotonic()
        clock.advance(3)
        buffer.put(ROW)
        assert buffer.open_since() == began
        take_all(buffer)
        assert buffer.open_since() is None


class TestBound:
    @given(st.lists(st.integers(30, 300), max_size=100), st.sampled_from(["drop_new", "drop_old"]))
    def test_never_more_than_queue_bytes_are_held(self, sizes, overflow):
        buffer = buffer_of(queue_bytes=2_000, overflow=overflow)
        held = 0
        for number, size in enumerate(sizes):
            row = line(number, size)
            fits = held + len(row) <= 2_000
            assert buffer.put(row) or not fits
            buffer._catch_up()
            held = sum(len(batch.data) for batch in buffer._waiting)
            assert held == buffer._bytes <= 2_000
        stats = stats_of(buffer)
        assert stats.accepted == len(sizes)
        assert stats.queued == len(lines_of(take_all(buffer)))

    def test_the_bound_is_exact(self):
        buffer = buffer_of(queue_bytes=1_000)
        assert [buffer.put(ROW) for _ in range(11)] == [True] * 10 + [False]
        assert stats_of(buffer).dropped == {"queue_full": 1}

    def test_rows_on_their_way_count_until_they_are_settled(self):
        buffer = buffer_of(queue_bytes=1_000)
        for _ in range(10):
            buffer.put(ROW)
        batches = take_all(buffer)
        assert not buffer.put(ROW)
        buffer.settle(batches[0])
        assert [buffer.put(ROW) for _ in range(4)] == [True, True, True, False]
        buffer.settle(batches[1], rejected=True)
        assert buffer.put(ROW)

    def test_drop_new_keeps_what_came_first(self):
        buffer = buffer_of(queue_bytes=1_000)
        rows = [line(number, 100) for number in range(15)]
        assert [buffer.put(row) for row in rows] == [True] * 10 + [False] * 5
        assert lines_of(take_all(buffer)) == rows[:10]
        assert stats_of(buffer).dropped == {"queue_full": 5}

    def test_drop_old_keeps_what_came_last(self):
        buffer = buffer_of(queue_bytes=1_000, overflow="drop_old")
        rows = [line(number, 100) for number in range(25)]
        assert all(buffer.put(row) for row in rows)
        assert lines_of(take_all(buffer)) == rows[15:]
        assert stats_of(buffer).dropped == {"queue_full": 15}

    def test_drop_old_drops_no_more_rows_than_it_must(self):
        buffer = buffer_of(queue_bytes=1_000, overflow="drop_old")
        for number in range(10):
            buffer.put(line(number, 100))
        buffer.put(line("big", 250))
        assert stats_of(buffer).dropped == {"queue_full": 3}

    def test_drop_old_drops_what_was_given_back_before_what_came_later(self):
        buffer = buffer_of(queue_bytes=1_000, overflow="drop_old")
        rows = [line(number, 100) for number in range(11)]
        for row in rows[:10]:
            buffer.put(row)
        taken = buffer.take(0.0, is_due=True)
        buffer.replace(taken, parts := batch_module.halves(taken))
        for part in reversed(parts):
            buffer.give_back(part)
        buffer.put(rows[10])
        assert lines_of(take_all(buffer)) == rows[1:]

    def test_drop_old_cannot_drop_rows_on_their_way(self):
        buffer = buffer_of(queue_bytes=1_000, overflow="drop_old")
        for _ in range(10):
            buffer.put(ROW)
        batches = take_all(buffer)
        assert not buffer.put(ROW)
        assert stats_of(buffer).dropped == {"queue_full": 1}
        assert stats_of(buffer).in_flight == sum(batch.rows for batch in batches) == 10

    def test_drop_old_empties_the_open_batch_too(self):
        buffer = buffer_of(queue_bytes=1_000, batch_bytes=2_001, overflow="drop_old")
        for number in range(10):
            buffer.put(line(number, 100))
        big = line("big", 1_000)
        assert buffer.put(big)
        assert lines_of(take_all(buffer)) == [big]

    def test_a_row_that_never_fits_is_dropped(self):
        buffer = buffer_of(queue_bytes=1_000, overflow="drop_old")
        buffer.put(ROW)
        assert not buffer.put(line("big", 1_001))
        assert stats_of(buffer).dropped == {"queue_full": 1}
        assert lines_of(take_all(buffer)) == [ROW], "nothing gives way to a row that will not come in"

    def test_a_close_in_the_middle_of_drop_old_drops_nothing_that_waits(self):
        """Another thread's close comes between finding the queue full and making room in it."""
        buffer = buffer_of(queue_bytes=1_000, overflow="drop_old")
        for number in range(10):
            buffer.put(line(number, 100))
        make_room = buffer._make_room

        def interrupted(size):
            buffer.close()
            return make_room(size)

        buffer._make_room = interrupted
        assert not buffer.put(ROW)
        assert stats_of(buffer).queued == 10
        assert "queue_full" not in stats_of(buffer).dropped or stats_of(buffer).dropped["queue_full"] == 1

    def test_what_drop_old_has_emptied_is_not_waited_for(self):
        """A batch that is left without rows is no reason to look again at once, and for ever."""
        buffer = buffer_of(queue_bytes=1_000, batch_bytes=301, overflow="drop_old")
        for number in range(10):
            buffer.put(line(number, 100))
        buffer.put(line("big", 950))
        take_all(buffer)
        assert buffer.next_retry() is None


class TestBlock:
    def full(self, clock, block_seconds=1.0):
        buffer = buffer_of(queue_bytes=1_000, overflow="block", clock=clock, block_seconds=block_seconds)
        for _ in range(1_000 // len(ROW)):
            assert buffer.put(ROW)
        return buffer

    def test_it_waits_once_and_not_at_every_call(self):
        clock = Jumping()
        buffer = self.full(clock)
        assert [buffer.put(ROW) for _ in range(100)] == [False] * 100
        assert clock.waits == [1.0]
        assert stats_of(buffer).dropped == {"queue_full": 100}

    def test_it_waits_again_when_there_was_room_meanwhile(self):
        clock = Jumping()
        buffer = self.full(clock)
        buffer.put(ROW)
        taken = buffer.take(0.0, is_due=True)
        buffer.settle(taken)
        for _ in range(taken.rows):
            assert buffer.put(ROW)
        buffer.put(ROW)
        assert clock.waits == [1.0, 1.0]

    def test_it_goes_on_as_soon_as_there_is_room(self):
        clock = Jumping()
        buffer = self.full(clock)
        taken = buffer.take(0.0, is_due=True)
        clock.meanwhile = lambda: buffer.settle(taken)
        began = clock.monotonic()
        assert buffer.put(ROW)
        assert clock.monotonic() == began
        assert stats_of(buffer).dropped == {}

    def test_room_that_is_too_small_does_not_make_the_wait_longer(self):
        clock = Jumping()
        buffer = self.full(clock)

        def free_one_row():
            clock.advance(0.4)
            if taken:
                buffer.settle(taken.pop())

        batch = buffer.take(0.0, is_due=True)
        taken = batch_module.halves(batch)
        buffer.replace(batch, taken[:])
        clock.meanwhile = free_one_row
        began = clock.monotonic()
        assert not buffer.put(line("big", 500))
        assert clock.monotonic() - began <= 1.4
        assert stats_of(buffer).dropped == {"queue_full": 1}

    def test_closing_ends_the_wait_and_says_why_the_row_is_lost(self):
        clock = Jumping()
        buffer = self.full(clock, block_seconds=60.0)
        clock.meanwhile = buffer.close
        began = clock.monotonic()
        assert not buffer.put(ROW)
        assert clock.monotonic() == began
        assert stats_of(buffer).dropped == {"after_close": 1}

    def test_never_in_a_running_event_loop(self):
        clock = Jumping()
        buffer = self.full(clock)

        async def log():
            return buffer.put(ROW)

        assert asyncio.run(log()) is False
        assert clock.waits == []
        assert not buffer.put(ROW)
        assert clock.waits == [1.0], "outside of it, it does"

    def test_asyncio_may_be_half_imported_or_not_at_all(self, monkeypatch):
        clock = Jumping()
        buffer = self.full(clock)
        monkeypatch.setitem(sys.modules, "asyncio", type(sys)("asyncio"))
        assert not buffer.put(ROW)
        monkeypatch.delitem(sys.modules, "asyncio")
        buffer._has_waited_in_vain = False
        assert not buffer.put(ROW)
        assert clock.waits == [1.0, 1.0]

    def test_never_in_a_delivering_thread(self):
        clock = Jumping()
        buffer = self.full(clock)
        with feedback.delivering():
            assert not buffer.put(ROW)
        assert clock.waits == []

    def test_never_in_the_middle_of_another_call(self):
        clock = Jumping()
        buffer = self.full(clock)
        with buffer._lock:
            assert not buffer.put(ROW)
        assert clock.waits == []

    def test_nobody_else_is_kept_waiting_meanwhile(self):
        """Whoever waits for room holds no lock: others log, take and settle."""
        clock = ManualClock()
        buffer = self.full(clock)
        done = []
        thread = threading.Thread(target=lambda: done.append(buffer.put(ROW)))
        thread.start()
        clock.wait_for_waiters(1)
        assert stats_of(buffer).queued == 10
        buffer.settle(buffer.take(0.0, is_due=True))
        thread.join(10)
        assert done == [True]


class TestTaking:
    def filled(self):
        buffer = buffer_of(queue_bytes=10_000)
        rows = [line(number, 100) for number in range(9)]
        for row in rows:
            buffer.put(row)
        return buffer, rows

    def test_what_is_given_back_goes_first_in_its_old_order(self):
        buffer, rows = self.filled()
        first, second, third = take_all(buffer)
        for batch in (second, first, third):
            buffer.give_back(batch)
        assert stats_of(buffer).queued == 9
        assert lines_of(take_all(buffer)) == rows

    def test_giving_back_wakes(self):
        wakes = []
        buffer = buffer_of(wake=lambda: wakes.append(1))
        buffer.put(ROW)
        batch = buffer.take(0.0, is_due=True)
        buffer.give_back(batch)
        assert len(wakes) == 2

    def test_what_must_wait_lets_others_pass(self):
        buffer, rows = self.filled()
        first = buffer.take(0.0, is_due=True)
        first.not_before = 50.0
        buffer.give_back(first)
        assert lines_of(take_all(buffer, now=49.9)) == rows[3:]
        assert buffer.next_retry() == 50.0
        assert not buffer.is_ready(49.9, is_due=True)
        assert lines_of(take_all(buffer, now=50.0)) == rows[:3]
        assert buffer.next_retry() is None

    def test_a_batch_ends_once(self):
        buffer, _ = self.filled()
        batch = buffer.take(0.0, is_due=True)
        buffer.settle(batch)
        buffer.settle(batch, lost="again")
        buffer.settle(batch, rejected=True)
        buffer.give_back(batch)
        stats = stats_of(buffer)
        assert (stats.delivered, stats.rejected, stats.dropped, stats.queued) == (3, 0, {}, 6)

    def test_each_end_has_its_counter(self):
        buffer, _ = self.filled()
        first, second, third = take_all(buffer)
        buffer.settle(first)
        buffer.settle(second, rejected=True)
        buffer.settle(third, lost="gave_up")
        stats = stats_of(buffer)
        assert (stats.delivered, stats.rejected, stats.dropped) == (3, 3, {"gave_up": 3})
        assert buffer.is_empty

    def test_parts_take_the_place_of_a_batch(self):
        buffer, _ = self.filled()
        batch = buffer.take(0.0, is_due=True)
        parts = batch_module.halves(batch)
        buffer.replace(batch, parts)
        buffer.settle(batch, lost="never")
        assert stats_of(buffer).in_flight == 3
        buffer.settle(parts[0])
        buffer.give_back(parts[1])
        assert stats_of(buffer).delivered == 1
        assert stats_of(buffer).queued == 8

    def test_a_part_that_was_shrunk_makes_room(self):
        buffer = buffer_of(queue_bytes=1_000)
        buffer.put(line("big", 1_000))
        batch = buffer.take(0.0, is_due=True)
        small = Batch(ROW, 1, batch.number)
        buffer.replace(batch, [small])
        assert [buffer.put(ROW) for _ in range(10)] == [True] * 9 + [False]
        buffer.settle(small)
        assert buffer.put(ROW)


class TestFlushing:
    def test_a_mark_is_settled_when_all_before_it_is(self):
        buffer = buffer_of(queue_bytes=10_000)
        assert buffer.is_settled(buffer.urge())
        for _ in range(4):
            buffer.put(ROW)
        mark = buffer.urge()
        assert mark == 4
        full, rest = (buffer.take(0.0, is_due=False) for _ in range(2))
        assert buffer.put(ROW), "what comes later is no part of it"
        assert buffer.take(0.0, is_due=False) is None
        buffer.settle(rest)
        assert not buffer.is_settled(mark)
        buffer.give_back(full)
        assert not buffer.is_settled(mark)
        buffer.settle(buffer.take(0.0, is_due=False), rejected=True)
        assert buffer.is_settled(mark)
        assert not buffer.is_settled(buffer.urge())

    def test_a_part_holds_up_the_mark_of_its_batch(self):
        buffer = buffer_of(queue_bytes=10_000)
        for _ in range(3):
            buffer.put(ROW)
        mark = buffer.urge()
        batch = buffer.take(0.0, is_due=False)
        buffer.replace(batch, parts := batch_module.halves(batch))
        buffer.settle(parts[0])
        assert not buffer.is_settled(mark)
        buffer.settle(parts[1])
        assert buffer.is_settled(mark)

    def test_rows_that_were_dropped_do_not_hold_it_up(self):
        buffer = buffer_of(queue_bytes=1_000, overflow="drop_old")
        for _ in range(10):
            buffer.put(ROW)
        mark = buffer.urge()
        for _ in range(10):
            buffer.put(ROW)
        assert buffer.is_settled(mark)

    def test_urging_sends_what_must_wait(self):
        buffer = buffer_of()
        buffer.put(ROW)
        batch = buffer.take(0.0, is_due=True)
        batch.not_before = 1e9
        buffer.give_back(batch)
        buffer.urge()
        assert buffer.take(0.0, is_due=False) is batch

    def test_those_who_watch_get_a_token_for_each_end(self):
        buffer, tokens = buffer_of(), SimpleQueue()
        buffer.watch(tokens)
        for _ in range(4):
            buffer.put(ROW)
        first, second = take_all(buffer)
        buffer.settle(first)
        buffer.settle(second, lost="gave_up")
        assert tokens.qsize() == 2
        buffer.unwatch(tokens)
        buffer.put(ROW)
        buffer.settle(buffer.take(0.0, is_due=True))
        assert tokens.qsize() == 2


class TestClosing:
    def test_rows_after_close_are_counted(self):
        buffer = buffer_of()
        buffer.put(ROW)
        buffer.close()
        assert not buffer.put(ROW)
        assert stats_of(buffer).dropped == {"after_close": 1}
        assert len(take_all(buffer)) == 1, "what came before is still delivered"

    @pytest.mark.parametrize("overflow", ["drop_new", "drop_old", "block"])
    def test_whatever_happens_at_overflow(self, overflow):
        clock = Jumping()
        buffer = buffer_of(overflow=overflow, clock=clock)
        buffer.put(ROW)
        buffer.close()
        assert not buffer.put(ROW)
        assert stats_of(buffer).dropped == {"after_close": 1}
        assert clock.waits == []

    def test_what_is_abandoned_is_counted_and_so_is_what_comes_back_later(self):
        buffer, tokens = buffer_of(), SimpleQueue()
        for _ in range(10):
            buffer.put(ROW)
        late, delivered = buffer.take(0.0, is_due=True), buffer.take(0.0, is_due=True)
        buffer.watch(tokens)
        assert buffer.abandon("closed") == 4
        assert tokens.qsize() == 1
        assert stats_of(buffer).dropped == {"closed": 4}
        buffer.give_back(late)
        buffer.settle(delivered)
        stats = stats_of(buffer)
        assert (stats.dropped, stats.delivered, stats.queued) == ({"closed": 7}, 3, 0)
        assert buffer.is_empty
        assert not buffer.put(ROW)
        assert stats_of(buffer).dropped == {"closed": 7, "after_close": 1}


class TestNotices:
    def test_a_notice_goes_at_once_on_its_own(self):
        wakes = []
        buffer = buffer_of(wake=lambda: wakes.append(1))
        buffer.put(ROW)
        assert buffer.put_notice(line("notice"))
        assert len(wakes) == 2
        batch = buffer.take(0.0, is_due=False)
        assert lines_of([batch]) == [line("notice")]
        assert batch.is_notice
        assert stats_of(buffer).accepted == 2

    def test_it_needs_room(self):
        buffer = buffer_of(queue_bytes=1_000)
        for _ in range(10):
            buffer.put(ROW)
        assert not buffer.put_notice(line("notice"))
        assert stats_of(buffer).accepted == 10

    def test_it_may_come_while_closing_but_not_in_the_end(self):
        buffer = buffer_of()
        buffer.close()
        assert buffer.put_notice(line("notice"))
        assert not buffer.put(ROW)
        buffer.abandon("closed")
        assert not buffer.put_notice(line("notice"))

    @pytest.mark.parametrize("end", ["dropped", "given up", "abandoned", "given up in parts"])
    def test_losing_one_breeds_no_other(self, end):
        buffer = buffer_of(queue_bytes=1_000, overflow="drop_old")
        buffer.put_notice(line("notice"))
        if end == "abandoned":
            buffer.abandon("closed")
        elif end == "dropped":
            for _ in range(10):
                buffer.put(ROW)
        else:
            batch = buffer.take(0.0, is_due=False)
            if end == "given up in parts":
                buffer.replace(batch, [small := Batch(line("n"), 1, batch.number, is_notice=True)])
                batch = small
            buffer.settle(batch, lost="gave_up")
        assert sum(stats_of(buffer).dropped.values()) == 1
        assert not buffer._ledger.has_untold


class TestInterrupted:
    """Python runs signal handlers and finalisers where a call returns, a function begins, or a loop goes round.

    A trace function finds these places, and something is done at each of them, one by one.
    """

    MODULES = frozenset(module.__file__ for module in (batches_module, buffer_module, batch_module, ledger_module))

    def each_place(self, scenario):
        """Yield a fresh scenario for each place at which its run can be interrupted."""
        places = at(self.MODULES, 0, lambda: None, scenario()[1])
        assert places > 2
        for place in range(1, places + 1):
            buffer, run = scenario()
            yield place, buffer, run

    def scenario(self, overflow, rows_before, act):
        def make():
            buffer = buffer_of(queue_bytes=1_000, overflow=overflow, clock=Jumping())
            for number in range(rows_before):
                buffer.put(line(f"before {number}", 100))
            return buffer, lambda: act(buffer)

        return make

    CASES = (
        pytest.param("drop_new", 0, lambda buffer: buffer.put(ROW), id="first row"),
        pytest.param("drop_new", 3, lambda buffer: buffer.put(ROW), id="next batch"),
        pytest.param("drop_new", 10, lambda buffer: buffer.put(ROW), id="no room"),
        pytest.param("drop_old", 10, lambda buffer: buffer.put(line("long", 150)), id="first rows dropped"),
        pytest.param("drop_old", 10, lambda buffer: buffer.put(line("long", 550)), id="batches dropped"),
        pytest.param("block", 10, lambda buffer: buffer.put(ROW), id="block"),
        pytest.param("drop_new", 5, lambda buffer: buffer.put_notice(line("notice")), id="notice"),
        pytest.param("drop_new", 5, lambda buffer: buffer.urge() and buffer.is_settled(2), id="flush"),
        pytest.param("drop_new", 5, lambda buffer: buffer.settle(buffer.take(0.0, is_due=True)), id="settle"),
        pytest.param(
            "drop_new", 5, lambda buffer: buffer.settle(buffer.take(0.0, is_due=True), lost="gave_up"), id="lose"
        ),
        pytest.param("drop_new", 5, lambda buffer: buffer.give_back(buffer.take(0.0, is_due=True)), id="give back"),
        pytest.param(
            "drop_old", 10, lambda buffer: buffer.give_back(buffer.take(0.0, is_due=True)), id="give back to a full one"
        ),
        pytest.param("drop_new", 5, lambda buffer: buffer.is_ready(0.0, is_due=False), id="look"),
        pytest.param("drop_new", 5, lambda buffer: buffer.next_retry(), id="look for the next"),
        pytest.param("drop_new", 5, lambda buffer: buffer.abandon("closed"), id="abandon"),
    )

    @pytest.fixture(params=[True, False], ids=["with room", "without room"])
    def gives_room(self, request, monkeypatch):
        """Give room although the test traces, as in production; or none, as where somebody is debugging."""
        monkeypatch.setattr(batches_module, "is_straight_line_atomic", lambda: request.param)

    @pytest.mark.usefixtures("gives_room")
    @pytest.mark.parametrize(("overflow", "rows_before", "act"), CASES)
    def test_a_signal_handler_that_logs_at_any_place_harms_nothing(self, overflow, rows_before, act):
        for place, buffer, run in self.each_place(self.scenario(overflow, rows_before, act)):
            # The longer one does not fit the open batch where the other did.
            inner = [line("inner", 60), line("inner", 120)]

            def log(buffer=buffer, inner=inner):
                stats_of(buffer)
                for row in inner:
                    buffer.put(row)
                stats_of(buffer)

            at(self.MODULES, place, log, run)
            stats = stats_of(buffer)
            lines = lines_of(take_all(buffer))
            assert len(lines) == stats.queued, place
            assert all(row.startswith(b"{") and row.endswith(b"}\n") for row in lines), place
            assert stats_of(buffer).in_flight == len(lines) + stats.in_flight
            for batch in list(buffer._taken):
                buffer.settle(batch)
            assert buffer.is_empty, place
            assert stats_of(buffer).accepted == rows_before + 2 + (act.__code__.co_names[0] in {"put", "put_notice"})

    @pytest.mark.usefixtures("gives_room")
    @pytest.mark.parametrize(("overflow", "rows_before", "act"), CASES[:7])
    def test_an_exception_from_a_signal_handler_at_any_place_loses_no_row_silently(self, overflow, rows_before, act):
        """Ctrl-C in the middle of a log call: the row is in or it is not, and the others are where they were."""

        def interrupt():
            raise KeyboardInterrupt

        for place, buffer, run in self.each_place(self.scenario(overflow, rows_before, act)):
            with pytest.raises(KeyboardInterrupt):
                at(self.MODULES, place, interrupt, run)
            assert is_balanced(buffer._ledger.snapshot())
            assert sum(len(batch.data) for batch in (*buffer._waiting, *buffer._taken)) == buffer._bytes
            stats = stats_of(buffer)
            assert stats.accepted in {rows_before, rows_before + 1}
            assert len(lines_of(take_all(buffer))) == stats.queued, place
            for batch in list(buffer._taken):
                buffer.settle(batch)
            assert buffer.is_empty, place
            assert buffer.put(ROW), "and it goes on"

    @pytest.mark.usefixtures("gives_room")
    def test_a_batch_whose_first_row_was_interrupted_wakes_somebody_with_its_next(self):
        """Or else all its rows would wait until it is full."""

        def interrupt():
            raise KeyboardInterrupt

        def scenario():
            wakes.clear()
            buffer = buffer_of(wake=lambda: wakes.append(1))
            return buffer, lambda: buffer.put(ROW)

        wakes = []
        for place, buffer, run in self.each_place(scenario):
            with pytest.raises(KeyboardInterrupt):
                at(self.MODULES, place, interrupt, run)
            buffer.put(ROW)
            assert wakes, place
            assert len(lines_of(take_all(buffer))) == stats_of(buffer).in_flight

    def test_a_wake_up_that_is_interrupted_is_made_up_for_by_the_next_row(self):
        def wake():
            wakes.append(1)
            if len(wakes) == 1:
                raise KeyboardInterrupt

        wakes = []
        buffer = buffer_of(wake=wake)
        with pytest.raises(KeyboardInterrupt):
            buffer.put(ROW)
        buffer.put(ROW)
        assert len(wakes) == 2
        assert lines_of(take_all(buffer)) == [ROW, ROW]

    @pytest.mark.usefixtures("gives_room")
    @pytest.mark.parametrize("size", [60, 110, 160, 400])
    def test_who_drops_old_rows_while_another_begins_a_batch_leaves_that_alone(self, size):
        """Most of the queue is on its way, so what gives way is what has just come."""

        def scenario():
            buffer = buffer_of(queue_bytes=1_000, overflow="drop_old")
            for number in range(8):
                buffer.put(line(number, 100))
            take_all(buffer)
            return buffer, lambda: buffer.put(line("first", 50)) and buffer.put(line("second", 50))

        for place, buffer, run in self.each_place(scenario):
            at(self.MODULES, place, lambda buffer=buffer: buffer.put(line("inner", size)), run)
            stats = stats_of(buffer)
            assert stats.accepted == 11
            assert len(lines_of(take_all(buffer))) == stats.queued, place
            for batch in list(buffer._taken):
                buffer.settle(batch)
            assert buffer.is_empty, place

    @pytest.mark.usefixtures("gives_room")
    @pytest.mark.parametrize(("overflow", "rows_before", "act"), CASES[:7])
    def test_a_signal_handler_that_flushes_at_any_place_counts_no_row_twice(self, overflow, rows_before, act):
        for place, buffer, run in self.each_place(self.scenario(overflow, rows_before, act)):

            def flush(buffer=buffer):
                for batch in take_all(buffer):
                    buffer.settle(batch)

            at(self.MODULES, place, flush, run)
            flush()
            stats = stats_of(buffer)
            assert stats.accepted == stats.delivered + sum(stats.dropped.values()) == rows_before + 1, place
            assert buffer._bytes == 0, place

    def test_a_clock_and_a_wake_up_that_log_are_fine(self):
        """Deterministic stand-ins for a finaliser in the middle of `put`."""

        class Logging(ManualClock):
            depth = 0

            def log(self):
                if self.depth < 3:
                    self.depth += 1
                    buffer.put(line("inner", 100))
                    stats_of(buffer)
                    self.depth -= 1

            def monotonic(self):
                self.log()
                return super().monotonic()

            def time(self):
                self.log()
                return super().time()

        clock = Logging()
        buffer = buffer_of(queue_bytes=1_000, clock=clock, wake=clock.log)
        for _ in range(20):
            buffer.put(ROW)
        stats = stats_of(buffer)
        assert stats.accepted > 20
        assert stats.queued == 10
        assert len(lines_of(take_all(buffer))) == 10

    def test_two_that_drop_the_same_rows_at_once_cut_no_row_in_two(self):
        """The inner one has dropped them already when the outer one comes to it."""
        buffer = buffer_of(queue_bytes=1_000, overflow="drop_old")
        for number in range(10):
            buffer.put(line(number, 100))

        class Interrupting(bytearray):
            def count(self, *args):
                if not inner:
                    inner.append("begun")
                    inner.append(buffer.put(line("inner", 150)))
                return super().count(*args)

        inner = []
        buffer._waiting[0].data = Interrupting(buffer._waiting[0].data)
        assert buffer.put(line("outer", 150))
        assert inner == ["begun", True]
        rows = lines_of(take_all(buffer))
        assert rows == [*[line(number, 100) for number in range(3, 10)], line("inner", 150), line("outer", 150)]
        assert stats_of(buffer).dropped == {"queue_full": 3}

    @pytest.mark.parametrize("times", [1, 2])
    def test_a_wake_up_at_the_end_of_the_stack_costs_nothing_but_time(self, times):
        def wake():
            wakes.append(1)
            if len(wakes) <= times:
                raise RecursionError

        wakes = []
        buffer = buffer_of(wake=wake)
        assert [buffer.put(ROW) for _ in range(3)] == [True, True, True]
        assert len(wakes) == times + 1, "the next row wakes again"
        assert stats_of(buffer).accepted == 3
        assert lines_of(take_all(buffer)) == [ROW, ROW, ROW]


class TestOneStep:
    """What belongs together changes where no other thread, signal handler or finaliser has its turn."""

    STEPS = (MemoryBuffer.put, MemoryBuffer._put, MemoryBuffer._catch_up)

    @staticmethod
    def step(function):
        """Return the instructions of the stretch that a comment says is one step."""
        lines, first = inspect.getsourcelines(function)
        begin = next(number for number, text in enumerate(lines) if "# In one step" in text)
        ends = (number for number, text in enumerate(lines) if text.split()[:1] in (["break"], ["return"]))
        numbers = range(first + begin, first + next(number for number in ends if number > begin))
        found = dis.get_instructions(function)
        return [one for one in found if one.positions is not None and one.positions.lineno in numbers]

    @pytest.mark.parametrize("function", STEPS)
    def test_there_is_no_place_for_others_in_a_step(self, function):
        step = self.step(function)
        assert len(step) > 10
        assert [one.opname for one in step if one.opname.startswith(PLACES)] == []

    @pytest.mark.parametrize("function", STEPS)
    def test_nor_behind_an_attribute(self, function):
        """A property, or a method of a value that is no number, would be a call in disguise."""
        buffer = buffer_of()
        names = {one.argval for one in self.step(function) if one.opname.endswith("_ATTR")}
        assert {"rows", "room"} <= names
        for name in names:
            kinds = {type(vars(kind)[name]) for kind in (Batch, *MemoryBuffer.__mro__, Ledger) if name in vars(kind)}
            assert kinds <= {types.MemberDescriptorType}, name
        buffer.put(ROW)
        assert {type(value) for value in (buffer._bytes, buffer._limit, buffer._open.room)} == {int}
        assert type(buffer._open.data) is bytearray

    def test_a_row_that_finds_room_waits_for_no_lock(self):
        """Threads that ask for a lock at each row stand in line for it, and for the interpreter, by turns."""
        buffer = buffer_of(queue_bytes=10_000, batch_bytes=5_000)
        assert buffer.put(ROW)
        assert buffer.put(ROW), "from its second row on a batch has room"
        done = []
        with buffer._lock:
            thread = threading.Thread(target=lambda: done.append(buffer.put(ROW)))
            thread.start()
            thread.join(10)
            assert done == [True]
        assert stats_of(buffer).queued == 3

    def test_who_looks_takes_the_room_back(self):
        """So nothing is put in between two looks under one lock: who has a row asks for the lock, too."""
        buffer = buffer_of(queue_bytes=10_000, batch_bytes=5_000)
        buffer.put(ROW)
        for rows in range(2, 5):
            buffer.put(ROW)
            assert buffer._open.room > 0
            assert stats_of(buffer).accepted == rows
            assert buffer._open.room == 0
            assert buffer._bytes == len(buffer._open.data) == rows * len(ROW)

    def test_a_debugger_on_one_thread_is_let_in_at_no_line_that_matters(self):
        """It may have come when the batch had room already, and lets a listener take it between any two lines."""
        buffer = buffer_of(queue_bytes=10_000, batch_bytes=5_000)
        ends, lines = [], []

        def deliver():
            for batch in take_all(buffer):
                ends.extend(lines_of([batch]))
                buffer.settle(batch)

        def trace(frame, event, _):
            if frame.f_code is not MemoryBuffer.put.__code__:
                return None
            if event == "line":
                lines.append(frame.f_lineno)
                if len(lines) == place:
                    deliver()
            return trace

        for place in range(1, 10):
            rows = [line(f"{place} {number}") for number in range(3)]
            buffer.put(rows[0])
            buffer.put(rows[1])
            lines.clear()
            with traced_by(trace):
                buffer.put(rows[2])
            deliver()
            assert ends[-3:] == rows
            assert buffer._bytes == 0
            assert stats_of(buffer).delivered == 3 * place
        assert 1 < len(lines) < place, "it was let in everywhere"

    def test_where_others_are_let_in_at_each_line_no_room_is_given(self, monkeypatch):
        monkeypatch.setattr(batches_module, "is_straight_line_atomic", lambda: False)
        buffer = buffer_of()
        for _ in range(7):
            buffer.put(ROW)
            assert buffer._open.room == 0
        assert [batch.rows for batch in take_all(buffer)] == [3, 3, 1]


class TestThreads:
    @pytest.fixture(autouse=True)
    def turns(self):
        """Have threads take turns as often as they can."""
        before = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        yield
        sys.setswitchinterval(before)

    @pytest.mark.parametrize("overflow", ["drop_new", "drop_old"])
    def test_every_snapshot_adds_up_while_all_are_at_work(self, overflow):  # noqa: C901 - three roles at once
        buffer = buffer_of(queue_bytes=20_000, batch_bytes=1_000, overflow=overflow)
        is_over, start, snapshots, ends = threading.Event(), threading.Barrier(5), [], []

        def log(name):
            start.wait(10)
            for number in range(2_000):
                buffer.put(line(f"{name} {number}"))

        def deliver():
            start.wait(10)
            turn = 0
            while not (is_over.is_set() and buffer.is_empty):
                batch = buffer.take(0.0, is_due=True)
                if batch is None:
                    continue
                turn += 1
                if turn % 5 == 0:
                    buffer.give_back(batch)
                elif turn % 3 == 0 and batch.rows > 1:
                    buffer.replace(batch, parts := batch_module.halves(batch))
                    for part in parts:
                        ends.extend(lines_of([part]))
                        buffer.settle(part)
                else:
                    ends.extend(lines_of([batch]))
                    buffer.settle(batch)

        def look():
            start.wait(10)
            while not is_over.is_set():
                snapshots.append(is_balanced(buffer._ledger.snapshot()))

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
        stats = stats_of(buffer)
        assert stats.accepted == 4_000
        assert stats.delivered == len(ends) == len(set(ends))
        assert stats.delivered + sum(stats.dropped.values()) == 4_000


class TestDividing:
    @given(st.lists(st.text(max_size=5), min_size=2, max_size=40))
    def test_halves_hold_all_rows_in_their_order(self, texts):
        rows = [line(text) for text in texts]
        batch = Batch(b"".join(rows), len(rows), 7, tries=4, first_try=1.0, is_notice=True)
        first, second = batch_module.halves(batch)
        assert bytes(first.data) + bytes(second.data) == b"".join(rows)
        assert (first.rows, second.rows) == (len(rows) // 2, len(rows) - len(rows) // 2)
        assert (first.number, second.number) == (7, 7 + first.rows)
        assert first.split_budget is second.split_budget is batch.split_budget
        assert (first.tries, first.first_try, first.is_notice) == (0, 1.0, True)

    @given(st.lists(st.integers(0, 3 * 24 * 60), min_size=1, max_size=40))
    def test_groups_by_time_hold_all_rows_in_their_order_none_too_far_apart(self, minutes):
        rows = [
            line(
                number,
                TimeGenerated=f"2026-11-{20 + minute // 1440}T{minute // 60 % 24:02}:{minute % 60:02}:00.000000Z",
            )
            for number, minute in enumerate(minutes)
        ]
        batch = Batch(b"".join(rows), len(rows), 7)
        groups = batch_module.by_time(batch)
        if not groups:
            assert max(minutes) - min(minutes) < 30
            return
        positions = {row: position for position, row in enumerate(rows)}
        seen = []
        for group in groups:
            places = [positions[row] for row in lines_of([group])]
            assert places == sorted(places)
            times = [minutes[place] for place in places]
            assert max(times) - min(times) < 30
            assert group.rows == len(places)
            assert group.number == 7
            seen += places
        assert sorted(seen) == list(range(len(rows)))

    @pytest.mark.parametrize(
        "stamps", [[None, None], ["soon", "2026"], [5, {}], ["9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+23:00"]]
    )
    def test_times_that_cannot_be_read_divide_nothing_or_something_but_raise_nothing(self, stamps):
        rows = [line("row", TimeGenerated=stamp) for stamp in stamps]
        groups = batch_module.by_time(Batch(b"".join(rows), 2, 0))
        assert sum(group.rows for group in groups) in {0, 2}

    def test_nor_do_rows_that_a_fragment_of_json_has_spoiled(self):
        rows = [line("row", TimeGenerated="2026-11-20T10:00:00Z"), b"{]\n", b"[]\n"]
        groups = batch_module.by_time(Batch(b"".join(rows), 3, 0))
        assert sum(group.rows for group in groups) == 3
