"""Send the lines of a file or a pipe as rows: JSON objects, plain text, or the output of journalctl -o json.

Keys go to the columns of the same name; times are kept. No line is dropped: reading pauses if Azure falls behind.
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

from ..._pipeline.bulk import Bulk
from ...errors import ConfigurationError
from ...pipeline import Pipeline, lifecycle_of
from ...trouble import Trouble
from .._shared.interrupts import Interrupts
from .._shared.numbers import number, whole_number
from .._shared.options import add_options, pipeline_arguments, read_settings, require_enabled
from .kept import KeptLines, ReadPosition
from .lines import Lines
from .mapping import Mapper, import_table

if TYPE_CHECKING:
    from .progress import ProgressDisplay

EXTRA = "cli"
PROBLEM, INTERRUPTED = 1, 130
EXAMPLES = (
    "logging-azmon send app.ndjson",
    "journalctl -o json --since today | logging-azmon send -",
    "logging-azmon send old.log --columns lean --skip 12000",
)
# Longest wait, for room in the queue or for the last rows, between two checks for an interrupt.
_SLICE_SECONDS = 0.2
# Number of lines between two updates of the display.
_UPDATE_LINES = 64
# How often the position in the file is saved: after a crash, later lines are sent again.
_SAVE_SECONDS = 1.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("file", metavar="FILE", help="file to send; - reads standard input")
    parser.add_argument(
        "--format",
        choices=("auto", "json", "text"),
        default="auto",
        help="format of the lines; auto detects it from the first line (%(default)s)",
    )
    parser.add_argument(
        "--skip", type=whole_number("number of lines"), default=0, metavar="N", help="skip the first N lines"
    )
    parser.add_argument(
        "--keep",
        metavar="DIR",
        default=".",
        help="directory for FILE.bad, the lines that cannot be rows, and FILE.rejected, the rows that the service"
        " rejects (default: current directory)",
    )
    parser.add_argument(
        "--spool",
        metavar="DIR",
        help="keep rows in this directory until they are delivered, and continue after the last line read if the"
        " command is run again",
    )
    parser.add_argument(
        "--timeout",
        type=number("number of seconds", 0),
        metavar="SECONDS",
        help="longest wait, after the last line, for undelivered rows (default: no limit)",
    )
    add_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Send every line; return 0, 1 if some did not become rows in Azure, or 130 after Ctrl-C."""
    from .progress import ProgressDisplay

    pipeline = pipeline_arguments(arguments)
    require_enabled(pipeline)
    # The application's spool is not touched, and its overflow policy does not apply: here, reading waits instead.
    for name in ("spool", "give_up_seconds", "overflow", "block_seconds"):
        pipeline.pop(name, None)
    table = read_settings(pipeline).table
    with _opened(arguments.file) as (source, name, size):
        instance = _instance(source, name)
        if arguments.spool is not None:
            pipeline["spool"] = arguments.spool
        sender = _Sender(arguments, pipeline | {"columns": import_table(table)}, name, instance)
        sender.mapper = Mapper(import_table(table), table, instance, time.time())
        with ProgressDisplay(name, size) as display, Interrupts().installed() as interrupts:
            return sender.run(source, display, interrupts)


@contextmanager
def _opened(file: str) -> Iterator[tuple[IO[bytes], str, int | None]]:
    if file == "-":
        yield sys.stdin.buffer, "stdin", None
        return
    try:
        source = Path(file).open("rb")  # noqa: SIM115 - closed below, outside this `try`
    except OSError as error:
        raise ConfigurationError([f"{file} cannot be read: {error.strerror or error}"]) from error
    with source:
        path = Path(file)
        yield source, path.name, path.stat().st_size if path.is_file() else None


def _instance(source: IO[bytes], name: str) -> str:
    """Return the file's `Instance`: sending a file twice gives equal rows, so that a query can remove the copies."""
    if name == "stdin" or not source.seekable():
        return hashlib.sha256(f"{name} {time.time_ns()}".encode()).hexdigest()[:16]
    first = source.readline(4_096)
    source.seek(0)
    return hashlib.sha256(f"{Path(source.name).resolve()}\n".encode() + first).hexdigest()[:16]


