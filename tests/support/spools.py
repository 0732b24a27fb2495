"""A directory that spools of several processes share, as far as tests need it."""

# ruff: noqa: SLF001 - looks at what is open

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from logging_azmon._spool.segment import Target, new_owner, segment_name
from logging_azmon.testing import Answer, FakeDestination, ManualClock
from support.delivering import AZURE, Bench, messages

BATCH_BYTES = 4_096
TARGET = Target(endpoint=AZURE["endpoint"], rule_id=AZURE["rule_id"], stream=AZURE["stream"], cloud="public")
OTHER = Target(endpoint=AZURE["endpoint"], rule_id=AZURE["rule_id"], stream="Custom-Other_CL", cloud="public")
AWAY = Answer(status=503)
LONG_AGO = 1_700_000_000.0
SMALL = {"spool_bytes": 32_768}


@contextmanager
def held(lock):
    """Hold a lock in another thread."""
    is_held, may_end = threading.Event(), threading.Event()

    def hold():
        with lock:
            is_held.set()
            assert may_end.wait(20)

    with ThreadPoolExecutor(1) as other:
        holding = other.submit(hold)
        assert is_held.wait(20)
        yield
        may_end.set()
        holding.result(20)


def ownership_held(bench):
    """Hold the ownership lock in another thread, as a search for orphans does."""
    return held(bench.queue._store.ownership.lock)


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


def text(bench, kind="spool"):
    bench.queue.refresh(bench.clock.monotonic())
    return "\n".join(bench.reported(kind))
