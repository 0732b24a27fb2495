"""The rows that a draining queue, a closed one and the ownership lock leave to the next process."""

# ruff: noqa: SLF001 - what must hold inside, at any moment

import errno
import os
import threading
import time

import pytest

from logging_azmon._spool import ownership
from support.crashing import CrashingDisk
from support.delivering import line
from support.pipelines import LIMIT_SECONDS
from support.spools import AWAY, held, ownership_held


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

    def test_a_first_row_goes_through_memory_at_once_during_a_search_for_orphans(self, directory):
        """A search may take long, and a log call never waits for it; the next row after it is on disk again."""
        bench = directory.process()
        begun = time.monotonic()
        with ownership_held(bench):
            assert bench.put("first") == [True]
            assert time.monotonic() - begun < 0.8 * ownership._LOCK_SECONDS
        assert (bench.stats.queued, bench.stats.spooled) == (1, 0)
        bench.put("second")
        assert (bench.stats.queued, bench.stats.spooled) == (1, 1)

    def test_rows_that_are_logged_while_the_owner_is_created_are_on_disk(self, directory):
        """Their log calls wait for the one that creates it, and none of them goes through memory."""
        disk = CrashingDisk({})
        make, others = disk.make, []

        def slow(path):
            others.extend(threading.Thread(target=bench.put, args=(number,)) for number in range(8))
            for thread in others:
                thread.start()
            return make(path)

        disk.make = slow
        bench = directory.process(disk=disk)
        bench.put("first")
        for thread in others:
            thread.join(LIMIT_SECONDS)
        assert len(others) == 8
        assert (bench.stats.queued, bench.stats.spooled) == (0, 9)

    def test_a_row_that_interrupts_a_log_call_does_not_wait_for_the_owner_to_be_created(self, directory):
        """It holds the ledger's lock, so it goes through memory."""
        bench = directory.process()
        with held(bench.queue._store.ownership._creating), bench.queue.lock:
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
