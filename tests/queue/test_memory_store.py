"""Rows in memory: batches that are filled completely, and an open batch that takes rows without the lock."""

# ruff: noqa: SLF001 - what must hold inside, at any moment

import dis
import inspect
import threading
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logging_azmon._queue import backlog, batch_queue, ledger, memory_store, overflow
from logging_azmon._queue import batch as batch_module
from logging_azmon._queue.batch import Batch
from logging_azmon._queue.ledger import Ledger
from logging_azmon._queue.memory_store import MemoryStore, PureOpenBatch
from logging_azmon.testing import ManualClock
from support.batch_queues import ROW, Jumping, lines_of, queue_of, stats_of, take_all
from support.delivering import is_balanced, line
from support.interrupting import PLACES, at, traced_by


class TestBatches:
    def test_rows_are_taken_unchanged_and_in_order(self):
        queue = queue_of(queue_bytes=10_000)
        rows = [line(number) for number in range(50)]
        assert all(queue.put(row) for row in rows)
        batches = take_all(queue)
        assert lines_of(batches) == rows
        assert sum(batch.rows for batch in batches) == 50

    @given(st.lists(st.integers(30, 300), max_size=60), st.integers(301, 2_000))
    def test_a_body_is_never_longer_than_batch_bytes(self, sizes, batch_bytes):
        queue = queue_of(queue_bytes=10**6, batch_bytes=batch_bytes)
        rows = [line(number, size) for number, size in enumerate(sizes)]
        for row in rows:
            queue.put(row)
        batches = take_all(queue)
        assert lines_of(batches) == rows
        for batch in batches:
            body = b"[%b]" % bytes(batch.data[:-1]).replace(b"\n", b",")
            assert len(body) <= batch_bytes
            assert batch.rows == batch.data.count(b"\n")

    def test_a_batch_is_filled_until_the_next_row_does_not_fit(self):
        queue = queue_of(batch_bytes=301)
        for _ in range(7):
            queue.put(ROW)
        assert [batch.rows for batch in take_all(queue)] == [3, 3, 1]

    def test_a_row_longer_than_a_batch_is_sent_alone(self):
        queue = queue_of(batch_bytes=301)
        big = line("big", 500)
        assert [queue.put(row) for row in (ROW, big, ROW)] == [True, True, True]
        assert lines_of(take_all(queue)) == [ROW, big, ROW]

    def test_only_a_full_batch_is_handed_out_before_it_is_due(self):
        queue = queue_of()
        queue.put(ROW)
        assert not queue.is_ready(1e9, is_due=False)
        assert queue.take(1e9, is_due=False) is None
        assert queue.is_ready(0.0, is_due=True)
        for _ in range(3):
            queue.put(ROW)
        assert queue.take(1e9, is_due=False).rows == 3
        assert queue.take(1e9, is_due=False) is None

    def test_listeners_are_woken_by_the_first_row_of_a_batch_only(self):
        wakes = []
        queue = queue_of(wake=lambda: wakes.append(stats_of(queue).queued))
        for _ in range(7):
            queue.put(ROW)
        assert wakes == [1, 4, 7]

    def test_open_since_is_when_the_open_batch_began(self):
        clock = Jumping()
        queue = queue_of(clock=clock)
        assert queue.open_since() is None
        queue.put(ROW)
        began = clock.monotonic()
        clock.advance(3)
        queue.put(ROW)
        assert queue.open_since() == began
        take_all(queue)
        assert queue.open_since() is None


