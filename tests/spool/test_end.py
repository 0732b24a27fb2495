"""The rows that a draining queue, a closed one and the ownership lock leave to the next process."""

# ruff: noqa: SLF001 - what must hold inside, at any moment

import errno
import os

import pytest

from support.crashing import CrashingDisk
from support.delivering import line
from support.spools import AWAY, ownership_held


class TestTheEnd:
    def test_undelivered_rows_and_rows_after_close_stay_on_disk(self, directory):
        directory.destination.play(*[AWAY] * 99)
        bench = directory.process()
        bench.put("before")
        bench.run(3)
        bench.queue.begin_drain()
        assert bench.put("after close") == [True]
        assert bench.queue.open_since() is None
        bench.queue.close()
        assert bench.put("after the end") == [True]
        assert (bench.stats.accepted, bench.stats.spooled) == (3, 3)
        directory.end(bench)
        directory.destination.clear()
        after = directory.process()
        after.queue.make_all_due()
        after.run()
        assert directory.arrived == ["before", "after close", "after the end"]

    def test_rows_after_close_that_cannot_be_written_are_counted_as_lost(self, directory):
        disk = CrashingDisk({})
        bench = directory.process(disk=disk)
        bench.queue.begin_drain()
        disk.faults["make"] = errno.ENOSPC
        assert bench.put("late") == [False]
        assert bench.stats.dropped == {"after_close": 1}

    def test_batches_given_back_after_close_stay_on_disk(self, directory):
        directory.leave(line("left"))
        bench = directory.process()
        bench.put("mine")
        bench.queue.make_all_due()
        works = [bench.scheduler.next_batch()[0] for _ in range(2)]
        bench.queue.begin_drain()
        bench.queue.close()
        assert bench.stats.in_flight == 2
        directory.destination.play(AWAY, AWAY)
        for work in works:
            bench.delivery.deliver(*work)
        stats = bench.stats
        assert (stats.in_flight, stats.spooled, stats.handed_over) == (0, 1, 1)
        after = directory.process()
        after.queue.make_all_due()
        after.run()
        assert sorted(directory.arrived) == ["left", "mine"]

    def test_an_open_descriptor_is_closed_with_the_spool(self, directory):
        bench = directory.process()
        bench.put("row")
        fd = bench.queue._store._writer._open.stored.segment.fd
        directory.benches.remove(bench)
        bench.queue._store._writer.__del__()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)
        bench.queue._store._writer._open = None


class TestOwnershipLock:
    """Calls while another thread holds the ownership lock, such as one that looks for orphans."""

    def test_a_first_row_that_interrupts_a_log_call_goes_through_memory_while_the_lock_is_held(self, directory):
        bench = directory.process()
        with ownership_held(bench), bench.queue.lock:
            assert bench.put("row") == [True]
        assert (bench.stats.queued, bench.stats.spooled) == (1, 0)

    def test_owners_are_released_later_if_the_lock_is_held(self, directory):
        bench = directory.process()
        bench.put("row")
        bench.run()
        bench.queue.begin_drain()
        with ownership_held(bench), bench.queue.lock:
            bench.queue.release_ownership()
            assert len(directory.locks()) == 1
        bench.queue.release_ownership()
        assert directory.locks() == []


def test_a_row_whose_write_is_interrupted_by_close_is_counted(directory):
    """A signal handler closes the queue, so the write finds the descriptor closed."""
    disk = CrashingDisk({})
    write = disk.write

    def interrupted(fd, data):
        if b'"outer"' in data:
            bench.queue.begin_drain()
        return write(fd, data)

    disk.write = interrupted
    bench = directory.process(disk=disk)
    bench.put("before", "outer")
    bench.run()
    assert directory.arrived == ["before"]
    assert bench.stats.dropped == {"after_close": 1}
