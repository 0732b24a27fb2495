"""The ledger as a state machine: after any sequence of events, every row is counted once and settled once."""

import logging
import os
import threading

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from logging_azmon import AzureMonitorHandler, Pipeline
from logging_azmon._delivery.decision import TIME_RANGE
from logging_azmon.pipeline import lifecycle_of
from logging_azmon.testing import Answer, Failure, FakeDestination, ManualClock
from support.delivering import a_rule, is_balanced

STORED = Answer(status=204)
FAULTS = {
    "away": Answer(status=503),
    "away, and says how long": Answer(status=503, retry_after="20"),
    "busy": Answer(status=429, retry_after="5"),
    "unreachable": Answer(failure=Failure.CONNECTION),
    "forbidden": Answer(status=403),
    "token": Answer(status=401),
    "portal": Answer(status=200),
    "too long": Answer(status=413),
    "too long to be sent": Answer(failure=Failure.TOO_LARGE),
    "bad row": Answer(status=400, code="InvalidPayload"),
    "too far apart": Answer(status=400, code=TIME_RANGE),
    "stored": STORED,
}


def fail(_):
    raise RuntimeError("a destination that breaks its promise")


class Ledger(RuleBasedStateMachine):
    """Log, flush, close, fork, let time pass; the destination plays faults. The model is a set of numbers."""

    @initialize(
        overflow=st.sampled_from(["drop_new", "drop_old", "block"]),
        give_up=st.sampled_from([None, 30.0]),
        data=st.data(),
    )
    def begin(self, overflow, give_up, data):
        self.destination = FakeDestination()
        self.clock = ManualClock(jumps=True)
        self.reports = []
        self.pipeline = Pipeline(
            **a_rule(),
            columns={"Message": "message"},
            batch_bytes=4_096,
            queue_bytes=8_192,
            overflow=overflow,
            block_seconds=0.5,
            give_up_seconds=give_up,
            destination=self.destination,
            clock=self.clock,
            background=False,
            report=self.reports.append,
        )
        self.handler = AzureMonitorHandler(pipeline=self.pipeline)
        self.logger = logging.Logger("app")
        self.logger.addHandler(self.handler)
        self.begin_life(number=0)

    def begin_life(self, number):
        self.first = self.next = number
        self.is_closed = False
        self.rejected = []
        self.reports.clear()
        self.stored_before = len(self.destination.rows)

    @rule(rows=st.integers(1, 60), size=st.integers(0, 300))
    def log(self, rows, size):
        for _ in range(rows):
            self.logger.warning("%d %s", self.next, "x" * size)
            self.next += 1

    @rule(faults=st.lists(st.sampled_from(sorted(FAULTS)) | st.none(), min_size=1, max_size=10))
    def go_wrong(self, faults):
        self.destination.play(*[fail if fault is None else FAULTS[fault] for fault in faults])

    @rule(seconds=st.floats(0.0, 400.0))
    def pass_time(self, seconds):
        self.clock.advance(seconds)

    @rule(steps=st.integers(1, 20))
    def deliver(self, steps):
        for _ in range(steps):
            work, pause = lifecycle_of(self.pipeline).scheduler.next_batch()
            if work is not None:
                lifecycle_of(self.pipeline).delivery.deliver(*work)
            else:
                self.clock.advance(pause)

    @rule(timeout=st.none() | st.floats(0.0, 30.0))
    def flush(self, timeout):
        before = self.handler.stats()
        if self.handler.flush(timeout) and not self.is_closed:
            stats = self.handler.stats()
            settled = stats.delivered + stats.rejected + sum(stats.dropped.values())
            assert settled >= before.accepted
            assert stats.in_flight == 0

    @rule(chance=st.integers(0, 9))
    def close(self, chance):
        if chance:  # or else most of what happens would happen after close
            return
        self.pipeline.close()
        stats = self.handler.stats()
        assert stats.queued == stats.in_flight == 0
        self.is_closed = True

    @precondition(lambda self: self.next > self.first)
    @rule(chance=st.integers(0, 5))
    def fork(self, chance):
        """Do as a forked child does: it starts with zero counters, and without the parent's rows."""
        if chance:
            return
        was_closed = self.is_closed
        lifecycle_of(self.pipeline).restart()
        self.begin_life(self.next)
        self.is_closed = was_closed
        stats = self.handler.stats()
        assert (stats.accepted, stats.queued, stats.delivered, stats.dropped) == (0, 0, 0, {})

    @invariant()
    def it_adds_up(self):
        if not hasattr(self, "pipeline"):
            return
        stats = self.handler.stats()
        assert is_balanced(stats)
        stored = self.destination.rows[self.stored_before :]
        notices = [row for row in stored if "dropped" in row["Message"]]
        numbers = [int(row["Message"].split()[0]) for row in stored if "dropped" not in row["Message"]]
        assert len(numbers) == len(set(numbers)), "a row arrived twice"
        assert all(self.first <= number < self.next for number in numbers), "a row of another life"
        # Accepted rows were logged, or are the library's own notices.
        assert stats.accepted >= self.next - self.first
        assert stats.delivered == len(numbers) + len(notices)
        assert stats.rejected == sum(one.rows for one in self.reports if one.kind == "rejected")
        refused = b"".join(one.rows_json for one in self.reports if one.kind == "rejected")
        assert refused.count(b"\n") == stats.rejected
        assert self.destination.misuse == []

    def teardown(self):
        """Check that in the end no row is left, and every row is settled."""
        if not hasattr(self, "pipeline"):
            return
        self.destination.clear()
        if not self.is_closed:
            for _ in range(20):
                self.clock.advance(400.0)
                if self.handler.flush(300.0) and not self.handler.stats().queued:
                    break
        self.pipeline.close()
        stats = self.handler.stats()
        assert stats.queued == stats.in_flight == 0
        self.it_adds_up()
        lost = sum(stats.dropped.values())
        assert stats.accepted == stats.delivered + stats.rejected + lost
        assert "closed" not in stats.dropped or self.is_closed
        self.handler.close()


