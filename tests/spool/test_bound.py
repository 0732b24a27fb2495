"""A spool holds at most spool_bytes, and overflow decides what is dropped."""

# ruff: noqa: SLF001 - what must hold inside, at any moment

import errno
import json
import shutil

from logging_azmon.testing import Answer
from support.crashing import CrashingDisk
from support.delivering import AZURE, line
from support.spools import AWAY, BATCH_BYTES, SMALL, text


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

    def test_drop_old_drops_the_new_row_if_all_others_are_in_flight(self, directory):
        bench = directory.process(**SMALL, overflow="drop_old")
        while self.used(directory) < 32_768 - 1_000:
            bench.put(line("taken", 100))
        bench.queue.make_all_due()
        while bench.queue.take(bench.clock.monotonic(), is_due=True):
            pass
        taken = bench.stats.in_flight

        assert bench.put(line("new", 1_000)) == [False]
        assert bench.stats.in_flight == taken

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

    def test_the_last_segment_takes_what_is_left(self, directory):
        """A spool of two batches holds two batches, although each of its files has a first line besides."""
        bench = directory.process(batch_bytes=16_384, spool_bytes=32_768)
        while bench.put(line("row", 100)) == [True]:
            assert self.used(directory) <= 32_768
        assert self.used(directory) > 32_768 - 200
        assert len(directory.segments()) == 2

    def test_a_directory_that_was_deleted_is_empty(self, directory):
        """It is made again, rather than reported as a broken disk."""
        bench = directory.process(**SMALL)
        bench.put("deleted")
        shutil.rmtree(directory.path)
        directory.clock.advance(1)
        bench.put(*[line(number, 1_000) for number in range(8)])
        assert self.used(directory)
        assert bench.reported("spool") == []

    def test_processes_divide_the_room_among_them(self, directory):
        """None can know what the others are about to write, so each begins segments of a share of what is free."""
        benches = [directory.process(**SMALL) for _ in range(8)]
        for number in range(400):
            for bench in benches:
                bench.put(line(number, 100))
            directory.clock.advance(0.01)
        assert self.used(directory) <= 32_768 * 1.25
        spooled = [bench.stats.spooled for bench in benches]
        assert min(spooled) >= max(spooled) / 4


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
