"""Send lines of a file or a pipe as rows: JSON objects, plain text, or what journalctl -o json writes.

Keys go to the columns of their names, times are kept. No line is dropped: reading waits while Azure is busy or away.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from .._delivery.reporter import Trouble
from ..errors import ConfigurationError
from ..pipeline import Pipeline, lifecycle_of
from ._configuration import add_options, pipeline_arguments, settings_of
from ._interrupts import Interrupts
from ._kept import Kept, Position
from ._lines import Lines
from ._mapping import Mapper, importing
from ._numbers import number, whole

if TYPE_CHECKING:
    from ._sending import Show

EXTRA = "cli"
PROBLEM, INTERRUPTED = 1, 130
EXAMPLES = (
    "logging-azmon send app.ndjson",
    "journalctl -o json --since today | logging-azmon send -",
    "logging-azmon send old.log --columns lean --skip 12000",
)
# How long a wait for room or for the end goes on without looking whether somebody wants to stop.
_SLICE_SECONDS = 0.2
_LOOK_EVERY = 64
# How often it is noted which line was read: after a crash those since then are sent once more.
_NOTE_SECONDS = 1.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("file", metavar="FILE", help="the file to send; - is the standard input")
    parser.add_argument(
        "--format",
        choices=("auto", "json", "text"),
        default="auto",
        help="what the lines are; auto sees it from the first one (%(default)s)",
    )
    parser.add_argument(
        "--skip", type=whole("number of lines"), default=0, metavar="LINES", help="leave out so many lines"
    )
    parser.add_argument(
        "--keep",
        metavar="DIR",
        default=".",
        help="where lines that are no rows, and rows that the service rejects, are kept: FILE.bad, FILE.rejected"
        " (this directory)",
    )
    parser.add_argument(
        "--spool",
        metavar="DIR",
        help="keep rows on disk until they are delivered, and go on after the last line when the command is run again",
    )
    parser.add_argument(
        "--timeout",
        type=number("number of seconds", 0),
        metavar="SECONDS",
        help="how long to wait in the end for rows that Azure does not take (until it does, or Ctrl-C)",
    )
    add_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Send everything; return 0, 1 if not all lines became rows in the service, or 130 after Ctrl-C."""
    from ._sending import Show

    given = pipeline_arguments(arguments)
    # The application's own spool is the application's; and here rows wait, so that none need be dropped.
    for name in ("spool", "give_up_seconds", "overflow", "block_seconds"):
        given.pop(name, None)
    table = settings_of(given).table
    with _opened(arguments.file) as (source, name, size):
        instance = _instance(source, name)
        if arguments.spool is not None:
            given["spool"] = arguments.spool
        sending = _Sending(arguments, given | {"columns": importing(table)}, name, instance)
        sending.mapper = Mapper(importing(table), table, instance, time.time())
        with Show(name, size) as show, Interrupts().installed() as interrupts:
            return sending.run(source, show, interrupts)


@contextmanager
def _opened(file: str) -> Iterator[tuple[IO[bytes], str, int | None]]:
    if file == "-":
        yield sys.stdin.buffer, "stdin", None
        return
    try:
        source = Path(file).open("rb")  # noqa: SIM115 - closed below; here it may fail to open
    except OSError as error:
        raise ConfigurationError([f"{file} cannot be read: {error.strerror or error}"]) from error
    with source:
        path = Path(file)
        yield source, path.name, path.stat().st_size if path.is_file() else None


def _instance(source: IO[bytes], name: str) -> str:
    """Name the file in its rows: the same file gives the same rows again, so that copies of a row can be told."""
    if name == "stdin" or not source.seekable():
        return hashlib.sha256(f"{name} {time.time_ns()}".encode()).hexdigest()[:16]
    first = source.readline(4_096)
    source.seek(0)
    return hashlib.sha256(f"{Path(source.name).resolve()}\n".encode() + first).hexdigest()[:16]


