"""An exception or a nested log call at any point leaves each row in or out, and counted."""

# ruff: noqa: SLF001 - what must hold inside, at any moment

import threading
from contextlib import contextmanager, suppress
from unittest.mock import Mock

import pytest

from logging_azmon._queue import backlog, batch, batch_queue, ledger, memory_store, overflow
from logging_azmon._spool import deferred_reports, ownership, recovery, segment_writer, space, spool_store
from logging_azmon.testing import ManualClock
from support.crashing import CrashingDisk
from support.delivering import Bench, line, messages
from support.interrupting import at
from support.spools import BATCH_BYTES, ownership_held

CODE = (
    backlog,
    batch,
    batch_queue,
    ledger,
    memory_store,
    deferred_reports,
    overflow,
    ownership,
    recovery,
    segment_writer,
    space,
    spool_store,
)
MODULES = frozenset(module.__file__ for module in CODE)
ROW = line("row", 60)
CASES = {
    "first row": (0, lambda bench: bench.queue.put(ROW)),
    "next row": (1, lambda bench: bench.queue.put(ROW)),
    "next segment": (40, lambda bench: bench.queue.put(line("long", 2_000))),
    "settle": (5, lambda bench: bench.queue.settle(bench.queue.take(0.0, is_due=True))),
    "give back": (5, lambda bench: bench.queue.give_back(bench.queue.take(0.0, is_due=True))),
    "flush": (5, lambda bench: bench.queue.make_all_due()),
    "full": (-1, lambda bench: bench.queue.put(ROW)),
}