class _Sender:
    """Send lines through a pipeline. Used by the main thread, except for `_on_trouble`."""

    mapper: Mapper

    def __init__(self, arguments: argparse.Namespace, pipeline: dict[str, Any], name: str, instance: str) -> None:
        kept = Path(arguments.keep)
        if not kept.is_dir():
            raise ConfigurationError([f"--keep {arguments.keep} is not a directory: create it, or give another"])
        self._arguments = arguments
        # A pipe cannot be read again, so only a file has a position to return to.
        self._position = None
        if arguments.spool is not None and arguments.file != "-":
            self._position = ReadPosition(kept / f"{name}.position", instance)
        self._skip = max(arguments.skip, self._position.read() if self._position is not None else 0)
        self._bad = KeptLines(kept / f"{name}.bad")
        self._rejected = KeptLines(kept / f"{name}.rejected")
        # Appended by delivering threads, printed by this one.
        self._troubles: deque[Trouble] = deque(maxlen=100)
        self._pipeline = Pipeline(**pipeline | {"report": self._on_trouble})
        self._bulk = Bulk(lifecycle_of(self._pipeline))
        # Pairs (row, shift): from this row on, its line's number minus its own is `shift`. Bad lines make no row.
        self._shifts: deque[tuple[int, int]] = deque([(0, self._skip + 1)])
        self._rows = 0
        self._last_line: int = self._skip
        self._saved_at = time.monotonic()

    def run(self, source: IO[bytes], display: ProgressDisplay, interrupts: Interrupts) -> int:
        lines = Lines(source, self._arguments.format)
        try:
            is_whole = self._read(lines, display, interrupts)
            is_done = self._finish(display, interrupts)
        finally:
            settled = self._bulk.settled_count()
            self._pipeline.close(0)
            self._save_position()
            self._bad.close()
            self._rejected.close()
        self._print_troubles(display)
        stats = self._pipeline.stats()
        display.ledger(stats, lines, self._bad, self._rejected, self.mapper)
        if not is_done or not is_whole:
            display.unfinished(
                self._settled_line(settled), self._last_line, self._arguments.file, self._arguments.spool
            )
        elif self._position is not None:
            self._position.forget()
        if interrupts.stopped.is_set():
            return INTERRUPTED
        return PROBLEM if self._bad.count or stats.rejected or stats.dropped or not is_done else 0

    def _save_position(self) -> None:
        if self._position is not None:
            self._position.write(self._last_line)
            self._saved_at = time.monotonic()

    def _read(self, lines: Lines, display: ProgressDisplay, interrupts: Interrupts) -> bool:
        """Read to the end; return False if interrupted before."""
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
                    display.bad_line(line, self._bad)
                else:
                    row = self._bulk.encode(self.mapper(line.entry, line.number))
                    while not self._bulk.put_within(row, _SLICE_SECONDS):
                        self._update(lines, display)
                        if interrupts.stopped.is_set():
                            return False
                    if line.number - self._rows != self._shifts[-1][1]:
                        self._shifts.append((self._rows, line.number - self._rows))
                    self._rows += 1
                self._last_line = line.number
                if line.number % _UPDATE_LINES == 0:
                    self._update(lines, display)
        except KeyboardInterrupt:
            interrupts.stopped.set()
        return False

    def _finish(self, display: ProgressDisplay, interrupts: Interrupts) -> bool:
        """Wait until nothing is left to send, up to the time limit or an interrupt; return whether nothing is left."""
        was_stopped = interrupts.stopped.is_set()
        limit = self._pipeline.settings.close_seconds if was_stopped else self._arguments.timeout
        deadline = None if limit is None else time.monotonic() + limit
        # A second interrupt ends the wait.
        interrupts.stopped.clear()
        self._bulk.make_all_due()
        while not (is_done := self._bulk.drain(_SLICE_SECONDS)):
            if interrupts.stopped.is_set() or (deadline is not None and time.monotonic() >= deadline):
                break
            self._update(None, display)
        if was_stopped:
            interrupts.stopped.set()
        return is_done

    def _update(self, lines: Lines | None, display: ProgressDisplay) -> None:
        settled = self._bulk.settled_count()
        while len(self._shifts) > 1 and self._shifts[1][0] <= settled:
            self._shifts.popleft()
        if time.monotonic() - self._saved_at >= _SAVE_SECONDS:
            self._save_position()
        self._print_troubles(display)
        display.progress(self._pipeline.stats(), lines)

    def _settled_line(self, settled: int) -> int:
        """Return the last line up to which every row is settled."""
        if settled >= self._rows:
            return self._last_line
        return settled + next(shift for row, shift in reversed(self._shifts) if row <= settled) - 1

    def _on_trouble(self, trouble: Trouble) -> None:
        if trouble.kind == "rejected" and trouble.rows_json:
            self._rejected.add(trouble.rows_json, lines=trouble.rows or 1)
        self._troubles.append(trouble)

    def _print_troubles(self, display: ProgressDisplay) -> None:
        while self._troubles:
            display.trouble(self._troubles.popleft())
