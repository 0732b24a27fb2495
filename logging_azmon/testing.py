"""Fakes for the tests of applications; the library's own tests use them too.

`capture` collects the rows that an application logs; nothing is sent and no thread is started:

    with capture() as rows:
        my_app.login("ada")
    assert rows[-1]["Message"] == "welcome"

`FakeDestination` stands in for Azure and `ManualClock` for time in a `Pipeline`:

    with FakeDestination(Answer(status=503)) as destination:
        clock = ManualClock(jumps=True)
        pipeline = Pipeline(..., destination=destination, clock=clock, background=False)
        ...
        assert pipeline.flush()
    assert destination.rows

`Destination` and `Clock` are the protocols that they implement, for fakes of your own.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Any, Self

import orjson

from ._delivery.answer import Answer, Failure
from ._delivery.destination import Destination
from ._pipeline import capture as _capture
from ._process.clock import Clock

__all__ = ["Answer", "Clock", "Destination", "Failure", "FakeDestination", "ManualClock", "capture"]

Rows = list[dict[str, Any]]
_Script = Answer | Callable[[Rows], Answer]

_STORED = Answer(status=204)
_REAL_SECONDS = 30.0


class FakeDestination:
    """Keep rows in memory and answer from a script, with 204 once the script is used up.

    A script entry is an Answer, or a callable that is given the rows and returns an Answer or raises. A 204 adds the
    rows to `rows`; `batches` holds every batch that was sent, whatever the answer.

    Misuse (a batch after close, an empty batch, a line that is not a JSON object, a script entry of another type)
    happens on delivering threads. It is noted there and raised on the test's thread: by `check`, by `wait_for`, and at
    the end of a ``with``.
    """

    def __init__(self, *answers: _Script) -> None:
        self._script = deque(answers)
        self._changed = threading.Condition()
        self._is_closed = False
        self.rows: Rows = []
        self.batches: list[Rows] = []
        self.misuse: list[str] = []

    def play(self, *answers: _Script) -> None:
        """Append to the script."""
        with self._changed:
            self._script.extend(answers)

    def clear(self) -> None:
        """Forget the rest of the script: from now on every batch is answered with 204."""
        with self._changed:
            self._script.clear()

    def send(self, lines: bytes | bytearray, *, seconds: float | None = None) -> Answer:  # noqa: ARG002 - a fake answers at once
        """Take the next answer of the script; a 204 stores the rows."""
        rows = self._read(bytes(lines))
        with self._changed:
            if self._is_closed:
                self.misuse.append("a batch after close")
            self.batches.append(rows)
            entry = self._script.popleft() if self._script else _STORED
        answer: Any = entry(rows) if callable(entry) else entry
        with self._changed:
            if not isinstance(answer, Answer):
                self.misuse.append(f"the script gave {answer!r}, which is not an Answer")
                answer = _STORED
            if answer.status == _STORED.status and answer.failure is None:
                self.rows.extend(rows)
            self._changed.notify_all()
        return answer  # type: ignore[no-any-return]

    def _read(self, lines: bytes) -> Rows:
        rows = []
        for line in lines.splitlines():
            try:
                row = orjson.loads(line)
            except ValueError:
                row = None
            if isinstance(row, dict):
                rows.append(row)
            else:
                self.misuse.append(f"a line that is not a JSON object: {line!r}")
        if not lines:
            self.misuse.append("an empty batch")
        return rows

    def close(self) -> None:
        """Count any later batch as misuse."""
        self._is_closed = True

    def forget(self) -> None:
        """Accept batches again, as a forked child does."""
        self._is_closed = False

    def check(self) -> None:
        """Raise an AssertionError if there was misuse."""
        if self.misuse:
            raise AssertionError("; ".join(self.misuse))

    def wait_for(self, condition: Callable[[FakeDestination], bool], seconds: float = _REAL_SECONDS) -> None:
        """Wait until a condition holds; it is evaluated after each batch."""
        with self._changed:
            is_met = self._changed.wait_for(lambda: condition(self), seconds)
        self.check()
        if not is_met:
            seen = f"batches: {len(self.batches)}, rows stored: {len(self.rows)}"
            raise AssertionError(f"still waiting after {seconds} s; {seen}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.check()


class ManualClock:
    """Stand still until `advance` is called, which wakes the waiting threads.

    With ``jumps=True`` a wait ends at once, and the clock moves to the end of the wait. That is for pipelines made with
    ``background=False``, where the test itself waits and no other thread could advance the clock.
    """

    def __init__(self, now: float = 1_000.0, wall: float = 1_800_000_000.0, *, jumps: bool = False) -> None:
        self._now = now
        self._wall = wall
        self._jumps = jumps
        self._maker = threading.get_ident()
        self._moved = threading.Condition()
        self._waiting: list[SimpleQueue[None]] = []

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return self._now

    def time(self) -> float:
        """Return seconds since the epoch."""
        return self._wall

    def wait(self, wakeups: SimpleQueue[None], seconds: float) -> None:
        """Return when a wake-up arrives or the clock is advanced.

        On the thread that made the clock, the test's, it fails after 30 real seconds: the test forgot to advance it.
        """
        if seconds <= 0:
            return
        if self._jumps:
            if wakeups.empty():
                self.advance(seconds)
            else:
                wakeups.get()
            return
        with self._moved:
            self._waiting.append(wakeups)
            self._moved.notify_all()
        try:
            wakeups.get(timeout=_REAL_SECONDS)
        except Empty:
            if threading.get_ident() == self._maker:
                raise AssertionError(f"the clock was not advanced within {_REAL_SECONDS:.0f} s") from None
        finally:
            with self._moved:
                self._waiting.remove(wakeups)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        if seconds < 0:
            raise AssertionError(f"a clock cannot go back, here by {-seconds} s")
        with self._moved:
            self._now += seconds
            self._wall += seconds
            for wakeups in self._waiting:
                wakeups.put(None)

    def wait_for_waiters(self, number: int = 1, seconds: float = _REAL_SECONDS) -> None:
        """Wait until this many threads wait for the clock, so that `advance` wakes them."""
        with self._moved:
            if not self._moved.wait_for(lambda: len(self._waiting) >= number, seconds):
                raise AssertionError(f"only {len(self._waiting)} of {number} threads wait for the clock")


@contextmanager
def capture() -> Iterator[Rows]:
    """Collect the rows that handlers and processors would send, in order, as dicts.

    The rows of all pipelines are collected, including those made or closed inside the block; their `stats` do not count
    these rows. If captures are nested, the innermost one collects.
    """
    rows: Rows = []

    def take(line: bytes) -> bool:
        rows.append(orjson.loads(line))
        return True

    with _capture.captured(take):
        yield rows
