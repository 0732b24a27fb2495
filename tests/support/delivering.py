"""Put the delivering side together without threads: queue, delivery, destination, and a clock that the test drives."""

# ruff: noqa: SLF001 - closing the open batch makes it a full one

import contextlib
import itertools
import logging
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from logging_azmon import Pipeline
from logging_azmon._config.settings import read
from logging_azmon._delivery.breaker import CircuitBreaker
from logging_azmon._delivery.reporter import Reporter
from logging_azmon._pipeline.assembly import assemble
from logging_azmon._queue.pipeline_state import PipelineState
from logging_azmon._rows.encoder import Encoder
from logging_azmon.pipeline import lifecycle_of
from logging_azmon.stats import Stats
from logging_azmon.testing import FakeDestination, ManualClock
from logging_azmon.trouble import Trouble

AZURE = {"endpoint": "https://dce.example", "rule_id": "dcr-0123", "stream": "Custom-App_CL"}
_numbers = itertools.count()
COLUMNS = {"TimeGenerated": "time", "Level": "level", "Message": "message"}


def a_rule() -> dict[str, str]:
    """Return the address of a rule that no other test uses: pipelines of one rule share their pauses."""
    return AZURE | {"rule_id": f"dcr-test{next(_numbers)}"}


def settings_of(**arguments: Any) -> Any:
    return read(AZURE | {"columns": COLUMNS} | arguments, {})


def line(message: object, size: int = 0, **columns: Any) -> bytes:
    """Encode a row, filled up to a size."""
    row = {"Message": str(message)} | columns
    encoded = orjson.dumps(row) + b"\n"
    if len(encoded) < size:
        row["Fill"] = "x" * (size - len(encoded) - len(',"Fill":""'))
        encoded = orjson.dumps(row) + b"\n"
    return encoded


def messages(rows: list[dict[str, Any]]) -> list[str]:
    return [row["Message"] for row in rows]


def is_balanced(stats: Stats) -> bool:
    """Tell whether every row is accounted for."""
    ends = stats.delivered + stats.rejected + sum(stats.dropped.values()) + stats.handed_over
    return stats.accepted + stats.adopted == ends + stats.queued + stats.in_flight + stats.spooled


class Bench:
    """Deliver on the test's own thread."""

    def __init__(
        self,
        *answers: Any,
        clock: Any = None,
        destination: Any = None,
        breaker: Any = None,
        disk: Any = None,
        wake: Any = lambda: None,
        **arguments: Any,
    ):
        self.clock = clock if clock is not None else ManualClock()
        self.troubles: list[Trouble] = []
        self.wakes = 0
        self._on_wake = wake
        self.settings = settings = settings_of(**({"report": self.troubles.append} | arguments))
        self.destination = destination(settings) if callable(destination) else destination or FakeDestination(*answers)
        encoder = Encoder(settings.table, max_line_bytes=settings.batch_bytes - 1, on_misfit=lambda: None)
        self.reporter = Reporter(settings.report, self.clock.monotonic)
        self.breaker = CircuitBreaker() if breaker is None else breaker
        self.ledger, self.queue, self.scheduler, self.notices, self.delivery = assemble(
            settings,
            state=PipelineState(),
            destination=self.destination,
            reporter=self.reporter,
            encoder=encoder,
            clock=self.clock,
            breaker=self.breaker,
            wake=self._wake,
            files=disk,
        )

    def _wake(self) -> None:
        self.wakes += 1
        self._on_wake()

    @property
    def stats(self) -> Stats:
        stats = self.ledger.snapshot()
        assert is_balanced(stats)
        return stats

    def put(self, *rows: object, size: int = 0) -> list[bool]:
        return [self.queue.put(row if isinstance(row, bytes) else line(row, size)) for row in rows]

    def put_batch(self, *rows: object) -> None:
        """Put rows as a batch of their own, which can go at once, as if it were full."""
        self.queue._store.close_open()
        self.put(*rows)
        self.queue._store.close_open()

    def step(self) -> float:
        """Deliver one batch if one may go now; return the seconds until another may."""
        work, pause = self.scheduler.next_batch()
        if work is not None:
            self.delivery.deliver(*work)
            assert is_balanced(self.ledger.snapshot())
        return pause

    def steps(self) -> int:
        """Deliver all that may go now; return how many batches that was."""
        batches = 0
        while (work := self.scheduler.next_batch()[0]) is not None:
            self.delivery.deliver(*work)
            batches += 1
        return batches

    def run(self, seconds: float = 1e9) -> float:
        """Deliver everything, letting at most `seconds` pass; return how many have passed."""
        began = self.clock.monotonic()
        self.run_until(lambda: not self.scheduler.has_rows() or self.clock.monotonic() - began >= seconds)
        return float(self.clock.monotonic() - began)

    def run_until(self, is_met: Callable[[], bool], steps: int = 100_000) -> None:
        """Deliver and let time pass until a condition is met."""
        for _ in range(steps):
            if is_met():
                return
            self.clock.advance(self.step())
        raise AssertionError(f"still waiting after {steps:,} steps; {self.stats}")

    def reported(self, kind: str) -> list[str]:
        return [str(trouble) for trouble in self.troubles if trouble.kind == kind]


class Always(FakeDestination):
    """Answer every request by calling the same function."""

    def __init__(self, answer):
        super().__init__()
        self._answer = answer

    def send(self, lines, *, seconds=None):
        self.play(self._answer)
        return super().send(lines, seconds=seconds)


def leave_in_spool(path: Any, url: str, *rows: object, stream: str = "Custom-App_CL") -> Stats:
    """Log rows like a process that has no time to deliver them: all are left in the spool."""
    pipeline = Pipeline(
        url,
        "dcr-1",
        stream,
        spool=path,
        columns={"Message": "message"},
        destination=FakeDestination(),
        background=False,
        report=lambda _: None,
    )
    for row in rows:
        lifecycle_of(pipeline).intake.accept(logging.makeLogRecord({"msg": str(row)}), None)
    pipeline.close(0)
    return pipeline.stats()


@contextlib.contextmanager
def closing(*things: Any) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for thing in things:
            stack.callback(thing.close)
        yield
