"""Segments that dead owners have left are adopted, and other files are left alone."""

# ruff: noqa: SLF001 - what must hold inside, at any moment

import errno
import json
import os

import pytest

from logging_azmon._delivery.decision import TIME_RANGE
from logging_azmon._queue import batch as queue_batch
from logging_azmon._spool import recovery
from logging_azmon._spool.adoption import LOOK_SECONDS, MAX_ADOPTED
from logging_azmon._spool.files import Files
from logging_azmon._spool.segment import new_owner, segment_name
from logging_azmon.testing import Answer, FakeDestination
from support.crashing import CrashingDisk
from support.delivering import Always, line, messages
from support.spools import AWAY, BATCH_BYTES, LONG_AGO, OTHER, TARGET, text


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

    def test_eight_dead_owners_are_adopted_if_they_hold_much(self, directory):
        """The other processes that share the directory take the rest."""
        for number in range(20):
            directory.leave(*[line(number, 1_000)] * 4, when=LONG_AGO + number)
        first, second = directory.process(), directory.process()
        first.queue.make_all_due()
        second.queue.make_all_due()
        assert [len(bench.queue._store.ownership.owners) for bench in (first, second)] == [9, 9]

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
        bench.queue.begin_drain()
        bench.queue.close()
        stats = bench.stats
        assert (stats.adopted, stats.handed_over, stats.spooled) == (1, 1, 1)
        directory.destination.clear()
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

    def test_a_thousand_dead_owners_cost_few_looks_at_the_directory(self, directory):
        """One list of the directory serves until all that it names are adopted."""
        for number in range(1_000):
            directory.leave(line(number), when=LONG_AGO + number)
        disk = CrashingDisk({})
        looks = []

        def entries(path):
            looks.append(path)
            return Files.entries(disk, path)

        disk.entries = entries
        bench = directory.process(disk=disk)
        while len(directory.arrived) < 1_000:
            bench.step()
        assert [int(message) for message in directory.arrived] == list(range(1_000))
        assert len(looks) == 1
        assert len(directory.destination.batches) <= 1_000 // MAX_ADOPTED + 1
        assert directory.segments() == []

    def test_what_was_written_or_removed_after_the_list_was_made_is_found(self, directory):
        """An owner may live on while a list waits, and die later."""
        for number in range(MAX_ADOPTED + 1):
            directory.leave(line(number), when=LONG_AGO + number)
        late, gone = new_owner(), new_owner()
        path = directory.leave(line("before"), owner=late, when=LONG_AGO + 1_000)
        removed = directory.leave(line("gone"), owner=gone, when=LONG_AGO + 1_001)
        bench = directory.process()
        bench.queue.refresh(directory.clock.monotonic())
        with path.open("ab") as file:
            file.write(line("grown"))
        removed.unlink()
        directory.leave(line("after"), owner=late, number=2, when=LONG_AGO + 1_002)
        assert repr(bench.queue._store._adoption) == "<Adoption found=2>"
        bench.run(2)
        bench.queue.refresh(directory.clock.monotonic())
        bench.run(2)
        assert repr(bench.queue._store._adoption) == "<Adoption found=0>"
        assert directory.arrived == [*map(str, range(MAX_ADOPTED + 1)), "before", "grown"]
        directory.clock.advance(LOOK_SECONDS)
        bench.queue.refresh(directory.clock.monotonic())
        bench.run()
        assert directory.arrived == [*map(str, range(MAX_ADOPTED + 1)), "before", "grown", "after"]
        assert bench.stats.dropped == {}
        bench.queue.refresh(directory.clock.monotonic())
        assert directory.locks() == [], "they are released by the next look"