class TestInterrupted:
    """A signal handler or a finalizer interrupts the spool, on the same thread, at each point where Python runs one."""

    @contextmanager
    def bench(self, tmp_path, before, number):
        disk = CrashingDisk({})
        bench = Bench(
            spool=str(tmp_path / str(number)), disk=disk, batch_bytes=BATCH_BYTES, clock=ManualClock(jumps=True)
        )
        bench.put(*[line(each, 80) for each in range(max(0, before))])
        if before < 0:
            disk.room = 20
        yield bench, disk
        disk.die()

    def places(self, tmp_path, before, act):
        with self.bench(tmp_path, before, -1) as (bench, _):
            places = at(MODULES, 0, lambda: None, lambda: act(bench))
        assert places > 2
        return range(1, places + 1)

    @pytest.mark.parametrize("what", ["put", "take", "flush"])
    def test_a_call_that_interrupts_a_write_takes_effect_after_it(self, directory, what):
        disk = CrashingDisk({})
        write = disk.write
        done = []

        def interrupted(fd, data):
            if b'"outer"' in data:
                if what == "put":
                    done.append(bench.put("inner"))
                elif what == "take":
                    done.append(bench.queue.take(1e9, is_due=True))
                else:
                    bench.queue.make_all_due()
            return write(fd, data)

        disk.write = interrupted
        bench = directory.process(disk=disk)
        bench.put("outer")
        bench.run()
        assert done == {"put": [[True]], "take": [None], "flush": []}[what]
        assert directory.arrived == ["outer", "inner"][: 1 + (what == "put")]

    def test_after_ctrl_c_in_a_write_the_file_decides_whether_the_row_was_accepted(self, directory):
        disk = CrashingDisk({})
        write = disk.write

        def interrupted(fd, data):
            written = write(fd, data)
            if b'"outer"' in data:
                raise KeyboardInterrupt
            return written

        disk.write = interrupted
        bench = directory.process(disk=disk)
        bench.put("before")
        with pytest.raises(KeyboardInterrupt):
            bench.put("outer")
        bench.put("after")
        bench.run()
        assert directory.arrived == ["before", "outer", "after"]
        assert bench.stats.accepted == bench.stats.delivered == 3

    def test_after_ctrl_c_before_there_is_a_file_the_next_row_makes_one(self, directory):
        bench = directory.process()
        begin = bench.queue._store._directory.create_segment
        bench.queue._store._directory.create_segment = interrupted = Mock(side_effect=KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            bench.put("outer")
        assert interrupted.called
        bench.queue._store._directory.create_segment = begin
        bench.put("after")
        bench.run()
        assert directory.arrived == ["after"]
        assert bench.stats.accepted == bench.stats.delivered == 1

    def test_a_flush_that_interrupts_a_log_call_does_not_wait_for_a_search_for_orphans(self, directory):
        bench = directory.process()
        bench.put("a")
        with ownership_held(bench), bench.queue.lock:
            bench.queue.make_all_due()
        bench.run()
        assert directory.arrived == ["a"]

    def test_the_writing_owner_is_created_only_once(self, directory):
        bench = directory.process()
        assert bench.queue._store._writer._ensure_owner()
        assert bench.queue._store._writer._ensure_owner()
        assert len(bench.queue._store.ownership.owners) == 1

    def test_rows_that_go_through_memory_share_batches_while_the_disk_is_full(self, directory):
        """They take as many requests as without a spool, not one request each."""
        disk = CrashingDisk({})
        bench = directory.process(disk=disk)
        bench.put("on disk")
        disk.room = 0
        bench.put(*(f"in memory {number}" for number in range(50)))
        assert bench.stats.queued == 50
        bench.run()
        assert bench.stats.requests == 2
        disk.room = None
        bench.clock.advance(10)
        bench.put("on disk again")
        assert bench.stats.spooled == 1
        bench.run()
        assert directory.arrived[0] == "on disk"
        assert directory.arrived[-1] == "on disk again"
        assert len(directory.arrived) == 52

    @pytest.mark.parametrize("error", [RecursionError, KeyboardInterrupt])
    def test_a_segment_whose_wake_up_failed_wakes_a_listener_with_its_next_row(self, directory, error):
        """It failed because the stack was exhausted, or because of Ctrl-C."""
        wakes = []

        def wake():
            wakes.append(1)
            if len(wakes) == 1:
                raise error

        bench = directory.process(wake=wake)
        with suppress(KeyboardInterrupt):
            bench.put("first")
        bench.put("second", "third")
        assert len(wakes) == 2
        assert bench.stats.accepted == bench.stats.spooled == 3
        bench.run()
        assert directory.arrived == ["first", "second", "third"]

    def test_a_row_that_goes_through_memory_joins_no_batch_on_disk(self, directory, monkeypatch):
        """Another thread begins a segment after the write failed and before the row is put into memory."""
        bench = directory.process()
        bench.put("first")
        bench.queue._store._writer.seal()
        directory.locks()[0].unlink()
        in_memory = bench.queue._store._memory
        append = in_memory.append

        def late(row):
            monkeypatch.undo()
            thread = threading.Thread(target=bench.put, args=["theirs"])
            thread.start()
            thread.join()
            return append(row)

        monkeypatch.setattr(in_memory, "append", late)
        bench.put("mine")
        assert (bench.stats.spooled, bench.stats.queued) == (2, 1)
        bench.run()
        assert sorted(directory.arrived) == ["first", "mine", "theirs"]
        assert (bench.stats.spooled, bench.stats.queued) == (0, 0)

    def test_a_batch_is_settled_once(self, directory):
        bench = directory.process()
        bench.put("row")
        taken = bench.queue.take(1e9, is_due=True)
        bench.queue.settle(taken)
        bench.queue.settle(taken)
        assert bench.stats.delivered == 1

    @pytest.mark.parametrize(("before", "act"), CASES.values(), ids=CASES)
    def test_a_signal_handler_that_logs_at_any_point_of_a_spool_write_harms_no_row(self, tmp_path, before, act):
        was_interrupted = []
        for place in self.places(tmp_path, before, act):
            with self.bench(tmp_path, before, place) as (bench, disk):

                def log(bench=bench, place=place):
                    was_interrupted.append(place)
                    assert bench.stats.accepted >= 0
                    bench.put(line("inner", 60), line("inner", 3_000))

                at(MODULES, place, log, lambda bench=bench: act(bench))
                if place not in was_interrupted:  # a run may have a place less than the one they were counted in
                    continue
                disk.room = None
                assert bench.stats.accepted == max(0, before) + 2 + ("put" in act.__code__.co_names), place
                for taken in list(bench.queue._backlog._taken):
                    bench.queue.settle(taken)
                bench.run()
                arrived = messages(bench.destination.rows)
                assert arrived.count("inner") == 2 or act.__code__.co_names[-1] in {"settle", "take"}, place
                assert bench.stats.accepted == bench.stats.delivered, place
        assert len(was_interrupted) > 2

    @pytest.mark.parametrize(("before", "act"), list(CASES.values())[:3], ids=list(CASES)[:3])
    def test_an_exception_at_any_point_of_a_spool_write_leaves_the_row_in_or_out(self, tmp_path, before, act):
        def interrupt():
            raise KeyboardInterrupt

        was_interrupted = []
        for place in self.places(tmp_path, before, act):
            with self.bench(tmp_path, before, place) as (bench, _):
                # As above.
                with suppress(KeyboardInterrupt):
                    at(MODULES, place, interrupt, lambda bench=bench: act(bench))
                    continue
                was_interrupted.append(place)
                assert bench.put("next") == [True], "and it goes on"
                bench.run()
                stats = bench.stats
                assert stats.accepted == stats.delivered + sum(stats.dropped.values()), place
                assert stats.delivered in {before + 1, before + 2}, place
                assert messages(bench.destination.rows).count("next") == 1
        assert len(was_interrupted) > 2