class _Sending:
    """Take lines through a pipeline. Used by the main thread, but for `_listen`."""

    mapper: Mapper

    def __init__(self, arguments: argparse.Namespace, given: dict[str, Any], name: str, instance: str) -> None:
        kept = Path(arguments.keep)
        if not kept.is_dir():
            raise ConfigurationError([f"--keep {arguments.keep} is no directory: make it, or give another"])
        self._arguments = arguments
        # A pipe cannot be read again: what it gave is in the spool.
        self._position = None
        if arguments.spool is not None and arguments.file != "-":
            self._position = Position(kept / f"{name}.position", instance)
        self._skip = max(arguments.skip, self._position.read() if self._position is not None else 0)
        self._bad = Kept(kept / f"{name}.bad")
        self._rejected = Kept(kept / f"{name}.rejected")
        # Set by delivering threads, shown by this one.
        self._troubles: deque[Trouble] = deque(maxlen=100)
        self._pipeline = Pipeline(**given | {"report": self._listen})
        self._lifecycle = lifecycle_of(self._pipeline)
        # By how much a line's number differs from its row's, from which row on: bad lines are none.
        self._shifts: deque[tuple[int, int]] = deque([(0, self._skip + 1)])
        self._rows = 0
        self._last_line: int = self._skip
        self._noted_at = time.monotonic()

    def run(self, source: IO[bytes], show: Show, interrupts: Interrupts) -> int:
        lines = Lines(source, self._arguments.format)
        try:
            is_whole = self._read(lines, show, interrupts)
            is_done = self._finish(show, interrupts)
        finally:
            settled = self._lifecycle.settled_before()
            self._pipeline.close(0)
            self._note()
            self._bad.close()
            self._rejected.close()
        self._tell(show)
        stats = self._pipeline.stats()
        show.ledger(stats, lines, self._bad, self._rejected, self.mapper)
        if not is_done or not is_whole:
            show.unfinished(self._settled_line(settled), self._last_line, self._arguments.file, self._arguments.spool)
        elif self._position is not None:
            self._position.forget()
        if interrupts.stopped.is_set():
            return INTERRUPTED
        return PROBLEM if self._bad.count or stats.rejected or stats.dropped or not is_done else 0

    def _note(self) -> None:
        if self._position is not None:
            self._position.write(self._last_line)
            self._noted_at = time.monotonic()

    def _read(self, lines: Lines, show: Show, interrupts: Interrupts) -> bool:
        """Read to the end; False if somebody stopped it before."""
        try:
            with interrupts:
                lines.skip(self._skip)
            iterator = iter(lines)
            while not interrupts.stopped.is_set():
                with interrupts:
                    line = next(iterator, None)
                if line is None:
                    return True
                if line.entry is None:
                    self._bad.add(line.raw, number=line.number)
                    show.bad_line(line, self._bad)
                else:
                    row = self._lifecycle.intake.encode(self.mapper(line.entry, line.number))
                    while not self._lifecycle.intake.offer(row, _SLICE_SECONDS):
                        self._look(lines, show)
                        if interrupts.stopped.is_set():
                            return False
                    if line.number - self._rows != self._shifts[-1][1]:
                        self._shifts.append((self._rows, line.number - self._rows))
                    self._rows += 1
                self._last_line = line.number
                if line.number % _LOOK_EVERY == 0:
                    self._look(lines, show)
        except KeyboardInterrupt:
            interrupts.stopped.set()
        return False

    def _finish(self, show: Show, interrupts: Interrupts) -> bool:
        """Wait until nothing is left to send, or somebody has waited long enough; return whether nothing is."""
        was_stopped = interrupts.stopped.is_set()
        limit = self._pipeline.settings.close_seconds if was_stopped else self._arguments.timeout
        deadline = None if limit is None else time.monotonic() + limit
        # Once more is heard as: do not wait any longer.
        interrupts.stopped.clear()
        self._lifecycle.urge()
        while not (is_done := self._lifecycle.drain(_SLICE_SECONDS)):
            if interrupts.stopped.is_set() or (deadline is not None and time.monotonic() >= deadline):
                break
            self._look(None, show)
        if was_stopped:
            interrupts.stopped.set()
        return is_done

    def _look(self, lines: Lines | None, show: Show) -> None:
        settled = self._lifecycle.settled_before()
        while len(self._shifts) > 1 and self._shifts[1][0] <= settled:
            self._shifts.popleft()
        if time.monotonic() - self._noted_at >= _NOTE_SECONDS:
            self._note()
        self._tell(show)
        show.progress(self._pipeline.stats(), lines)

    def _settled_line(self, settled: int) -> int:
        """Return the last line before which nothing is left to be sent."""
        if settled >= self._rows:
            return self._last_line
        return settled + next(shift for row, shift in reversed(self._shifts) if row <= settled) - 1

    def _listen(self, trouble: Trouble) -> None:
        if trouble.kind == "rejected" and trouble.rows_json:
            self._rejected.add(trouble.rows_json, lines=trouble.rows or 1)
        self._troubles.append(trouble)

    def _tell(self, show: Show) -> None:
        while self._troubles:
            show.trouble(self._troubles.popleft())
