"""What the library relies on in this interpreter: where it lets signal handlers, finalizers and other threads in."""

# ruff: noqa: SLF001 - the steps that must be atomic

import gc
import inspect
import signal
import sys
import threading
import time

import pytest

from logging_azmon._process.atomicity import is_tested
from logging_azmon._queue import memory_store
from logging_azmon._queue.memory_store import MemoryStore, PureOpenBatch
from support.batch_queues import queue_of
from support.delivering import line

STEPS = (PureOpenBatch.append, MemoryStore._append, MemoryStore._count_open, MemoryStore._drop_first_rows)
SECONDS, LIMIT_SECONDS = 1.0, 60.0


def atomic_lines(function):
    """Return the lines of the step that a comment marks as atomic."""
    lines, first = inspect.getsourcelines(function)
    begin = next(number for number, text in enumerate(lines) if "# Atomic" in text)
    ends = (
        number
        for number, text in enumerate(lines)
        if text.split()[:1] in (["break"], ["return"]) or "# End of the atomic step" in text
    )
    end = next((number for number in ends if number > begin), len(lines))
    # The first line of a step may be reached by a jump, where others are let in before it begins.
    code = [number for number in range(begin + 1, end) if not lines[number].lstrip().startswith("#")]
    return function.__code__, frozenset(first + number for number in code[1:])


ATOMIC = dict(atomic_lines(function) for function in STEPS)


class Visits:
    """Note the frames in which the interpreter lets other code in."""

    def __init__(self):
        self.inside = set()
        self.count = 0

    def note(self, frame):
        while frame is not None:
            lines = ATOMIC.get(frame.f_code)
            if lines is not None:
                self.count += 1
                if frame.f_lineno in lines:
                    self.inside.add((frame.f_code.co_name, frame.f_lineno))
                return
            frame = frame.f_back


def work(queue, is_enough=lambda: True):
    """Take every step again and again, for a second, and on a busy machine until that was enough."""
    began = time.monotonic()
    rows = [line(number, 60 + number) for number in range(20)]
    while (elapsed := time.monotonic() - began) < SECONDS or (elapsed < LIMIT_SECONDS and not is_enough()):
        for row in rows:
            queue.put(row)
        queue._ledger.snapshot()


@pytest.mark.skipif(
    not is_tested(sys.implementation.name, sys.version_info), reason="rows are added one at a time here"
)
class TestAtomicSteps:
    """If one of these fails on a new Python, the step is not atomic there: lower NEWEST_TESTED, and find out why."""

    @pytest.fixture(autouse=True)
    def _pure(self, monkeypatch):
        """Take the steps in Python: in the compiled open batch, nothing can be let in."""
        monkeypatch.setattr(memory_store, "OpenBatch", PureOpenBatch)

    @pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this platform has no interval timers")
    def test_no_signal_handler_runs_inside_an_atomic_step(self):
        visits = Visits()
        is_over = []

        def alarmed(_, frame):
            visits.note(frame)
            # Not an interval: on a busy machine, the handler would interrupt itself again and again.
            if not is_over:
                signal.setitimer(signal.ITIMER_REAL, 0.0001)

        before = signal.signal(signal.SIGALRM, alarmed)
        signal.setitimer(signal.ITIMER_REAL, 0.0001)
        try:
            work(queue_of(queue_bytes=5_000, batch_bytes=2_000, overflow="drop_old"), lambda: visits.count > 10)
        finally:
            # A signal that is on its way is handled before the handler is replaced.
            is_over.append(True)
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

        assert visits.count > 10
        assert visits.inside == set()

    def test_no_finalizer_runs_inside_an_atomic_step(self):
        """The collector is made to run as often as it can."""
        visits = Visits()

        def collected(phase, _):
            if phase == "start":
                visits.note(sys._getframe(1))

        thresholds = gc.get_threshold()
        gc.callbacks.append(collected)
        gc.set_threshold(1, 1, 1)
        try:
            work(queue_of(queue_bytes=5_000, batch_bytes=2_000, overflow="drop_old"))
        finally:
            gc.set_threshold(*thresholds)
            gc.callbacks.remove(collected)

        assert visits.inside == set()

    def test_no_other_thread_runs_inside_an_atomic_step(self):
        """Eight threads add rows while the interpreter switches between them as often as it can."""
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        queue = queue_of(queue_bytes=50_000, batch_bytes=2_000, overflow="drop_old")
        threads = [threading.Thread(target=work, args=(queue,)) for _ in range(8)]
        try:
            for thread in threads:
                thread.start()
        finally:
            for thread in threads:
                thread.join(60)
            sys.setswitchinterval(interval)
        stats = queue._ledger.snapshot()
        batches = list(queue._backlog.waiting)

        assert stats.accepted == stats.queued + sum(stats.dropped.values())
        assert sum(bytes(batch.data).count(b"\n") for batch in batches) == stats.queued
