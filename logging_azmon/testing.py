"""Fakes for tests: yours and ours.

`capture` gives the rows that an application logs; nothing is sent and no thread is started:

    with capture() as rows:
        my_app.login("ada")
    assert rows[-1]["Message"] == "welcome"

`FakeDestination` and `ManualClock` take the place of Azure and of time in a `Pipeline`:

    destination = FakeDestination(Answer(status=503), Answer(status=204))
    pipeline = Pipeline(..., destination=destination, clock=ManualClock())
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Any

import orjson

from . import pipeline as _pipeline
from .outcome import Answer, Failure

__all__ = ["Answer", "Failure", "FakeDestination", "ManualClock", "capture"]

STORED = Answer(status=204)
_REAL_SECONDS = 30.0


class FakeDestination:
    """Record rows in memory and play a script of answers; 204 when the script is over.

    An answer may be a callable that is given the rows and returns an Answer, or raises.
    Misuse is noticed: a batch after close, an empty batch, and lines that are no JSON objects raise AssertionError.
    """

    def __init__(self, *answers: Answer | Callable[[list[dict[str, Any]]], Answer]) -> None:
        self._script = deque(answers)
        self._changed = threading.Condition()
        self._is_closed = False
        self.rows: list[dict[str, Any]] = []
        self.batches: list[list[dict[str, Any]]] = []
        self.misuse: list[str] = []

    def play(self, *answers: Answer | Callable[[list[dict[str, Any]]], Answer]) -> None:
        """Append to the script."""
        with self._changed:
            self._script.extend(answers)

    def send(self, lines: bytes | bytearray, *, seconds: float | None = None) -> Answer:  # noqa: ARG002 - a fake is never late
        """Answer as the script says; a 204 stores the rows."""
        rows = [orjson.loads(line) for line in bytes(lines).splitlines()]
        with self._changed:
            if self._is_closed or not rows:
                self.misuse.append("a batch after close" if self._is_closed else "an empty batch")
            self.batches.append(rows)
            answer = self._script.popleft() if self._script else STORED
        if not isinstance(answer, Answer):
            answer = answer(rows)
        with self._changed:
            if answer == STORED:
                self.rows.extend(rows)
            self._changed.notify_all()
        return answer

    def close(self) -> None:
        """Note that no batch may come any more."""
        self._is_closed = True

    def forget(self) -> None:
        """Begin anew, as in a forked child."""
        self._is_closed = False

    def wait_for(self, condition: Callable[[FakeDestination], bool], seconds: float = _REAL_SECONDS) -> None:
        """Wait until something holds, which is looked at after each batch."""
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self), seconds):
                message = f"still waiting after {seconds} s; {len(self.batches)} batches, {len(self.rows)} rows stored"
                raise AssertionError(message)


class ManualClock:
    """Stand still until somebody says `advance`; those who wait are woken then."""

    def __init__(self, now: float = 1_000.0, wall: float = 1_800_000_000.0) -> None:
        self._now = now
        self._wall = wall
        self._moved = threading.Condition()
        self._waiting: list[SimpleQueue[None]] = []

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return self._now

    def time(self) -> float:
        """Return seconds since the epoch."""
        return self._wall

    def wait(self, tokens: SimpleQueue[None], seconds: float) -> None:
        """Return when a token arrives or the clock has been advanced far enough."""
        until = self._now + seconds
        with self._moved:
            if self._now >= until and seconds <= 0:
                return
            self._waiting.append(tokens)
            self._moved.notify_all()
        deadline = time.monotonic() + _REAL_SECONDS
        try:
            tokens.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            return
        finally:
            with self._moved:
                self._waiting.remove(tokens)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        with self._moved:
            self._now += seconds
            self._wall += seconds
            for tokens in self._waiting:
                tokens.put(None)

    def wait_for_waiters(self, number: int = 1, seconds: float = _REAL_SECONDS) -> None:
        """Wait until so many threads wait for this clock, so that advancing it finds them there."""
        with self._moved:
            if not self._moved.wait_for(lambda: len(self._waiting) >= number, seconds):
                raise AssertionError(f"only {len(self._waiting)} of {number} threads wait for the clock")


@contextmanager
def capture() -> Iterator[list[dict[str, Any]]]:
    """Collect the rows that handlers and processors would send, in order, as dicts."""
    rows: list[dict[str, Any]] = []

    def take(line: bytes) -> bool:
        rows.append(orjson.loads(line))
        return True

    with _pipeline.captured(take):
        yield rows