class TestInterrupted:
    """Python runs signal handlers and finalizers where a call returns, a function begins, or a loop goes round.

    A trace function finds these places, and something is done at each of them, one by one.
    """

    MODULES = frozenset(
        module.__file__ for module in (backlog, batch_module, batch_queue, ledger, memory_store, overflow)
    )

    def each_place(self, scenario):
        """Yield a fresh scenario for each place at which its run can be interrupted."""
        places = at(self.MODULES, 0, lambda: None, scenario()[1])
        assert places > 2
        for place in range(1, places + 1):
            queue, run = scenario()
            yield place, queue, run

    def scenario(self, overflow, rows_before, act):
        def make():
            queue = queue_of(queue_bytes=1_000, overflow=overflow, clock=Jumping())
            for number in range(rows_before):
                queue.put(line(f"before {number}", 100))
            return queue, lambda: act(queue)

        return make

    CASES = (
        pytest.param("drop_new", 0, lambda queue: queue.put(ROW), id="first row"),
        pytest.param("drop_new", 3, lambda queue: queue.put(ROW), id="next batch"),
        pytest.param("drop_new", 10, lambda queue: queue.put(ROW), id="no room"),
        pytest.param("drop_old", 10, lambda queue: queue.put(line("long", 150)), id="first rows dropped"),
        pytest.param("drop_old", 10, lambda queue: queue.put(line("long", 550)), id="batches dropped"),
        pytest.param("block", 10, lambda queue: queue.put(ROW), id="block"),
        pytest.param("drop_new", 5, lambda queue: queue.put_notice(line("notice")), id="notice"),
        pytest.param("drop_new", 5, lambda queue: queue.make_all_due() and queue.is_settled(2), id="flush"),
        pytest.param("drop_new", 5, lambda queue: queue.settle(queue.take(0.0, is_due=True)), id="settle"),
        pytest.param(
            "drop_new", 5, lambda queue: queue.settle(queue.take(0.0, is_due=True), lost="gave_up"), id="lose"
        ),
        pytest.param("drop_new", 5, lambda queue: queue.give_back(queue.take(0.0, is_due=True)), id="give back"),
        pytest.param(
            "drop_old", 10, lambda queue: queue.give_back(queue.take(0.0, is_due=True)), id="give back to a full one"
        ),
        pytest.param("drop_new", 5, lambda queue: queue.is_ready(0.0, is_due=False), id="look"),
        pytest.param("drop_new", 5, lambda queue: queue.next_event_at(), id="look for the next"),
        pytest.param("drop_new", 5, lambda queue: queue.begin_drain() and queue.close(), id="close"),
    )

    @pytest.fixture(params=[True, False], ids=["with room", "without room"])
    def reserves(self, request, monkeypatch):
        """Reserve bytes although the test traces, as in production; or none, as under a debugger."""
        monkeypatch.setattr(memory_store, "is_straight_line_atomic", lambda: request.param)

    @pytest.mark.usefixtures("reserves")
    @pytest.mark.parametrize(("overflow", "rows_before", "act"), CASES)
    def test_a_signal_handler_that_logs_at_any_point_harms_no_row(self, overflow, rows_before, act):
        for place, queue, run in self.each_place(self.scenario(overflow, rows_before, act)):
            # The longer row does not fit the open batch in some places where the shorter one does.
            inner = [line("inner", 60), line("inner", 120)]

            def log(queue=queue, inner=inner):
                stats_of(queue)
                for row in inner:
                    queue.put(row)
                stats_of(queue)

            at(self.MODULES, place, log, run)
            stats = stats_of(queue)
            lines = lines_of(take_all(queue))
            assert len(lines) == stats.queued, place
            assert all(row.startswith(b"{") and row.endswith(b"}\n") for row in lines), place
            assert stats_of(queue).in_flight == len(lines) + stats.in_flight
            for batch in list(queue._backlog._taken):
                queue.settle(batch)
            assert queue.is_empty, place
            assert stats_of(queue).accepted == rows_before + 2 + (act.__code__.co_names[0] in {"put", "put_notice"})

    @pytest.mark.parametrize(("overflow", "rows_before", "act"), CASES[:2])
    def test_a_log_call_at_any_instruction_harms_no_row_where_code_is_not_atomic(
        self, monkeypatch, overflow, rows_before, act
    ):
        """A debugger runs code of its own between two lines; so may a later Python between two instructions."""
        monkeypatch.setattr(memory_store, "is_straight_line_atomic", lambda: False)
        make = self.scenario(overflow, rows_before, act)
        anywhere = ("",)
        for place in range(1, 1 + at(self.MODULES, 0, lambda: None, make()[1], anywhere)):
            queue, run = make()

            def log(queue=queue):
                for size in (60, 120):
                    queue.put(line("inner", size))
                assert queue.take(0.0, is_due=True) is None or not queue._store.is_writing
                queue._ledger.catch_up()

            at(self.MODULES, place, log, run, anywhere)
            stats = stats_of(queue)
            assert stats.accepted == rows_before + 3
            taken = lines_of([*queue._backlog._taken, *take_all(queue)])
            assert len(taken) == stats.queued + stats.in_flight, place
            for batch in list(queue._backlog._taken):
                queue.settle(batch)
            assert queue.is_empty, place

    def test_a_log_call_inside_another_is_deferred_where_code_is_not_atomic(self, monkeypatch):
        """Here the clock takes the place of a debugger; meanwhile nothing is counted, and no notice is taken."""
        monkeypatch.setattr(memory_store, "is_straight_line_atomic", lambda: False)
        inner, notices = line("inner", 100), []

        class Interrupting(Jumping):
            def monotonic(self):
                if not notices:
                    notices.append(None)
                    notices.append(queue.put_notice(line("notice")))
                    assert queue.put(inner)
                    queue._ledger.catch_up()
                return super().monotonic()

        queue = queue_of(clock=Interrupting())
        assert queue.put(ROW)
        assert notices == [None, False]
        assert lines_of(take_all(queue)) == [ROW, inner]

    @pytest.mark.usefixtures("reserves")
    @pytest.mark.parametrize(("overflow", "rows_before", "act"), CASES[:7])
    def test_an_exception_from_a_signal_handler_at_any_point_loses_no_row_silently(self, overflow, rows_before, act):
        """Ctrl-C during a log call: the row is accepted or it is not, and the others are not affected."""

        def interrupt():
            raise KeyboardInterrupt

        for place, queue, run in self.each_place(self.scenario(overflow, rows_before, act)):
            with pytest.raises(KeyboardInterrupt):
                at(self.MODULES, place, interrupt, run)
            assert is_balanced(queue._ledger.snapshot())
            assert (
                sum(len(batch.data) for batch in (*queue._backlog.waiting, *queue._backlog._taken))
                == queue._store.used_bytes
            )
            stats = stats_of(queue)
            assert stats.accepted in {rows_before, rows_before + 1}
            assert len(lines_of(take_all(queue))) == stats.queued, place
            for batch in list(queue._backlog._taken):
                queue.settle(batch)
            assert queue.is_empty, place
            assert queue.put(ROW), "and it goes on"

    @pytest.mark.usefixtures("reserves")
    def test_a_batch_whose_first_row_was_interrupted_wakes_a_listener_with_its_next(self):
        """Otherwise all its rows would wait until the batch is full."""

        def interrupt():
            raise KeyboardInterrupt

        def scenario():
            wakes.clear()
            queue = queue_of(wake=lambda: wakes.append(1))
            return queue, lambda: queue.put(ROW)

        wakes = []
        for place, queue, run in self.each_place(scenario):
            with pytest.raises(KeyboardInterrupt):
                at(self.MODULES, place, interrupt, run)
            queue.put(ROW)
            assert wakes, place
            assert len(lines_of(take_all(queue))) == stats_of(queue).in_flight

    def test_the_next_row_makes_up_for_an_interrupted_wake_up(self):
        def wake():
            wakes.append(1)
            if len(wakes) == 1:
                raise KeyboardInterrupt

        wakes = []
        queue = queue_of(wake=wake)
        with pytest.raises(KeyboardInterrupt):
            queue.put(ROW)
        queue.put(ROW)
        assert len(wakes) == 2
        assert lines_of(take_all(queue)) == [ROW, ROW]

    @pytest.mark.usefixtures("reserves")
    @pytest.mark.parametrize("size", [60, 110, 160, 400])
    def test_dropping_old_rows_keeps_a_batch_that_an_interrupted_call_has_begun(self, size):
        """Most rows are in flight, so only the newest can be dropped."""

        def scenario():
            queue = queue_of(queue_bytes=1_000, overflow="drop_old")
            for number in range(8):
                queue.put(line(number, 100))
            take_all(queue)
            return queue, lambda: queue.put(line("first", 50)) and queue.put(line("second", 50))

        for place, queue, run in self.each_place(scenario):
            at(self.MODULES, place, lambda queue=queue: queue.put(line("inner", size)), run)
            stats = stats_of(queue)
            assert stats.accepted == 11
            assert len(lines_of(take_all(queue))) == stats.queued, place
            for batch in list(queue._backlog._taken):
                queue.settle(batch)
            assert queue.is_empty, place

    @pytest.mark.usefixtures("reserves")
    @pytest.mark.parametrize(("overflow", "rows_before", "act"), CASES[:7])
    def test_a_signal_handler_that_flushes_at_any_point_counts_no_row_twice(self, overflow, rows_before, act):
        for place, queue, run in self.each_place(self.scenario(overflow, rows_before, act)):

            def flush(queue=queue):
                for batch in take_all(queue):
                    queue.settle(batch)

            at(self.MODULES, place, flush, run)
            flush()
            stats = stats_of(queue)
            assert stats.accepted == stats.delivered + sum(stats.dropped.values()) == rows_before + 1, place
            assert queue._store.used_bytes == 0, place

    def test_log_calls_inside_the_clock_and_the_wake_up_harm_no_row(self):
        """The clock and the wake-up take the place of a finalizer that interrupts `put`."""

        class Logging(ManualClock):
            depth = 0

            def log(self):
                if self.depth < 3:
                    self.depth += 1
                    queue.put(line("inner", 100))
                    stats_of(queue)
                    self.depth -= 1

            def monotonic(self):
                self.log()
                return super().monotonic()

            def time(self):
                self.log()
                return super().time()

        clock = Logging()
        queue = queue_of(queue_bytes=1_000, clock=clock, wake=clock.log)
        for _ in range(20):
            queue.put(ROW)
        stats = stats_of(queue)
        assert stats.accepted > 20
        assert stats.queued == 10
        assert len(lines_of(take_all(queue))) == 10

    def test_two_calls_that_drop_the_same_rows_at_once_cut_no_row_in_two(self):
        """The inner call has dropped the rows before the outer one does."""
        queue = queue_of(queue_bytes=1_000, overflow="drop_old")
        for number in range(10):
            queue.put(line(number, 100))

        class Interrupting(bytearray):
            def count(self, *args):
                if not inner:
                    inner.append("begun")
                    inner.append(queue.put(line("inner", 150)))
                return super().count(*args)

        inner = []
        queue._backlog.waiting[0].data = Interrupting(queue._backlog.waiting[0].data)
        assert queue.put(line("outer", 150))
        assert inner == ["begun", True]
        rows = lines_of(take_all(queue))
        assert rows == [*[line(number, 100) for number in range(3, 10)], line("inner", 150), line("outer", 150)]
        assert stats_of(queue).dropped == {"queue_full": 3}

    @pytest.mark.parametrize("times", [1, 2])
    def test_a_wake_up_that_exhausts_the_stack_delays_the_row_but_does_not_lose_it(self, times):
        def wake():
            wakes.append(1)
            if len(wakes) <= times:
                raise RecursionError

        wakes = []
        queue = queue_of(wake=wake)
        assert [queue.put(ROW) for _ in range(3)] == [True, True, True]
        assert len(wakes) == times + 1, "the next row wakes again"
        assert stats_of(queue).accepted == 3
        assert lines_of(take_all(queue)) == [ROW, ROW, ROW]


