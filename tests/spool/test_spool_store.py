"""Rows on disk: a row is in a file when the log call returns, and is read back, sent and removed."""

# ruff: noqa: SLF001 - what must hold inside, at any moment

import _strptime
import errno
import json
import os
import stat
from unittest.mock import Mock

import pytest

from logging_azmon._spool.files import Files
from logging_azmon._spool.segment import begun_at, new_owner, segment_name
from logging_azmon._spool.trust import trusted
from logging_azmon.testing import Answer
from support.crashing import CrashingDisk
from support.delivering import AZURE, line
from support.spools import AWAY, BATCH_BYTES, TARGET, text


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
        bench.queue.begin_drain()
        bench.queue.close()
        assert directory.locks() == []

    @pytest.mark.parametrize(
        ("above", "whose"),
        [
            ([(0o755, 7), (0o755, 0)], {1, 0, 7}),
            ([(0o755, 1), (0o755, 0)], {1, 0, 7}),
            ([(0o1755, 0)], {1, 0, 7}),
            ([(0o1777, 0), (0o755, 0)], {1, 0}),
            ([(0o777, 0), (0o755, 0)], {1, 0}),
            ([(0o755, 7), (0o1777, 0), (0o755, 0)], {1, 0}),
            ([(0o755, 8), (0o755, 0)], {1, 0}),
        ],
    )
    def test_the_directorys_owner_is_trusted_only_if_no_other_user_can_have_put_it_there(self, above, whose):
        """As in /tmp, at any depth; the process's own user and root always are trusted."""
        path = [os.stat_result((mode, 0, 0, 1, uid, 0, 0, 0, 0, 0)) for mode, uid in [(0o700, 7), *above]]
        assert trusted(1, path) == whose

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can make another user's directory")
    def test_what_root_writes_into_another_users_directory_belongs_to_that_user(self, directory):
        """As `sudo logging-azmon spool DIR --retry-rejected` does; the application could not read it otherwise."""
        directory.path.mkdir()
        os.chown(directory.path, 4_711, 4_711)
        bench = directory.process(disk=Files(lambda _: {0, 4_711}))
        assert bench.put("a") == [True]
        made = [*directory.path.iterdir()]
        assert len(made) == 2, "a segment and its lock"
        assert {path.stat().st_uid for path in made} == {4_711}

    @pytest.mark.parametrize("is_directorys", [True, False])
    def test_files_of_another_user_are_read_only_in_that_users_directory(self, directory, is_directorys):
        path = directory.leave(line("theirs"))
        bench = directory.process(disk=Files(lambda _: {path.stat().st_uid} if is_directorys else {-1}))
        bench.queue.make_all_due()
        bench.run(100)
        assert directory.arrived == ["theirs"] * is_directorys
        assert path.exists() is not is_directorys

    def test_a_directory_of_another_user_in_a_world_writable_directory_is_not_used(self, directory):
        bench = directory.process(disk=Files(lambda _: {-1}))
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
        bench.queue.begin_drain()
        directory.destination.play(Answer(status=413), Answer(status=204), AWAY)
        while not directory.destination.rows:
            directory.clock.advance(bench.step())
        bench.queue.close()
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


def test_the_repr_of_a_spool_shows_what_is_open_and_how_much_is_used(directory):
    bench = directory.process()
    bench.put("row")
    store = bench.queue._store
    writer = store.ownership.writer

    assert bench.queue._store._memory.used_bytes == 0, "rows on disk take no memory"
    assert repr(writer) == f"<Owner {writer.name} segments=1 begun=1>"
    assert repr(store.ownership) == f"<Ownership writer={writer!r} owners=1>"
    assert repr(store._space) == f"<Space bytes={store._space._used_bytes} others=0>"
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

    assert batch.stored.segment.parts == 0
    bench.queue.settle(batch)


def test_the_age_of_a_segment_is_read_without_a_lock():
    """A forked child may inherit the lock of strptime held, for ever."""
    name = segment_name(1_800_000_000.5, new_owner(), 1)
    with _strptime._cache_lock:
        assert begun_at(name) == 1_800_000_000.5
    assert begun_at("20269999T000000.000000Z-0123456789abcdef-000001.ndjson") == 0.0
