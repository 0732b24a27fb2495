"""The queue on disk: the contents of the files, their owners, and the rows that survive failures."""

# ruff: noqa: SLF001 - looks at what is open

import _strptime
import errno
import json
import os
import shutil
import stat
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from unittest.mock import Mock

import pytest

from logging_azmon._queue import backlog, batch, batch_queue, ledger, memory_store, overflow
from logging_azmon._spool import files as files_module
from logging_azmon._spool import notes, ownership, recovery, segment_writer, space, spool_store
from logging_azmon._spool.files import Files, trusted
from logging_azmon._spool.recovery import MAX_ADOPTED
from logging_azmon._spool.segment import Target, begun_at, new_owner, segment_name
from logging_azmon.testing import Answer, FakeDestination, ManualClock
from support.crashing import CrashingDisk
from support.delivering import AZURE, Bench, line, messages
from support.interrupting import at

BATCH_BYTES = 4_096
TARGET = Target(endpoint=AZURE["endpoint"], rule_id=AZURE["rule_id"], stream=AZURE["stream"], cloud="public")
OTHER = Target(endpoint=AZURE["endpoint"], rule_id=AZURE["rule_id"], stream="Custom-Other_CL", cloud="public")
AWAY = Answer(status=503)
LONG_AGO = 1_700_000_000.0
SMALL = {"spool_bytes": 32_768}


class Directory:
    """Hold a spool's directory, its processes, and the service that they send to."""

    def __init__(self, path):
        self.path = path
        self.destination = FakeDestination()
        self.clock = ManualClock(jumps=True)
        self.benches = []

    def process(self, **options):
        options = {"destination": self.destination, "clock": self.clock, "batch_bytes": BATCH_BYTES} | options
        bench = Bench(spool=str(self.path), **options)
        self.benches.append(bench)
        return bench

    def end(self, bench):
        """End like a killed process: its locks are free, its files stay."""
        self.benches.remove(bench)
        if bench.queue._store._writer._open is not None:
            os.close(bench.queue._store._writer._open.stored.segment.fd)
            bench.queue._store._writer._open = None
        for owner in bench.queue._store.ownership.owners.values():
            owner._lock.release()

    def segments(self):
        return sorted(self.path.glob("*-*.ndjson"))

    def locks(self):
        return list(self.path.glob("*.lock"))

    def leave(self, *rows, target=TARGET, owner=None, number=1, header=None, when=LONG_AGO):
        """Write a segment of a dead owner."""
        self.path.mkdir(exist_ok=True)
        path = self.path / segment_name(when, owner or new_owner(), number)
        path.write_bytes((target.header() if header is None else header) + b"".join(rows))
        return path

    @property
    def arrived(self):
        return [message for message in messages(self.destination.rows) if " dropped: " not in message]


@pytest.fixture
def directory(tmp_path):
    directory = Directory(tmp_path / "spool")
    yield directory
    for bench in directory.benches:
        bench.queue.close()
        bench.queue.abandon("closed")
    directory.destination.check()


def text(bench, kind="spool"):
    bench.queue.refresh(bench.clock.monotonic())
    return "\n".join(bench.reported(kind))


