"""Show the progress of `send`, and at the end the outcome of every line."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn
from rich.text import Text

from ...stats import Stats
from ...trouble import Trouble
from .._shared.cells import printable
from .._shared.console import error_console, output_console
from .._shared.numbers import pluralize
from .kept import KeptLines
from .lines import Line, Lines
from .mapping import ORIGINAL_TIME, Mapper

if TYPE_CHECKING:
    from rich.console import Console

# Without a terminal, a line is printed at this interval instead of a progress bar.
_LINE_SECONDS = 10.0
_MAX_REPORTED = 10


class ProgressDisplay:
    """Show progress on standard error, and the ledger on standard output."""

    def __init__(self, name: str, size: int | None) -> None:
        self._console = error_console()
        self._name = printable(name)
        self._began = time.monotonic()
        self._printed_at = self._began
        self._bad_lines = 0
        columns = (
            SpinnerColumn() if size is None else BarColumn(bar_width=20),
            *(() if size is None else (DownloadColumn(),)),
            TextColumn("{task.fields[rows]}"),
        )
        self._progress = Progress(*columns, console=self._console, transient=True)
        self._task = self._progress.add_task(self._name, total=size, rows="")

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def progress(self, stats: Stats, lines: Lines | None) -> None:
        """Show how many rows are delivered, how many wait, and how fast."""
        now = time.monotonic()
        waiting = stats.accepted - stats.delivered - stats.rejected
        rate = stats.delivered / max(0.001, now - self._began)
        status = f"{stats.delivered:,} rows delivered, {waiting:,} waiting, {rate:,.0f} rows/s"
        if self._console.is_terminal:
            self._progress.update(self._task, rows=status)
            if lines is not None:
                self._progress.update(self._task, completed=lines.bytes_read)
        elif now - self._printed_at >= _LINE_SECONDS:
            self._printed_at = now
            self._console.print(f"{self._name}: {status}", markup=False, soft_wrap=True)

    def trouble(self, trouble: Trouble) -> None:
        """Print what the pipeline reports."""
        style = "bold green" if trouble.kind == "recovered" else "bold yellow"
        line = Text.assemble((f"{trouble.kind}: ", style), printable(str(trouble)))
        self._console.print(line, soft_wrap=not self._console.is_terminal)

    def bad_line(self, line: Line, bad: KeptLines) -> None:
        """Report a line that cannot be a row; only the first few are reported."""
        self._bad_lines += 1
        if self._bad_lines <= _MAX_REPORTED:
            problem = f"line {line.number:,} is {line.problem}"
            self._console.print(
                Text.assemble(("kept: ", "bold yellow"), problem), soft_wrap=not self._console.is_terminal
            )
        if self._bad_lines == _MAX_REPORTED:
            self._console.print(f"further bad lines go to {bad.path} without a message", markup=False, soft_wrap=True)

    def ledger(self, stats: Stats, lines: Lines, bad: KeptLines, rejected: KeptLines, mapper: Mapper) -> None:
        """Show the outcome of every line; the counts add up."""
        self._progress.stop()
        out = output_console()
        seconds = max(0.001, time.monotonic() - self._began)
        lost = sum(stats.dropped.values())
        parts = [("delivered", stats.delivered, "green"), ("rejected", stats.rejected, "red")]
        left = stats.spooled + stats.handed_over
        parts += [("left in the spool", left, "yellow")] if left else []
        parts += [("not delivered", lost + stats.queued + stats.in_flight, "red")]
        before = f" and {stats.adopted:,} from before" if stats.adopted else ""
        rows = "row" if stats.accepted == 1 else "rows"
        line = Text.assemble((f"{stats.accepted:,}", "bold"), f" {rows}{before} = ")
        line.append_text(
            Text(" + ").join(
                Text.assemble((f"{n:,}", f"bold {style if n else ''}"), f" {word}") for word, n, style in parts
            )
        )
        out.print(line, soft_wrap=True)
        _print(
            out,
            f"{lines.bytes_read:,} bytes of {self._name} in {seconds:.1f} s: {stats.delivered / seconds:,.0f} rows/s,"
            f" {pluralize(stats.requests, 'request')}, {stats.retries:,} of them retries",
        )
        if bad.count:
            verb = "is" if bad.count == 1 else "are"
            _print(out, f"{pluralize(bad.count, 'bad line')} {verb} kept in {bad.path}: {bad.named()}")
        if rejected.count:
            hint = "send that file once the rule is corrected"
            verb = "is" if rejected.count == 1 else "are"
            _print(out, f"{pluralize(rejected.count, 'rejected row')} {verb} kept in {rejected.path}: {hint}")
        if stats.misfits:
            outcome = "moved to the column for * instead" if mapper.has_rest else "converted, or added to the message"
            _print(out, f"{pluralize(stats.misfits, 'value')} did not fit the column: {outcome}")
        if mapper.left_out:
            names = printable(", ".join(mapper.left_out))
            _print(
                out,
                f"left out, as no column takes them: {names}; --columns with a dynamic column for * keeps them",
            )
        if mapper.old:
            kept = f"; the original is kept as {ORIGINAL_TIME}" if mapper.has_rest else ""
            _print(
                out,
                f"{pluralize(mapper.old, 'row')} from more than two days ago or a day ahead: Azure replaces the time"
                f" by the time of receipt{kept}",
            )

    def continued(self, lines: int, position: Path) -> None:
        """Say which lines were not read again."""
        verb = "was" if lines == 1 else "were"
        _print(
            output_console(),
            f"{pluralize(lines, 'line')} {verb} sent before; to send the whole file again, delete {position}",
        )

    def unfinished(self, settled: int, read: int, file: str, spool: str | None) -> None:
        """Say how to continue after an interruption."""
        out = output_console()
        progress = "1 line was read" if read == 1 else f"{read:,} lines were read"
        if spool is not None:
            more = "" if file == "-" else ", then reads on"
            _print(out, f"Stopped: {progress} and kept in {spool}. The same command delivers them{more}.")
            return
        _print(
            out,
            f"Stopped: {progress}; every line up to {settled:,} is delivered or kept."
            + ("" if file == "-" else f" Continue with: logging-azmon send {file} --skip {settled}"),
        )
        if settled < read:
            _print(out, "Later rows may have been delivered too; copies have the same Instance and Sequence.")


def _print(out: Console, message: str) -> None:
    out.print(message, markup=False, soft_wrap=not out.is_terminal)
