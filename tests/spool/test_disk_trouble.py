"""A disk that is full, read-only or gone costs the rows concerned, and is reported."""

import errno
import os
import shutil
import subprocess
from contextlib import contextmanager

import pytest

from logging_azmon._spool.files import Files
from logging_azmon._spool.segment import new_owner
from logging_azmon.testing import Answer
from support.crashing import CrashingDisk
from support.delivering import line
from support.spools import AWAY, TARGET, text


class TestTrouble:
    def test_a_full_disk_sends_rows_through_memory_until_there_is_room(self, directory):
        disk = CrashingDisk({})
        bench = directory.process(disk=disk)
        bench.put("on disk")
        disk.room = 10
        assert bench.put("half a row is cut off again", "in memory") == [True, True]
        assert directory.segments()[0].read_bytes() == TARGET.header() + line("on disk")
        assert (bench.stats.spooled, bench.stats.queued) == (1, 2)
        disk.room = None
        directory.clock.advance(2)
        bench.put("on disk again")
        assert (bench.stats.spooled, bench.stats.queued) == (2, 2)
        assert "No space left on device" in text(bench)
        bench.run()
        assert directory.arrived == ["on disk", "half a row is cut off again", "in memory", "on disk again"]
        assert bench.stats.dropped == {}

    def test_trouble_with_the_disk_is_reported_once_a_minute(self, directory):
        disk = CrashingDisk({})
        bench = directory.process(disk=disk)
        disk.faults["make"] = errno.EROFS
        for _ in range(100):
            bench.put("row")
            directory.clock.advance(1.5)
            bench.queue.refresh(bench.clock.monotonic())
        assert len(bench.reported("spool")) == 3
        assert "Read-only file system" in bench.reported("spool")[0]

    @pytest.mark.parametrize("step", ["make", "lock", "create", "write", "truncate", "close", "entries"])
    def test_rows_arrive_even_if_any_one_file_operation_fails(self, directory, step):
        disk = CrashingDisk({})
        bench = directory.process(disk=disk)
        if step in {"truncate", "close"}:
            bench.put("first")
            disk.room = 3
        disk.faults[step] = errno.EIO
        bench.put(*range(300))
        disk.faults.clear()
        disk.room = None
        bench.run()
        assert set(directory.arrived) >= {str(number) for number in range(300)}
        assert set(bench.stats.dropped) <= {"torn"}

    def test_a_row_that_cannot_be_synced_is_kept_and_the_failure_reported(self, directory):
        disk = CrashingDisk({})
        bench = directory.process(disk=disk, spool_fsync="row")
        bench.put("first")
        disk.faults["sync"] = errno.EIO
        bench.put("second")
        assert "Input/output error" in text(bench)
        disk.faults.clear()
        bench.run()
        assert directory.arrived == ["first", "second"]

    def test_a_file_removed_while_the_directory_is_read_is_not_listed(self, tmp_path, monkeypatch):
        tmp_path.joinpath("gone").touch()
        real = os.scandir

        @contextmanager
        def scandir(path):
            with real(path) as entries:
                found = list(entries)
            tmp_path.joinpath("gone").unlink()
            yield found

        monkeypatch.setattr(os, "scandir", scandir)
        assert Files().entries(str(tmp_path)) == {}

    def test_rows_go_through_memory_if_no_lock_can_be_taken(self, directory):
        class NoLocks(Files):
            def lock(self, path, seconds=0.0):
                return None

        bench = directory.process(disk=NoLocks())
        bench.put("row")
        assert "no lock can be taken" in text(bench)
        bench.run()
        assert directory.arrived == ["row"]

    def test_a_segment_that_cannot_be_removed_is_reported(self, directory):
        disk = CrashingDisk({})
        bench = directory.process(disk=disk)
        bench.put("row")
        disk.faults["remove"] = errno.EROFS
        bench.run()
        assert directory.arrived == ["row"]
        assert "is delivered, but cannot be removed" in text(bench)

    def test_a_lock_that_cannot_be_released_is_reported(self, directory):
        disk = CrashingDisk({})
        bench = directory.process(disk=disk)
        bench.put("row")
        bench.run()
        disk.faults["release"] = errno.EIO
        bench.queue.begin_drain()
        bench.queue.close()
        disk.faults.clear()
        assert "cannot be released" in text(bench)

    def test_a_deleted_directory_loses_the_sealed_segments_and_no_other_rows(self, directory):
        """Rows of the open file are read through its descriptor; then a new directory is created."""
        bench = directory.process()
        bench.put(*range(300))
        sealed = sum(path.read_bytes().count(b"\n") - 1 for path in directory.segments()[:-1])
        shutil.rmtree(directory.path)
        bench.put("still")
        bench.run()
        bench.put("memory")
        directory.clock.advance(2)
        bench.put("new")
        assert len(directory.segments()) == 1
        bench.run()
        assert directory.arrived == [*[str(number) for number in range(sealed, 300)], "still", "memory", "new"]
        assert bench.stats.dropped == {"unreadable": sealed}
        assert "cannot be read" in text(bench, "lost")

    def test_a_segment_deleted_while_it_fills_loses_no_row(self, directory):
        bench = directory.process()
        bench.put(*range(20))
        directory.segments()[0].unlink()
        bench.put(*range(20, 300))
        bench.run()
        assert directory.arrived == [str(number) for number in range(300)]

    def test_a_tmpfs_that_fills_up_and_is_emptied_again_loses_no_row(self, directory):
        """The disk is real, of 2 MB: rows that do not fit go through memory."""
        directory.path.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", directory.path], capture_output=True, check=False
        )
        if mounted.returncode:
            pytest.skip("this user may not mount")
        try:
            filler = directory.path / "somebody's"
            filler.write_bytes(b"x" * 1_500_000)
            bench = directory.process(batch_bytes=100_000)
            for number in range(2_000):
                bench.put(line(number, 500))
            stats = bench.stats
            assert stats.spooled > 500
            assert stats.queued > 500
            filler.unlink()
            directory.clock.advance(2)
            bench.put(line(2_000, 500))
            assert bench.stats.spooled == stats.spooled + 1
            bench.run()
            assert sorted(map(int, directory.arrived)) == list(range(2_001))
            assert bench.stats.dropped == {}
            bench.queue.begin_drain()
            bench.queue.close()
        finally:
            subprocess.run(["umount", directory.path], check=True)

    def test_batches_in_memory_are_retried_and_divided_as_without_a_spool(self, directory):
        disk = CrashingDisk({})
        disk.faults["create"] = errno.EROFS
        bench = directory.process(disk=disk)
        bench.put(*range(20))
        directory.destination.play(AWAY, Answer(status=413))
        bench.run()
        assert directory.arrived == [str(number) for number in range(20)]

    def test_rows_in_memory_are_bounded_by_queue_bytes_while_the_disk_fails(self, directory):
        disk = CrashingDisk({})
        bench = directory.process(disk=disk, overflow="drop_old", queue_bytes=8_192)
        bench.put("on disk")
        disk.faults["create"] = disk.faults["write"] = errno.EROFS
        bench.put(*range(1_000))
        stats = bench.stats
        assert stats.spooled == 1
        assert stats.dropped == {"queue_full": 1_000 - stats.queued}

    def test_a_torn_file_that_cannot_be_removed_does_not_hold_up_other_orphans(self, directory):
        directory.leave(header=b"torn")
        directory.leave(line("good"))
        disk = CrashingDisk({})
        disk.faults["remove"] = errno.EROFS
        bench = directory.process(disk=disk)
        bench.queue.make_all_due()
        bench.run(20)
        assert directory.arrived == ["good"]

    def test_a_search_for_orphans_that_fails_keeps_no_lock(self, directory):
        """It fails in the middle of an owner's segments, or before there are any."""
        owner = new_owner()
        for number in (1, 2):
            directory.leave(line(f"good {number}"), owner=owner, number=number)
        disk = CrashingDisk({})
        reads = []

        def read(fd, start, length):
            reads.append(fd)
            if len(reads) == 2:
                raise OSError(errno.ENOMEM, "no memory")
            return Files.read(disk, fd, start, length)

        disk.read = read
        bench = directory.process(disk=disk)
        bench.queue.make_all_due()
        assert disk.locks == {}
        assert "cannot be searched" in text(bench)
        disk.faults["entries"] = errno.EIO
        bench.queue.make_all_due()
        assert disk.locks == {}
        disk.faults.clear()
        bench.queue.make_all_due()
        bench.run()
        assert directory.arrived == ["good 1", "good 2"]

    def test_appending_to_a_file_is_all_or_nothing(self, tmp_path):
        class Short(Files):
            @staticmethod
            def write(fd, data):
                return os.write(fd, data[:3])

        Files().append(str(tmp_path / "file"), b"whole\n")
        with pytest.raises(OSError, match="No space left"):
            Short().append(str(tmp_path / "file"), b"half\n")
        assert tmp_path.joinpath("file").read_bytes() == b"whole\n"
