"""Shows what `send` does while it works, and in the end where every line is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn
from rich.text import Text

from .._delivery.reporter import Trouble
from ..stats import Stats
from ._cells import visible
from ._console import console, errors
from ._kept import Kept
from ._lines import Line, Lines
from ._mapping import ORIGINAL_TIME, Mapper
from ._numbers import counted

if TYPE_CHECKING:
    from rich.console import Console

# Where nobody watches a bar grow, a line now and then says how far it is.
_LINE_SECONDS = 10.0
_MOST_COMPLAINTS = 10


class Show:
    """Show progress on the standard error output, and the ledger on the standard output."""

    def __init__(self, name: str, size: int | None) -> None:
        self._console = errors()
        self._name = visible(name)
        self._began = time.monotonic()
        self._spoke = self._began
        self._complaints = 0
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
        """Show how far it is."""
        now = time.monotonic()
        waiting = stats.accepted - stats.delivered - stats.rejected
        rate = stats.delivered / max(0.001, now - self._began)
        said = f"{stats.delivered:,} rows delivered, {waiting:,} wait, {rate:,.0f} rows/s"
        if self._console.is_terminal:
            self._progress.update(self._task, rows=said)
            if lines is not None:
                self._progress.update(self._task, completed=lines.bytes_read)
        elif now - self._spoke >= _LINE_SECONDS:
            self._spoke = now
            self._console.print(f"{self._name}: {said}", markup=False, soft_wrap=True)

    def trouble(self, trouble: Trouble) -> None:
        """Say what the pipeline reports."""
        style = "bold green" if trouble.kind == "recovered" else "bold yellow"
        said = Text.assemble((f"{trouble.kind}: ", style), visible(str(trouble)))
        self._console.print(said, soft_wrap=not self._console.is_terminal)

    def bad_line(self, line: Line, bad: Kept) -> None:
        """Name a line that is no row; of many, the first."""
        self._complaints += 1
        if self._complaints <= _MOST_COMPLAINTS:
            said = f"line {line.number:,} is {line.problem}"
            self._console.print(Text.assemble(("kept: ", "bold yellow"), said), soft_wrap=not self._console.is_terminal)
        if self._complaints == _MOST_COMPLAINTS:
            self._console.print(f"further lines go to {bad.path} without a word", markup=False, soft_wrap=True)

    def ledger(self, stats: Stats, lines: Lines, bad: Kept, rejected: Kept, mapper: Mapper) -> None:
        """Show where every line is, and that it adds up."""
        self._progress.stop()
        out = console()
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
            f" {counted(stats.requests, 'request')}, {stats.retries:,} of them tries after a failure",
        )
        if bad.count:
            are_none = "line is no row" if bad.count == 1 else "lines are no rows"
            _print(out, f"{bad.count:,} {are_none}, kept in {bad.path}: {bad.named()}")
        if rejected.count:
            hint = "send that file once the rule is mended"
            were = "was" if rejected.count == 1 else "were"
            _print(out, f"{counted(rejected.count, 'row')} {were} rejected, kept in {rejected.path}: {hint}")
        if stats.misfits:
            where = "put among the rest (*)" if mapper.has_rest else "converted, or added to the message"
            _print(out, f"{counted(stats.misfits, 'value')} did not fit the column: {where}")
        if mapper.left_out:
            names = visible(", ".join(mapper.left_out))
            _print(out, f"no column takes {names}: left out; --columns or a dynamic column for * would keep them")
        if mapper.old:
            kept = f", which is kept as {ORIGINAL_TIME}" if mapper.has_rest else ""
            _print(
                out,
                f"{counted(mapper.old, 'row')} older than two days or ahead of time: Azure replaces that time by the"
                f" time of receipt{kept}",
            )

    def unfinished(self, settled: int, read: int, file: str, spool: str | None) -> None:
        """Say from where to go on."""
        out = console()
        if spool is not None:
            more = "" if file == "-" else ", and reads on after them"
            _print(out, f"Stopped: {read:,} lines were read, and are in {spool}. The same command delivers them{more}.")
            return
        _print(
            out,
            f"Stopped: {read:,} lines were read, everything up to line {settled:,} has arrived or is kept."
            + ("" if file == "-" else f" Go on with: logging-azmon send {file} --skip {settled}"),
        )
        if settled < read:
            _print(out, "Some rows after that may have arrived, too; copies have the same Instance and Sequence.")


def _print(out: Console, said: str) -> None:
    out.print(said, markup=False, soft_wrap=not out.is_terminal)