class TestFiles:
    def test_a_row_is_in_a_file_before_put_returns(self, directory):
        """A file has a header line and one line per row, so that `cat`, `jq` and `grep` can read it."""
        bench = directory.process()
        assert bench.put("a") == [True]
        (path,) = directory.segments()
        head, row = path.read_text().splitlines()
        assert json.loads(head) == {"logging_azmon_spool": 1, **AZURE, "cloud": "public"}
        assert json.loads(row) == {"Message": "a"}
        assert (bench.stats.accepted, bench.stats.spooled, bench.stats.queued) == (1, 1, 0)

    def test_only_their_user_may_read_spool_files(self, directory):
        directory.process().put("a")
        directory.destination.play(Answer(status=400, code="X"))
        directory.benches[0].run()
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.path.rglob("*")}
        assert stat.S_IMODE(directory.path.stat().st_mode) == modes.pop("rejected") == 0o700
        assert set(modes.values()) == {0o600}

    def test_delivered_segments_are_removed_and_the_lock_file_after_the_last(self, directory):
        bench = directory.process()
        bench.put(*range(300))
        assert len(directory.segments()) > 1
        assert len(directory.locks()) == 1
        bench.run()
        assert directory.segments() == []
        assert directory.arrived == [str(number) for number in range(300)]
        assert all(
            sum(len(line(row["Message"])) for row in rows) < BATCH_BYTES for rows in directory.destination.batches
        )
        bench.queue.close()
        bench.queue.abandon("closed")
        assert directory.locks() == []

    @pytest.mark.parametrize(
        ("mode", "whose"), [(0o755, {1, 0, 7}), (0o777, {1, 0, 7}), (0o1755, {1, 0, 7}), (0o1777, {1, 0})]
    )
    def test_trusted_users_are_the_process_user_root_and_the_directorys_owner(self, mode, whose):
        """The directory's owner is not trusted if any user may have created the directory."""
        directory, parent = (os.stat_result((each, 0, 0, 1, 7, 0, 0, 0, 0, 0)) for each in (0o700, mode))
        assert trusted(1, directory, parent) == whose

    @pytest.mark.parametrize("is_directorys", [True, False])
    def test_files_of_another_user_are_read_only_in_that_users_directory(self, directory, monkeypatch, is_directorys):
        path = directory.leave(line("theirs"))
        monkeypatch.setattr(files_module, "_trusted_at", lambda _: {path.stat().st_uid} if is_directorys else {-1})
        monkeypatch.setattr(Files, "make", lambda _, directory: None)
        bench = directory.process()
        bench.queue.make_all_due()
        bench.run(100)
        assert directory.arrived == ["theirs"] * is_directorys
        assert path.exists() is not is_directorys

    def test_a_directory_of_another_user_in_a_world_writable_directory_is_not_used(self, directory, monkeypatch):
        monkeypatch.setattr(files_module, "_trusted_at", lambda _: {-1})
        bench = directory.process()
        assert bench.put("a") == [True]
        assert "belongs to another user" in text(bench)
        assert (bench.stats.queued, bench.stats.spooled) == (1, 0)

    def test_no_directory_is_made_before_the_first_row(self, directory):
        directory.process().run()
        assert not directory.path.exists()

    def test_a_row_longer_than_a_batch_gets_a_segment_of_its_own(self, directory):
        bench = directory.process()
        bench.put(line("long", 9_000), "short")
        bench.run()
        assert directory.arrived == ["long", "short"]

    @pytest.mark.parametrize(("fsync", "syncs"), [("never", 0), ("batch", 4), ("row", 304)])
    def test_files_are_synced_as_often_as_spool_fsync_says(self, directory, fsync, syncs):
        disk = CrashingDisk({})
        synced = []
        disk.sync = disk.sync_directory = synced.append
        bench = directory.process(disk=disk, spool_fsync=fsync, batch_bytes=10_000)
        bench.put(*range(300))
        assert len(directory.segments()) == 1 + 1 * (len(line(299)) * 300 > 9_999)
        bench.run()
        rows = 300 if fsync == "row" else 0
        files = 0 if fsync == "never" else len(directory.destination.batches)
        assert len([each for each in synced if isinstance(each, int)]) == rows + files
        assert len([each for each in synced if isinstance(each, str)]) == files

    def test_memory_holds_no_rows_however_many_wait_on_disk(self, directory):
        bench = directory.process()
        bench.put(*range(2_000))
        assert all(not batch.data for batch in bench.queue._backlog.waiting)
        assert len(bench.queue._backlog.waiting) < 20


