"""Show the whole loop on this machine, without Azure: a service logs, rows arrive, KQL queries find them.

The demo takes a few seconds and leaves nothing behind; with --keep its web page stays up until Ctrl-C.
"""

from __future__ import annotations

import argparse
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

from ...handler import AzureMonitorHandler
from .._shared.interrupts import stopping, wait_until_stopped

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from ...local import Workspace
    from ...stats import Stats
    from ...trouble import Trouble

EXTRA = "local"
EXAMPLES = ("logging-azmon demo", "logging-azmon demo --keep")
INTERRUPTED = 130

# Number of requests before, during and after the outage, and the time between two of them.
CALM, AWAY, AFTER = 260, 180, 100
PACE_SECONDS = 0.008
# The outage lasts until the library reports it, at most this long.
NOTICE_SECONDS = 5.0
FLUSH_SECONDS = 8.0

BY_LEVEL = "App_CL | summarize Rows = count() by Level, Time = bin(TimeGenerated, 250ms) | sort by Time asc"

SLOWEST = """\
App_CL
| where Logger == "shop.web"
| extend Path = tostring(Properties.path), Ms = toreal(Properties.duration_ms)
| summarize Requests = count(), Failed = countif(Level == "ERROR"),
    MedianMs = percentile(Ms, 50), P95Ms = percentile(Ms, 95) by Path
| sort by P95Ms desc"""

# Everything that one request logged, in four loggers.
FAILED = """\
let failed = toscalar(
    App_CL
    | where isnotempty(Exception)
    | summarize min(tostring(Properties.request)));
App_CL
| where tostring(Properties.request) == failed
| sort by Sequence asc
| project Level, Logger, Message,
    Error = extract(@"(\\w+: [^\\n]*)$", 1, Exception)"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--keep", action="store_true", help="keep the web page up until Ctrl-C")


def run(arguments: argparse.Namespace) -> int:
    """Run the demo; return 0, or 130 if it was interrupted."""
    from rich.console import Console

    from ..._config.options import PREFIX
    from ...local import Workspace

    # Meant for applications; nothing leaves this machine.
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
    console = Console(highlight=False)
    with stopping() as stopped, Workspace() as workspace:
        page = f"{workspace.endpoint}/"
        console.print("\n[bold]A workspace of your own[/], as in Azure, but on this machine.")
        console.print(f"[bright_black]Watch the rows come in:[/] [underline]{page}[/]\n")
        _Demo(console, workspace, stopped).run()
        if stopped.is_set():
            console.print("Stopped.")
            return INTERRUPTED
        if arguments.keep:
            console.print(f"The page is at [underline]{page}[/]. Ctrl-C ends the demo.")
            wait_until_stopped(stopped)
        else:
            console.print(f"The page was at {page}; [bold]logging-azmon demo --keep[/] keeps it up.")
    return 0


class _Demo:
    """Let a shop log through an outage, and show the rows. Used by one thread, except for `_on_trouble`."""

    def __init__(self, console: Console, workspace: Workspace, stopped: threading.Event) -> None:
        self._console = console
        self._workspace = workspace
        self._stopped = stopped
        # Appended by delivering threads.
        self._troubles: list[Trouble] = []
        self._noticed = threading.Event()

    def run(self) -> None:
        with self._logging() as handler:
            self._act(handler)
            stats = handler.stats()
        if not self._stopped.is_set():
            self._show(stats)

    @contextmanager
    def _logging(self) -> Iterator[AzureMonitorHandler]:
        """Attach a handler as an application does, with shorter waits than usual so that more happens."""
        workspace = self._workspace
        handler = AzureMonitorHandler(
            workspace.endpoint,
            workspace.rule_id,
            workspace.stream,
            batch_seconds=0.3,
            retry_seconds=0.5,
            close_seconds=FLUSH_SECONDS,
            report=self._on_trouble,
        )
        shop = logging.getLogger("shop")
        shop.addHandler(handler)
        shop.setLevel(logging.DEBUG)
        shop.propagate = False
        try:
            yield handler
        finally:
            shop.removeHandler(handler)
            handler.close()

    def _on_trouble(self, trouble: Trouble) -> None:
        self._troubles.append(trouble)
        self._noticed.set()

    def _act(self, handler: AzureMonitorHandler) -> None:
        from rich.progress import BarColumn, Progress, TextColumn

        from .shop import requests

        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=18, complete_style="blue", finished_style="green"),
            TextColumn("[bright_black]{task.fields[rows]}"),
        )
        served = requests()
        with Progress(*columns, console=self._console) as progress:
            self._serve(progress, "Business as usual", islice(served, CALM), CALM, handler)
            self._workspace.fault("outage=600")
            self._serve(progress, "The endpoint is down", islice(served, AWAY), AWAY, handler)
            if not self._stopped.is_set():
                self._noticed.wait(NOTICE_SECONDS)
            self._workspace.clear_faults()
            task = self._serve(progress, "The endpoint is back", islice(served, AFTER), AFTER, handler)
            handler.flush(FLUSH_SECONDS)
            progress.update(task, rows=_counts(handler))
        self._console.print()

    def _serve(
        self, progress: Progress, title: str, requests: Iterator[str], total: int, handler: AzureMonitorHandler
    ) -> TaskID:
        task = progress.add_task(title, total=total, rows=_counts(handler))
        for _ in requests:
            progress.update(task, advance=1, rows=_counts(handler))
            if self._stopped.wait(PACE_SECONDS):
                break
        return task

    def _show(self, stats: Stats) -> None:
        from . import pictures

        show = self._console.print
        show(pictures.heading("What the library reported"))
        show(pictures.troubles(self._troubles))
        show(pictures.heading("Rows by level and time"))
        show(pictures.Levels(self._workspace.query(BY_LEVEL)))
        show(pictures.heading("Which pages are slow?"))
        show(pictures.answer(SLOWEST, self._workspace.query(SLOWEST)))
        show(pictures.heading("What happened in the request that failed?"))
        show(pictures.answer(FAILED, self._workspace.query(FAILED)))
        show(pictures.heading("The ledger"))
        show(pictures.ledger(stats, len(self._workspace.rows("App_CL"))))


def _counts(handler: AzureMonitorHandler) -> str:
    stats = handler.stats()
    waiting = stats.queued + stats.in_flight
    return f"{stats.accepted:>5,} logged {stats.delivered:>5,} delivered {waiting:>3,} waiting"