TestLedger = Ledger.TestCase
TestLedger.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_every_snapshot_of_a_pipeline_adds_up_while_threads_log_and_deliver():
    """This runs real threads, and a destination that fails now and then."""
    answers = [Answer(status=503), STORED, Answer(status=413), Answer(status=400, code="X"), STORED, fail, STORED]
    destination = FakeDestination(*answers * 20)
    pipeline = Pipeline(
        **a_rule(),
        columns={"Message": "message"},
        batch_bytes=4_096,
        queue_bytes=65_536,
        overflow="drop_old",
        retry_seconds=0.01,
        destination=destination,
        report=lambda _: None,
    )
    handler = AzureMonitorHandler(pipeline=pipeline)
    logger = logging.Logger("app")
    logger.addHandler(handler)
    is_over, start, snapshots = threading.Event(), threading.Barrier(5), []

    def log(name):
        start.wait(10)
        for number in range(1_500):
            logger.warning("%s %s", name, number)

    def look():
        start.wait(10)
        while not is_over.is_set():
            snapshots.append(is_balanced(handler.stats()))

    loggers = [threading.Thread(target=log, args=(name,)) for name in "abc"]
    lookers = [threading.Thread(target=look) for _ in range(2)]
    for thread in loggers + lookers:
        thread.start()
    for thread in loggers:
        thread.join(60)
    pipeline.close()
    is_over.set()
    for thread in lookers:
        thread.join(10)
    assert len(snapshots) > 10
    assert all(snapshots)
    stats = handler.stats()
    mine = [row["Message"] for row in destination.rows if "dropped" not in row["Message"]]
    assert len(mine) == len(set(mine))
    assert stats.delivered == len(destination.rows)
    assert stats.accepted == stats.delivered + stats.rejected + sum(stats.dropped.values())
    destination.check()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_starts_with_zero_counters_and_the_parent_is_unaffected():
    destination = FakeDestination()
    clock = ManualClock(jumps=True)
    pipeline = Pipeline(**a_rule(), destination=destination, clock=clock, background=False)
    handler = AzureMonitorHandler(pipeline=pipeline)
    logger = logging.Logger("app")
    logger.addHandler(handler)
    logger.warning("the parent's")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            begun = handler.stats()
            logger.warning("the child's")
            is_flushed = handler.flush()
            rows = [row["Message"] for row in destination.rows]
            stats = handler.stats()
            is_right = begun.accepted == 0 and is_flushed and rows == ["the child's"] and is_balanced(stats)
            code = 0 if is_right and stats.delivered == stats.accepted == 1 else 2
        finally:
            os._exit(code)
    _, ended = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(ended) == 0
    assert handler.flush()
    assert [row["Message"] for row in destination.rows] == ["the parent's"]
    assert handler.stats().accepted == handler.stats().delivered == 1
    pipeline.close()