class TestOrphans:
    def test_orphans_are_delivered_by_the_next_process_oldest_first(self, directory):
        first = directory.process()
        first.put(*range(300))
        directory.end(first)
        second = directory.process()
        second.put("new")
        second.run()
        assert directory.arrived == [*[str(number) for number in range(300)], "new"]
        stats = second.stats
        assert (stats.accepted, stats.adopted, stats.delivered) == (1, 300, 301)
        assert directory.segments() == []

    def test_segments_of_a_living_process_are_not_adopted(self, directory):
        first, second = directory.process(), directory.process()
        first.put("first")
        second.put("second")
        second.run(20)
        assert directory.arrived == ["second"]
        assert len(directory.segments()) == 1

    def test_orphans_are_adopted_by_one_process_at_a_time(self, directory):
        dead = directory.process()
        dead.put(*range(300))
        directory.end(dead)
        benches = [directory.process() for _ in range(3)]
        for bench in benches:
            bench.queue.make_all_due()
        for bench in benches:
            bench.run(20)
        assert sorted(map(int, directory.arrived)) == list(range(300))
        assert sorted(bench.stats.adopted for bench in benches) == [0, 0, 300]

    def test_orphans_are_looked_for_periodically(self, directory):
        bench = directory.process()
        bench.put("first")
        bench.run()
        directory.leave(line("left"))
        for _ in range(4):
            directory.clock.advance(bench.step())
        assert directory.arrived == ["first", "left"]

    def test_many_dead_owners_are_adopted_a_few_at_a_time(self, directory):
        """Each adopted owner's lock takes a descriptor."""
        for number in range(3 * MAX_ADOPTED):
            directory.leave(line(number), when=LONG_AGO + number)
        bench = directory.process()
        bench.queue.make_all_due()
        bench.queue.make_all_due()
        assert len(bench.queue._store.ownership.owners) == MAX_ADOPTED + 1
        bench.run(400)
        for _ in range(10):
            directory.clock.advance(bench.step())
        assert directory.arrived == [str(number) for number in range(3 * MAX_ADOPTED)]
        assert directory.locks() == []

    def test_rows_that_a_flush_waits_for_are_sent_before_adopted_ones(self, directory):
        dead = directory.process()
        dead.put(*range(1_000))
        directory.end(dead)
        bench = directory.process()
        bench.put("mine")
        mark = bench.queue.make_all_due()
        bench.step()
        assert directory.arrived == ["mine"]
        assert bench.queue.is_settled(mark)
        bench.run()
        assert len(directory.arrived) == 1_001

    def test_adopted_segments_are_divided_to_fit_batch_bytes(self, directory):
        """A process with larger batches left them; even rows that are longer than a batch are sent."""
        rows = [line(number, 100) for number in range(200)] + [line("long", 3 * BATCH_BYTES), line("last")]
        directory.leave(*rows)
        bench = directory.process()
        bench.queue.make_all_due()
        bench.run()
        assert directory.arrived == [*[str(number) for number in range(200)], "long", "last"]
        assert bench.stats.adopted == 202
        assert directory.segments() == []
        assert {len(rows) for rows in directory.destination.batches if len(rows) > BATCH_BYTES // 100} == set()

    def test_adopted_rows_not_delivered_at_the_end_are_handed_over(self, directory):
        directory.leave(line("left"))
        bench = directory.process()
        bench.put("mine")
        directory.destination.play(*[AWAY] * 99)
        bench.run(5)
        bench.queue.close()
        bench.queue.abandon("closed")
        stats = bench.stats
        assert (stats.adopted, stats.handed_over, stats.spooled) == (1, 1, 1)
        directory.destination._script.clear()
        after = directory.process()
        after.queue.make_all_due()
        after.run()
        assert sorted(directory.arrived) == ["left", "mine"]

    def test_rows_older_than_two_days_are_delivered_unchanged_and_reported(self, directory):
        row = line("old", TimeGenerated="2023-11-14T22:13:20.000000Z")
        directory.leave(row)
        bench = directory.process()
        bench.queue.make_all_due()
        bench.run()
        assert directory.destination.rows == [json.loads(row)]
        assert "older than two days: the service replaces their TimeGenerated" in text(bench)

    def test_segments_for_another_target_are_left_alone_and_reported_once(self, directory):
        """A directory may be used by two applications with different rules."""
        path = directory.leave(line("other"), target=OTHER)
        mine, theirs = directory.process(), directory.process(stream=OTHER.stream, destination=FakeDestination())
        mine.put("mine")
        mine.run()
        assert directory.arrived == ["mine"]
        assert path.exists()
        assert text(mine).count("1 of the files") == 1
        directory.clock.advance(1_000)
        mine.queue.make_all_due()
        assert text(mine).count("of the files") == 1
        theirs.queue.make_all_due()
        theirs.run()
        assert messages(theirs.destination.rows) == ["other"]
        assert not path.exists()


GOOD = line("good")


def pipe(directory):
    os.mkfifo(directory.path / segment_name(LONG_AGO, new_owner(), 1))


def folder(directory):
    (directory.path / segment_name(LONG_AGO, new_owner(), 1)).mkdir()


def link(directory):
    target = directory.path / "elsewhere"
    target.write_bytes(TARGET.header() + line("not mine"))
    (directory.path / segment_name(LONG_AGO, new_owner(), 1)).symlink_to(target)


def binary(directory):
    directory.leave(GOOD, b"\0" * 4_096 + b"\n", os.urandom(900).replace(b"\n", b"") + b"\n", GOOD)


def undated(directory):
    directory.leave(GOOD).rename(directory.path / f"20261399T000000.000000Z-{new_owner()}-000001.ndjson")


# A file, how many of its rows arrive, and whether it stays there.
FOREIGN = {
    "torn": (lambda d: d.leave(GOOD, GOOD, b'{"Message":"to'), 2, False),
    "empty": (lambda d: d.leave(header=b""), 0, False),
    "only a first line": (lambda d: d.leave(), 0, False),
    "torn in the first line": (lambda d: d.leave(header=b'{"logging_azmon_sp'), 0, False),
    "binary in the middle": (binary, 2, False),
    "JSON, but no rows": (lambda d: d.leave(b"1\n", b"[]\n", b'{"a":\r1}\n', b'{"a"\n', GOOD), 1, False),
    "binary": (lambda d: d.leave(header=os.urandom(20_000)), 0, True),
    "another version": (lambda d: d.leave(GOOD, header=TARGET.header().replace(b":1,", b":2,")), 0, True),
    "another format": (lambda d: d.leave(GOOD, header=b"{}\n"), 0, True),
    "not JSON": (lambda d: d.leave(GOOD, header=b"hello\n"), 0, True),
    "no target": (lambda d: d.leave(GOOD, header=b'{"logging_azmon_spool":1,"endpoint":1}\n'), 0, True),
    "a file of another program": (lambda d: (d.path / "notes.ndjson").write_text("hello\n"), 0, True),
    "a day that never was": (undated, 1, False),
    "a pipe": (pipe, 0, True),
    "a directory": (folder, 0, True),
    "a link": (link, 0, True),
    "the lock of a dead owner": (lambda d: (d.path / f"{new_owner()}.lock").touch(), 0, False),
}  # fmt: skip


class TestForeignFiles:
    @pytest.mark.parametrize(("make", "rows", "stays"), FOREIGN.values(), ids=FOREIGN)
    def test_a_spoiled_or_foreign_file_affects_only_its_own_rows(self, directory, make, rows, stays):
        directory.path.mkdir()
        make(directory)
        there = {path.name for path in directory.path.iterdir()}
        bench = directory.process()
        bench.put("mine")
        bench.queue.make_all_due()
        bench.run(100)
        assert directory.arrived == ["good"] * rows + ["mine"] or directory.arrived == ["mine"] + ["good"] * rows
        assert bench.stats.adopted - sum(bench.stats.dropped.values()) == rows
        assert {path.name for path in directory.path.iterdir() if path.suffix != ".lock"} == (there if stays else set())

    def test_torn_rows_are_counted_and_reported(self, directory):
        directory.leave(GOOD, b'{"Message":"to')
        directory.leave(GOOD, b"\0\0\0\n", GOOD)
        bench = directory.process()
        bench.queue.make_all_due()
        bench.run()
        assert bench.stats.dropped == {"torn": 2}
        assert "1 row of a process that was killed could not be read" in text(bench, "lost")

    def test_torn_rows_are_counted_once_however_often_their_batch_is_retried(self, directory):
        directory.leave(GOOD, b"\0\0\0\n", GOOD, b'{"Message":"to')
        directory.destination.play(AWAY, AWAY, AWAY)
        bench = directory.process()
        bench.queue.make_all_due()
        bench.run()
        assert (bench.stats.adopted, bench.stats.dropped) == (4, {"torn": 2})

    def test_an_owner_lock_that_cannot_be_taken_does_not_hold_up_other_orphans(self, directory):
        """It may be a directory, or a file of a user with whom the spool is no longer shared."""
        owner = new_owner()
        path = directory.leave(GOOD, owner=owner, when=LONG_AGO - 1)
        (directory.path / f"{owner}.lock").mkdir()
        directory.leave(line("another"))
        bench = directory.process()
        bench.queue.make_all_due()
        bench.run(100)
        assert directory.arrived == ["another"]
        assert f"{owner}.lock" in text(bench)
        assert path.exists()

    def test_a_segment_with_a_line_too_long_for_a_row_is_left_alone(self, directory, monkeypatch):
        monkeypatch.setattr(recovery, "MAX_ROW_BYTES", 20_000)
        path = directory.leave(b"x" * 100_000 + b"\n")
        bench = directory.process()
        bench.queue.make_all_due()
        bench.run(100)
        assert "holds a line that is too long for a row" in text(bench)
        assert path.exists()

    @pytest.mark.parametrize("step", ["open", "read"])
    def test_a_segment_that_cannot_be_read_is_left_alone(self, directory, step):
        path = directory.leave(GOOD)
        disk = CrashingDisk({})
        bench = directory.process(disk=disk)
        disk.faults[step] = errno.EIO
        bench.queue.make_all_due()
        disk.faults.clear()
        bench.put("mine")
        bench.run(100)
        assert directory.arrived == ["mine"]
        assert path.exists()

    def test_own_rows_that_cannot_be_read_back_are_counted_as_lost(self, directory):
        disk = CrashingDisk({})
        bench = directory.process(disk=disk)
        bench.put(*range(300))
        disk.faults["open"] = errno.EIO
        bench.run(100)
        assert bench.stats.dropped["unreadable"] + len(directory.arrived) == 300
        assert "rows in the spool cannot be read" in text(bench, "lost")

    @pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
    def test_segments_wait_while_the_process_has_too_many_open_files(self, directory, number):
        """The error says nothing about the segments: neither own nor adopted rows are given up."""
        disk = CrashingDisk({})
        bench = directory.process(disk=disk)
        bench.put(*range(300))
        directory.leave(line("left"))
        disk.faults["open"] = number
        bench.queue.make_all_due()
        assert bench.steps() <= 1, "what is written now is open already"
        assert text(bench)
        disk.faults.clear()
        directory.clock.advance(recovery.LOOK_SECONDS)
        bench.queue.make_all_due()
        bench.run()
        assert sorted(directory.arrived) == sorted([*map(str, range(300)), "left"])
        assert bench.stats.dropped == {}

    def test_rows_truncated_from_a_segment_are_counted_as_torn(self, directory):
        bench = directory.process()
        bench.put(*range(10))
        os.truncate(directory.segments()[0], len(TARGET.header()) + len(line(0)) * 4 + 3)
        bench.run()
        assert directory.arrived == ["0", "1", "2", "3"]
        # The truncated row is one of the seven: six are missing, and half of one is left.
        assert bench.stats.dropped == {"torn": 7}


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
        bench.queue.close()
        bench.queue.abandon("closed")
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
            bench.queue.close()
            bench.queue.abandon("closed")
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
        directory.leave(line("good"))
        disk = CrashingDisk({})
        looks = []

        def entries(path):
            looks.append(path)
            if len(looks) == 2:
                raise OSError(errno.EIO, "broken")
            return Files.entries(disk, path)

        disk.entries = entries
        bench = directory.process(disk=disk)
        bench.queue.make_all_due()
        assert disk.locks == {}
        assert "cannot be searched" in text(bench)
        bench.queue.make_all_due()
        bench.run()
        assert directory.arrived == ["good"]

    def test_appending_to_a_file_is_all_or_nothing(self, tmp_path):
        class Short(Files):
            @staticmethod
            def write(fd, data):
                return os.write(fd, data[:3])

        Files().append(str(tmp_path / "file"), b"whole\n")
        with pytest.raises(OSError, match="No space left"):
            Short().append(str(tmp_path / "file"), b"half\n")
        assert tmp_path.joinpath("file").read_bytes() == b"whole\n"


class TestBound:
    def used(self, directory):
        return sum(path.stat().st_size for path in directory.path.rglob("*") if path.is_file())

    def fill(self, directory, **options):
        bench = directory.process(**SMALL, **options)
        for number in range(1_000):
            bench.put(line(number, 100))
            if number % 50 == 0:
                assert self.used(directory) <= 32_768
        assert self.used(directory) > 20_000
        return bench

    def test_drop_new_keeps_the_oldest_rows(self, directory):
        bench = self.fill(directory)
        stats = bench.stats
        assert stats.dropped == {"spool_full": 1_000 - stats.spooled}
        bench.run()
        assert directory.arrived == [str(number) for number in range(stats.spooled)]
        assert "rows dropped: spool_full" in directory.destination.rows[-1]["Message"]

    def test_drop_old_keeps_the_newest_rows(self, directory):
        bench = self.fill(directory, overflow="drop_old")
        stats = bench.stats
        assert stats.dropped == {"spool_full": 1_000 - stats.spooled}
        bench.run()
        assert directory.arrived == [str(number) for number in range(1_000 - stats.spooled, 1_000)]

    def test_drop_old_drops_adopted_rows_before_the_pipelines_own(self, directory):
        directory.leave(*[line(f"left {number}", 100) for number in range(30)])
        bench = directory.process(**SMALL, overflow="drop_old")
        bench.queue.make_all_due()
        bench.put(*[line(number, 100) for number in range(400)])
        assert bench.stats.dropped["spool_full"] >= 30
        assert bench.stats.adopted == 30

    def test_drop_old_drops_as_many_small_segments_as_a_new_one_needs(self, directory):
        """The new row is accepted although dead processes left many small segments."""
        for number in range(8):
            directory.leave(line(f"left {number}", 500))
        bench = directory.process(**SMALL, overflow="drop_old")
        bench.queue.make_all_due()

        assert all(bench.put(*[line(number, 100) for number in range(400)]))

    def test_drop_old_drops_nothing_if_other_processes_leave_no_room(self, directory):
        """Dropping its own rows would not help, so the new row is dropped."""
        mine = directory.process(**SMALL, overflow="drop_old")
        mine.put("kept")
        self.fill(directory)
        directory.clock.advance(10)
        size = BATCH_BYTES

        assert mine.put(*[line(number, size) for number in range(2)])[-1] is False
        assert mine.stats.spooled >= 1

    def test_drop_old_drops_no_row_in_flight(self, directory):
        bench = directory.process(**SMALL, overflow="drop_old")
        bench.put(*[line(number, 100) for number in range(300)])
        for _ in range(bench.stats.spooled):
            bench.scheduler.next_batch()
        taken = bench.stats.in_flight
        assert taken
        for number in range(300, 900):
            bench.put(line(number, 100))
        assert bench.stats.in_flight == taken
        assert bench.stats.dropped["spool_full"] > 0

    def test_a_segment_counts_with_its_actual_size_once_it_was_taken(self, directory):
        """If it counted with its maximum size, a long outage with few rows would fill the directory."""
        bench = directory.process(**SMALL)
        for number in range(100):
            directory.destination.play(AWAY)
            bench.put(number)
            bench.scheduler.end_pauses()
            directory.clock.advance(60)
            bench.step()
        assert bench.stats.dropped == {}
        assert bench.stats.spooled == 100

    def test_drop_old_drops_no_row_of_other_processes(self, directory):
        first = self.fill(directory)
        second = directory.process(**SMALL, overflow="drop_old")
        assert second.put("no room") == [False]
        assert first.stats.spooled > 100

    def test_block_waits_for_room_in_the_spool(self, directory):
        bench = directory.process(**SMALL, overflow="block", block_seconds=0.5)
        before = directory.clock.monotonic()
        bench.put(*[line(number, 100) for number in range(400)])
        assert directory.clock.monotonic() - before >= 0.5
        assert bench.stats.dropped["spool_full"] > 0
        bench.run()
        directory.clock.advance(2)
        assert bench.put("again") == [True]

    def test_segments_of_other_processes_count_against_the_bound(self, directory):
        first = self.fill(directory)
        second = directory.process(**SMALL)
        assert second.put("no room") == [False]
        first.run()
        directory.clock.advance(2)
        assert second.put("room") == [True]


class TestRejected:
    POISON = Answer(status=400, code="InvalidPayload", message="no")

    def test_rejected_rows_are_kept_with_the_services_answer(self, directory):
        directory.destination.play(self.POISON, self.POISON)
        bench = directory.process()
        bench.put("bad", "good")
        bench.run()
        (path,) = (directory.path / "rejected").glob("*.ndjson")
        (kept,) = map(json.loads, path.read_text().splitlines())
        assert kept["row"] == {"Message": "bad"}
        assert kept["target"] == {**AZURE, "cloud": "public"}
        assert (kept["answer"]["status"], kept["answer"]["code"], kept["answer"]["message"]) == (
            400,
            "InvalidPayload",
            "no",
        )
        assert kept["answer"]["time"].startswith("2027-01-15T")
        assert directory.arrived == ["good"]
        assert (bench.stats.rejected, bench.stats.delivered) == (1, 1)
        assert f"kept in {path}" in text(bench, "rejected")
        assert directory.segments() == []

    def test_rejected_rows_take_at_most_a_tenth_of_spool_bytes(self, directory):
        bench = directory.process(spool_bytes=32_768)
        for number in range(40):
            directory.destination.play(self.POISON)
            bench.put(line(number, 200))
            bench.run()
        assert sum(path.stat().st_size for path in (directory.path / "rejected").iterdir()) <= 3_276
        assert bench.stats.rejected == 40
        assert "is full: it may hold 3,276 bytes" in text(bench)

    def test_rejected_rows_are_only_reported_while_another_process_holds_their_lock(self, directory):
        disk = CrashingDisk({str(directory.path / "rejected" / "lock"): None})
        bench = directory.process(disk=disk)
        directory.destination.play(self.POISON)
        bench.put("bad")
        bench.run()
        assert "is locked by another process" in text(bench)
        assert [one.rows_json for one in bench.troubles if one.kind == "rejected"] == [line("bad")]

    def test_rejected_rows_that_went_through_memory_are_kept_as_well(self, directory):
        disk = CrashingDisk({})
        disk.faults["create"] = errno.ENOSPC
        bench = directory.process(disk=disk)
        bench.put("bad")
        bench.queue._store.ownership.writer = None
        directory.destination.play(self.POISON)
        bench.run()
        assert [path.name for path in (directory.path / "rejected").glob("*.ndjson")] == ["unspooled.ndjson"]


class TestDividing:
    def test_an_outage_during_the_delivery_of_parts_keeps_the_rest_on_disk(self, directory):
        """The undelivered rows get a file of their own, and the old one is removed."""
        bench = directory.process()
        bench.put(*range(100))
        directory.destination.play(Answer(status=413), Answer(status=204), AWAY)
        bench.run_until(lambda: directory.destination.rows)
        assert (bench.stats.delivered, bench.stats.spooled) == (50, 50)
        assert all(not batch.data for batch in bench.queue._backlog.waiting)
        (path,) = directory.segments()
        assert path.read_bytes().count(b"\n") == 51
        bench.run()
        assert directory.arrived == [str(number) for number in range(100)]
        assert directory.segments() == []

    @pytest.mark.parametrize("step", ["create", "write", "room"])
    def test_an_outage_during_the_delivery_of_parts_keeps_the_rest_in_memory_if_the_disk_fails(self, directory, step):
        disk = CrashingDisk({})
        bench = directory.process(disk=disk)
        bench.put(*range(100))

        def fail(_):
            if step == "room":
                disk.room = len(TARGET.header()) + 20
            else:
                disk.faults[step] = errno.ENOSPC
            return AWAY

        directory.destination.play(Answer(status=413), Answer(status=204), fail)
        bench.run_until(lambda: directory.destination.rows)
        assert bench.stats.spooled == 50
        (path,) = directory.segments()
        assert path.read_bytes().count(b"\n") == 101, "it is whole, for the case that this process dies"
        bench.run()
        assert directory.arrived == [str(number) for number in range(100)]
        assert directory.segments() == []

    def test_an_outage_during_the_delivery_of_parts_at_close_leaves_the_rest_to_the_next_process(self, directory):
        """Otherwise the next process would deliver the whole batch again."""
        bench = directory.process()
        bench.put(*range(100))
        bench.queue.close()
        directory.destination.play(Answer(status=413), Answer(status=204), AWAY)
        while not directory.destination.rows:
            directory.clock.advance(bench.step())
        bench.queue.abandon("closed")
        later = directory.process()
        later.queue.make_all_due()
        later.run()
        assert directory.arrived == [str(number) for number in range(100)]
        assert later.stats.adopted == bench.stats.spooled == 50

    def test_an_outage_during_the_delivery_of_parts_keeps_the_rest_even_without_a_writing_owner(self, directory):
        bench = directory.process()
        bench.put(*range(100))

        def vanish(_):
            bench.queue._store.ownership.writer = None
            return AWAY

        directory.destination.play(Answer(status=413), Answer(status=204), vanish)
        bench.run()
        assert directory.arrived == [str(number) for number in range(100)]
        assert directory.segments() == []


class TestTheEnd:
    def test_undelivered_rows_and_rows_after_close_stay_on_disk(self, directory):
        directory.destination.play(*[AWAY] * 99)
        bench = directory.process()
        bench.put("before")
        bench.run(3)
        bench.queue.close()
        assert bench.put("after close") == [True]
        assert bench.queue.open_since() is None
        bench.queue.abandon("closed")
        assert bench.put("after the end") == [True]
        assert (bench.stats.accepted, bench.stats.spooled) == (3, 3)
        directory.end(bench)
        directory.destination._script.clear()
        after = directory.process()
        after.queue.make_all_due()
        after.run()
        assert directory.arrived == ["before", "after close", "after the end"]

    def test_rows_after_close_that_cannot_be_written_are_counted_as_lost(self, directory):
        disk = CrashingDisk({})
        bench = directory.process(disk=disk)
        bench.queue.close()
        disk.faults["make"] = errno.ENOSPC
        assert bench.put("late") == [False]
        assert bench.stats.dropped == {"after_close": 1}

    def test_batches_given_back_after_close_stay_on_disk(self, directory):
        directory.leave(line("left"))
        bench = directory.process()
        bench.put("mine")
        bench.queue.make_all_due()
        works = [bench.scheduler.next_batch()[0] for _ in range(2)]
        bench.queue.close()
        bench.queue.abandon("closed")
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


CODE = (
    backlog,
    batch,
    batch_queue,
    ledger,
    memory_store,
    notes,
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
        begin = bench.queue._store._directory.begin
        bench.queue._store._directory.begin = interrupted = Mock(side_effect=KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            bench.put("outer")
        assert interrupted.called
        bench.queue._store._directory.begin = begin
        bench.put("after")
        bench.run()
        assert directory.arrived == ["after"]
        assert bench.stats.accepted == bench.stats.delivered == 1

    def test_a_flush_that_interrupts_a_log_call_does_not_wait_for_a_search_for_orphans(self, directory):
        bench = directory.process()
        bench.put("a")
        looks, may_end = threading.Event(), threading.Event()

        def look_around():
            with bench.queue._store.ownership.lock:
                looks.set()
                assert may_end.wait(20)

        with ThreadPoolExecutor(1) as other:
            looking = other.submit(look_around)
            assert looks.wait(20)
            with bench.queue.lock:
                bench.queue.make_all_due()
            may_end.set()
            looking.result(20)
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
                for taken in list(bench.queue._backlog.taken):
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


def test_the_repr_of_a_spool_shows_what_is_open_and_how_much_is_used(directory):
    bench = directory.process()
    bench.put("row")
    store = bench.queue._store
    writer = store.ownership.writer

    assert bench.queue.used_bytes == 0, "rows on disk take no memory"
    assert repr(writer) == f"<Owner {writer.name} files=1 begun=1>"
    assert repr(store.ownership) == f"<Ownership writer={writer!r} owners=1>"
    assert repr(store._space) == f"<Space batches=1 bytes={store._space._used_bytes} others=0>"
    assert repr(store) == (
        f"<SpoolStore {directory.path}"
        " writer=<SegmentWriter open=<Batch spooled open first_row=0 rows=1 bytes=0 tries=0> deferred=0>"
        f" space={store._space!r} memory=<MemoryStore bytes=0 limit=67108864 reserved=0>>"
    )


def test_a_flush_sees_the_open_batches_in_memory_and_on_disk(directory):
    """Both are open for a moment after the disk has recovered; the older one decides when they are due."""
    disk = CrashingDisk({})
    bench = directory.process(disk=disk)
    disk.faults["create"] = errno.EROFS
    bench.put("in memory")
    begun = directory.clock.monotonic()
    assert bench.queue.open_since() == begun
    disk.faults.clear()
    directory.clock.advance(2)
    bench.put("on disk")
    assert bench.queue.open_since() == directory.clock.monotonic()
    assert bench.queue._store._memory.append(line("late"))
    directory.clock.advance(2)
    assert bench.queue.open_since() == begun + 2
    bench.run()
    assert sorted(directory.arrived) == ["in memory", "late", "on disk"]


class TestOwnershipLock:
    """Calls while another thread holds the ownership lock, such as one that looks for orphans."""

    @contextmanager
    def held(self, bench):
        is_held, may_end = threading.Event(), threading.Event()

        def hold():
            with bench.queue._store.ownership.lock:
                is_held.set()
                assert may_end.wait(20)

        with ThreadPoolExecutor(1) as other:
            holding = other.submit(hold)
            assert is_held.wait(20)
            yield
            may_end.set()
            holding.result(20)

    def test_a_first_row_that_interrupts_a_log_call_goes_through_memory_while_the_lock_is_held(self, directory):
        bench = directory.process()
        with self.held(bench), bench.queue.lock:
            assert bench.put("row") == [True]
        assert (bench.stats.queued, bench.stats.spooled) == (1, 0)

    def test_owners_are_released_later_if_the_lock_is_held(self, directory):
        bench = directory.process()
        bench.put("row")
        bench.run()
        bench.queue.close()
        with self.held(bench), bench.queue.lock:
            bench.queue.release_ownership()
            assert len(directory.locks()) == 1
        bench.queue.release_ownership()
        assert directory.locks() == []


def test_an_adopted_segment_that_drop_old_cannot_read_is_left_to_the_next_process(directory):
    """Its rows are not counted, so its file must not go."""
    path = directory.leave(*[line(f"left {number}", 100) for number in range(30)])
    disk = CrashingDisk({})
    bench = directory.process(**SMALL, disk=disk, overflow="drop_old")
    bench.queue.make_all_due()
    disk.faults["open"] = errno.EIO
    bench.put(*[line(number, 100) for number in range(400)])
    disk.faults.clear()
    assert bench.stats.adopted == 0
    assert bench.stats.dropped == {"spool_full": bench.stats.accepted - bench.stats.spooled}
    assert path.exists()


def test_adopted_segments_are_not_counted_as_another_owners_too(directory):
    """They were, when the directory was last measured: a spool that is half full would drop rows as full."""
    for number in range(8):
        directory.leave(*[line(f"left {number}", 100) for _ in range(18)])
    bench = directory.process(**SMALL)
    bench.put("measures the directory")
    bench.queue.make_all_due()

    assert all(bench.put(*[line(number, 100) for number in range(80)]))


def test_rows_that_memory_is_too_short_to_load_are_given_back(directory):
    """MemoryError is not an OSError; the rows are still on disk."""
    bench = directory.process()
    bench.put("row")
    bench.queue._store._writer.seal()
    files = bench.queue._store._directory.files
    files.read, read = Mock(side_effect=MemoryError), files.read
    with pytest.raises(MemoryError):
        bench.queue.take(bench.clock.monotonic(), is_due=True)
    files.read = read

    assert (bench.stats.in_flight, bench.stats.spooled) == (0, 1)
    bench.run()
    assert directory.arrived == ["row"]


def test_a_batch_on_disk_is_released_once(directory):
    """If Ctrl-C comes between release and count, the batch is given back, and released again later."""
    bench = directory.process()
    bench.put("row")
    bench.queue.make_all_due()
    batch = bench.queue.take(bench.clock.monotonic(), is_due=True)
    for _ in range(2):
        bench.queue._store.release(batch)

    assert bench.queue._store._space.batches == 0
    bench.queue.settle(batch)


def test_the_age_of_a_segment_is_read_without_a_lock():
    """A forked child may inherit the lock of strptime held, for ever."""
    name = segment_name(1_800_000_000.5, new_owner(), 1)
    with _strptime._cache_lock:
        assert begun_at(name) == 1_800_000_000.5
    assert begun_at("20269999T000000.000000Z-0123456789abcdef-000001.ndjson") == 0.0


def test_a_row_whose_write_is_interrupted_by_close_is_counted(directory):
    """A signal handler closes the queue, so the write finds the descriptor closed."""
    disk = CrashingDisk({})
    write = disk.write

    def interrupted(fd, data):
        if b'"outer"' in data:
            bench.queue.close()
        return write(fd, data)

    disk.write = interrupted
    bench = directory.process(disk=disk)
    bench.put("before", "outer")
    bench.run()
    assert directory.arrived == ["before"]
    assert bench.stats.dropped == {"after_close": 1}
