"""Build a queue in memory, and inspect its content."""

from logging_azmon._queue.backlog import Backlog
from logging_azmon._queue.batch_queue import BatchQueue
from logging_azmon._queue.ledger import Ledger
from logging_azmon._queue.memory_store import MemoryStore
from logging_azmon._queue.overflow import Block, DropNew, DropOld
from logging_azmon._queue.pipeline_state import PipelineState
from logging_azmon.testing import ManualClock
from support.delivering import is_balanced, line

ROW = line("row", 100)


class Jumping(ManualClock):
    """Advance at once when a thread waits, and record how long it wanted to wait."""

    def __init__(self):
        super().__init__()
        self.waits = []
        self.meanwhile = lambda: None

    def wait(self, wakeups, seconds):
        self.waits.append(seconds)
        self.meanwhile()
        if wakeups.empty():
            self.advance(seconds)
        else:
            wakeups.get()


def queue_of(
    *, queue_bytes=1_000, batch_bytes=301, overflow="drop_new", clock=None, wake=lambda: None, block_seconds=1.0
):
    clock = Jumping() if clock is None else clock
    policies = {"drop_new": DropNew, "drop_old": DropOld, "block": lambda: Block(block_seconds)}
    policy = policies[overflow]() if isinstance(overflow, str) else overflow
    ledger, backlog = Ledger(), Backlog()
    store = MemoryStore(ledger, clock, backlog, wake=wake, queue_bytes=queue_bytes, batch_bytes=batch_bytes)
    return BatchQueue(
        ledger=ledger, clock=clock, backlog=backlog, store=store, overflow=policy, state=PipelineState(), wake=wake
    )


def stats_of(queue):
    stats = queue._ledger.snapshot()  # noqa: SLF001 - as `Pipeline.stats` does
    assert is_balanced(stats)
    return stats


def take_all(queue, now=1e9):
    batches = []
    while (batch := queue.take(now, is_due=True)) is not None:
        batches.append(batch)
    return batches


def lines_of(batches):
    return b"".join(bytes(batch.data) for batch in batches).splitlines(keepends=True)