class TestJoining:
    """Small segments that dead processes left are sent together, and each keeps its own fate."""

    def leave(self, directory, rows=6):
        return [directory.leave(line(number), when=LONG_AGO + number) for number in range(rows)]

    def test_small_segments_are_sent_in_one_request_in_their_order(self, directory):
        self.leave(directory)
        bench = directory.process()
        bench.queue.make_all_due()
        bench.run()
        assert [messages(batch) for batch in directory.destination.batches] == [[*map(str, range(6))]]
        assert (bench.stats.adopted, bench.stats.delivered, bench.stats.requests) == (6, 6, 1)

    def test_a_request_holds_no_more_than_batch_bytes(self, directory):
        for number in range(10):
            directory.leave(line(number, 1_000), when=LONG_AGO + number)
        bench = directory.process()
        bench.queue.make_all_due()
        bench.run()
        assert [len(batch) for batch in directory.destination.batches] == [4, 4, 2]

    def test_a_request_joins_a_bounded_number_of_segments(self, directory, monkeypatch):
        monkeypatch.setattr(recovery, "MAX_JOINED", 4)
        self.leave(directory)
        bench = directory.process()
        bench.queue.make_all_due()
        bench.run()
        assert [len(batch) for batch in directory.destination.batches] == [4, 2]

    def test_many_poison_rows_cost_no_good_row_of_another_segment(self, directory, monkeypatch):
        """When the requests for finding them are used up, each segment is sent by itself."""
        monkeypatch.setattr(queue_batch, "SPLITS_PER_BATCH", 8)
        poison = set(range(0, 60, 4))
        for number in range(60):
            directory.leave(line(number))
        bad = Answer(status=400, code="InvalidPayload", message="a row is bad")
        stored = Answer(status=204)
        directory.destination = Always(
            lambda rows: (
                bad if any(row["Message"].isdigit() and int(row["Message"]) in poison for row in rows) else stored
            )
        )
        bench = directory.process()
        for _ in range(20):
            directory.clock.advance(60)
            bench.queue.make_all_due()
            bench.run(3_600)
        assert bench.stats.rejected == len(poison)
        assert sorted(map(int, directory.arrived)) == sorted(set(range(60)) - poison)

    def test_segments_stay_on_disk_until_their_request_is_accepted(self, directory):
        paths = self.leave(directory)
        directory.destination.play(AWAY)
        bench = directory.process()
        bench.queue.make_all_due()
        bench.step()
        assert directory.segments() == paths
        assert (bench.stats.spooled, bench.stats.in_flight) == (6, 0)
        assert all(not batch.data for batch in bench.queue._backlog.waiting)
        bench.run()
        assert [messages(batch) for batch in directory.destination.batches][-1] == [*map(str, range(6))]
        assert directory.segments() == []

    def test_a_rejected_row_costs_no_other_segment(self, directory):
        """The batch is divided between its segments, so that each file goes when its own rows are settled."""
        self.leave(directory)
        bad = Answer(status=400, code="InvalidPayload")
        directory.destination.play(bad, bad, bad)
        bench = directory.process()
        bench.queue.make_all_due()
        bench.run()
        assert directory.arrived == ["1", "2", "3", "4", "5"]
        assert (bench.stats.rejected, bench.stats.delivered) == (1, 5)
        assert directory.segments() == []

    def test_rows_too_far_apart_in_time_are_divided_between_their_segments(self, directory):
        self.leave(directory, 3)
        directory.destination.play(Answer(status=400, code=TIME_RANGE))
        bench = directory.process()
        bench.queue.make_all_due()
        bench.run()
        assert directory.arrived == ["0", "1", "2"]
        assert directory.segments() == []

    def test_parts_that_an_outage_interrupts_go_back_to_their_files(self, directory):
        paths = self.leave(directory)
        directory.destination.play(Answer(status=413), AWAY)
        bench = directory.process()
        bench.queue.make_all_due()
        bench.step()
        assert directory.segments() == paths
        assert bench.stats.spooled == 6
        bench.run()
        assert directory.arrived == [*map(str, range(6))]

    def test_a_part_that_has_no_file_of_its_own_is_sent_alone(self, directory):
        """The disk is full, so the rows of a divided segment wait in memory, and its file holds more than they are."""
        directory.leave(line("a"), line("b"))
        directory.leave(line("c"), when=LONG_AGO + 1)
        disk = CrashingDisk({})
        directory.destination.play(Answer(status=413), Answer(status=413), AWAY)
        bench = directory.process(disk=disk)
        bench.queue.make_all_due()
        disk.faults["create"] = errno.ENOSPC
        bench.run()
        assert directory.arrived == ["a", "b", "c"]
        assert [messages(batch) for batch in directory.destination.batches][-3:] == [["a"], ["b"], ["c"]]
        assert directory.segments() == []

    def test_a_segment_that_cannot_be_read_is_left_out(self, directory):
        paths = self.leave(directory)
        bench = directory.process()
        bench.queue.make_all_due()
        paths[2].write_bytes(TARGET.header())
        paths[3].unlink()
        bench.run()
        assert directory.arrived == ["0", "1", "4", "5"]
        assert bench.queue.is_empty

    def test_an_interrupted_read_gives_all_segments_back(self, directory):
        """Ctrl-C comes while the third of them is read."""
        self.leave(directory)
        disk = CrashingDisk({})
        bench = directory.process(disk=disk)
        bench.queue.make_all_due()
        reads = []

        def read(fd, start, length):
            reads.append(fd)
            if len(reads) == 3:
                raise KeyboardInterrupt
            return Files.read(disk, fd, start, length)

        disk.read = read
        with pytest.raises(KeyboardInterrupt):
            bench.step()
        assert bench.stats.in_flight == 0
        bench.run()
        assert directory.arrived == [*map(str, range(6))]

    def test_a_joined_batch_that_the_close_interrupts_is_handed_over(self, directory):
        paths = self.leave(directory)
        bench = directory.process()
        bench.queue.make_all_due()
        work, _ = bench.scheduler.next_batch()
        bench.queue.begin_drain()
        bench.queue.close()
        bench.queue.give_back(work.batch)
        bench.scheduler.release(work.tickets)
        assert (bench.stats.adopted, bench.stats.handed_over) == (6, 6)
        assert directory.segments() == paths
        after = directory.process()
        after.queue.make_all_due()
        after.run()
        assert directory.arrived == [*map(str, range(6))]


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
        assert "1 row torn in the spool: a process was killed, the disk full, or the power cut" in text(bench, "lost")

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
        monkeypatch.setattr(recovery, "MAX_DECOMPRESSED_BYTES", 20_000)
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
        directory.clock.advance(LOOK_SECONDS)
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