class TestAtomicSteps:
    """Related fields change in steps that no other thread, signal handler or finalizer can interrupt."""

    STEPS = (
        PureOpenBatch.append, MemoryStore._append, MemoryStore._count_open, MemoryStore.append_notice,
        MemoryStore._drop_first_rows,
    )  # fmt: skip

    @staticmethod
    def step(function):
        """Return the instructions of the code that a comment marks as atomic."""
        lines, first = inspect.getsourcelines(function)
        begin = next(number for number, text in enumerate(lines) if "# Atomic" in text)
        ends = (
            number
            for number, text in enumerate(lines)
            if text.split()[:1] in (["break"], ["return"]) or "# End of the atomic step" in text
        )
        numbers = range(first + begin, first + next((number for number in ends if number > begin), len(lines)))
        found = dis.get_instructions(function)
        return [one for one in found if one.positions is not None and one.positions.lineno in numbers]

    @pytest.mark.parametrize("function", STEPS)
    def test_an_atomic_step_has_no_call_and_no_backward_jump(self, function):
        step = self.step(function)
        assert len(step) > 10
        assert [one.opname for one in step if one.opname.startswith(PLACES)] == []

    @pytest.mark.parametrize("function", STEPS)
    def test_no_attribute_in_an_atomic_step_runs_python_code(self, function):
        """A property, or an operator of a value other than a number, would be a hidden call."""
        queue = queue_of()
        names = {one.argval for one in self.step(function) if one.opname.endswith("_ATTR")}
        has_reserve = function not in {MemoryStore.append_notice, MemoryStore._drop_first_rows}
        assert {"rows", "reserved" if has_reserve else "used_bytes"} <= names
        for name in names:
            holders = (Batch, PureOpenBatch, MemoryStore, Ledger)
            kinds = {type(vars(kind)[name]) for kind in holders if name in vars(kind)}
            assert kinds <= {types.MemberDescriptorType}, name
        queue.put(ROW)
        assert {
            type(value) for value in (queue._store.used_bytes, queue._store._limit, queue._store._open.reserved)
        } == {int}
        assert type(queue._store._open.data) is bytearray

    def test_a_row_that_fits_the_reserve_needs_no_lock(self):
        """Threads that need a lock for each row would wait for it, and then for the interpreter, by turns."""
        queue = queue_of(queue_bytes=10_000, batch_bytes=5_000)
        assert queue.put(ROW)
        assert queue.put(ROW), "from its second row on a batch has room"
        done = []
        with queue.lock:
            thread = threading.Thread(target=lambda: done.append(queue.put(ROW)))
            thread.start()
            thread.join(10)
            assert done == [True]
        assert stats_of(queue).queued == 3

    def test_a_snapshot_takes_the_reserve_back(self):
        """The next row then needs the lock, so no row is added between two snapshots under one lock."""
        queue = queue_of(queue_bytes=10_000, batch_bytes=5_000)
        queue.put(ROW)
        for rows in range(2, 5):
            queue.put(ROW)
            assert queue._store._open.reserved > 0
            assert stats_of(queue).accepted == rows
            assert queue._store._open.reserved == 0
            assert queue._store.used_bytes == len(queue._store._open.data) == rows * len(ROW)

    @pytest.mark.skipif(memory_store.OpenBatch is not PureOpenBatch, reason="a debugger sees no compiled line")
    def test_a_debugger_on_one_thread_cannot_separate_a_row_from_its_count(self):
        """It may start when the batch has a reserve, and lets a listener take the batch between any two lines."""
        queue = queue_of(queue_bytes=10_000, batch_bytes=5_000)
        ends, lines = [], []

        def deliver():
            for batch in take_all(queue):
                ends.extend(lines_of([batch]))
                queue.settle(batch)

        def trace(frame, event, _):
            if frame.f_code is not PureOpenBatch.append.__code__:
                return None
            if event == "line":
                lines.append(frame.f_lineno)
                if len(lines) == place:
                    deliver()
            return trace

        for place in range(1, 10):
            rows = [line(f"{place} {number}") for number in range(3)]
            queue.put(rows[0])
            queue.put(rows[1])
            lines.clear()
            with traced_by(trace):
                queue.put(rows[2])
            deliver()
            assert ends[-3:] == rows
            assert queue._store.used_bytes == 0
            assert stats_of(queue).delivered == 3 * place
        assert 1 < len(lines) < place, "it was let in everywhere"

    def test_nothing_is_reserved_where_straight_line_code_is_not_atomic(self, monkeypatch):
        monkeypatch.setattr(memory_store, "is_straight_line_atomic", lambda: False)
        queue = queue_of()
        for _ in range(7):
            queue.put(ROW)
            assert queue._store._open.reserved == 0
        assert [batch.rows for batch in take_all(queue)] == [3, 3, 1]


def test_a_batch_in_memory_is_released_once():
    """If Ctrl-C comes between release and count, the batch is given back, and released again later."""
    queue = queue_of()
    queue.put(ROW)
    (batch,) = take_all(queue)
    for _ in range(2):
        queue._store.release(batch)

    assert queue._store.used_bytes == 0
