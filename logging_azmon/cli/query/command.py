"""Run a KQL query in the workspace, or in the local one, and show what it finds.

Shows a table, or a chart where rows are counted over time; --json and --csv write everything for programs.
"""

from __future__ import annotations

import argparse
import re
import sys
from typing import TYPE_CHECKING

from .._shared.timespan import read_timespan, timespan_phrase
from .._shared.workspace import Result, WorkspaceClient, WorkspaceQueryError, add_workspace_options, find_workspace

if TYPE_CHECKING:
    from rich.console import Console

EXTRA = "cli"
PROBLEM = 1
DEFAULT_TIMESPAN = "1d"
# Of use in a file, too, where there is no width.
_CHART_WIDTH = 160
EXAMPLES = (
    "logging-azmon query 'App_CL | summarize count() by Level'",
    "logging-azmon query 'App_CL | summarize count() by Level, bin(TimeGenerated, 5m)' --timespan 6h",
    "logging-azmon query 'App_CL | where Level == \"ERROR\"' --json",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("kql", metavar="KQL", help="the query; - reads it from the standard input")
    parser.add_argument(
        "--timespan",
        type=read_timespan,
        default=DEFAULT_TIMESPAN,
        help=f"rows of which time: 30m, 7d, PT1H, START/END, or all ({DEFAULT_TIMESPAN})",
    )
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="write an array of objects, one on a line")
    shape.add_argument("--csv", action="store_true", help="write a header and a line for each row")
    shape.add_argument("--table", action="store_true", help="show a table also where a chart could be drawn")
    shape.add_argument("--chart", action="store_true", help="draw a chart, or say why there can be none")
    add_workspace_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Ask and show; return 0, or 1 if there is no answer or not all of it."""
    from .._shared.console import error_console, output_console

    place = find_workspace(arguments)
    kql = sys.stdin.read() if arguments.kql == "-" else arguments.kql
    workspace = WorkspaceClient(place)
    try:
        with error_console().status("asking the workspace"):
            result = workspace.query(kql, arguments.timespan)
        _show(result, kql, arguments, output_console())
    except WorkspaceQueryError as error:
        _complain(error, kql, error_console())
        return PROBLEM
    finally:
        workspace.close()
    if result.partial:
        error_console().print(f"[bold yellow]logging-azmon query:[/] not all rows came: {_escaped(result.partial)}")
        return PROBLEM
    return 0


def _show(result: Result, kql: str, arguments: argparse.Namespace, console: Console) -> None:
    from . import chart, tables

    if arguments.json:
        tables.write_json(result, sys.stdout)
        return
    if arguments.csv:
        tables.write_csv(result, sys.stdout)
        return
    series = None if arguments.table else chart.find_series(result, kql)
    if series is not None:
        console.print(chart.Chart(series), width=min(console.width, _CHART_WIDTH))
        return
    if arguments.chart:
        raise WorkspaceQueryError(
            "no chart can be drawn of this: it takes a time, one or more numbers, at most one name, and two moments or"
            " more; for example … | summarize count() by Level, bin(TimeGenerated, 5m)"
        )
    rows = tables.Rows(result)
    if result.rows:
        console.print(rows)
    count = len(result.rows)
    said = f"{count:,} row{'' if count == 1 else 's'} {timespan_phrase(arguments.timespan)}"
    if not count and arguments.timespan is not None:
        said += "; --timespan all looks at every time"
    if result.rows and rows.empty:
        said += f"; empty: {', '.join(rows.empty)}"
    console.print(said, style="bright_black", markup=False)


def _complain(error: WorkspaceQueryError, kql: str, console: Console) -> None:
    """Print an error, below the part of the query that it is about."""
    from rich.text import Text

    from .._shared.cells import printable

    where = locate_error(error, kql)
    if where is not None:
        line, start, length = where
        text = printable(kql.split("\n")[line - 1].replace("\t", " "))
        gutter = f"{line:>4} │ " if console.encoding.startswith("utf") else f"{line:>4} | "
        console.print(Text.assemble((gutter, "bright_black"), text), soft_wrap=True)
        console.print(
            Text.assemble((" " * 5 + gutter[5:], "bright_black"), " " * start, ("^" * length, "bold red")),
            soft_wrap=True,
        )
    code = f" {error.code}:" if error.code and where is not None else ""
    console.print(
        Text.assemble(("logging-azmon query:", "bold red"), code, f" {printable(str(error))}"),
        soft_wrap=not console.is_terminal,
    )


def locate_error(error: WorkspaceQueryError, kql: str) -> tuple[int, int, int] | None:
    """Find what an error is about: its line from 1, where it begins from 0, and its length.

    The name that the message tells is looked for near the position, because services count differently.
    """
    lines = kql.split("\n")
    token = error.token.split("\n")[0].rstrip()
    if error.line is None or error.pos is None or not 1 <= error.line <= len(lines):
        places = [
            (number, found.start())
            for number, line in enumerate(lines, 1)
            for found in re.finditer(rf"(?<!\w){re.escape(token)}(?!\w)", line)
        ]
        # A name that is there twice may be right in one place.
        return (*places[0], len(token)) if token and len(places) == 1 else None
    line = lines[error.line - 1]
    wanted = error.pos - 1
    places_in_line = [found.start() for found in re.finditer(re.escape(token), line)] if token else []
    if places_in_line:
        return error.line, min(places_in_line, key=lambda start: abs(start - wanted)), len(token)
    start = min(max(wanted, 0), len(line))
    word = re.compile(r"\w+").match(line, start)
    return error.line, start, len(word[0]) if word else 1


def _escaped(text: str) -> str:
    from rich.markup import escape

    from .._shared.cells import printable

    return escape(printable(text))
