"""Run a KQL query in a workspace, in Azure or local, and show the result.

The result is a table, or a chart if it is a time series; --json and --csv print all of it for programs.
"""

from __future__ import annotations

import argparse
import re
import sys
from typing import TYPE_CHECKING

from .._shared.numbers import pluralize
from .._shared.timespan import read_timespan, timespan_phrase
from .._shared.workspace import Result, WorkspaceClient, WorkspaceQueryError, add_workspace_options, find_workspace

if TYPE_CHECKING:
    from rich.console import Console

EXTRA = "cli"
PROBLEM = 1
DEFAULT_TIMESPAN = "1d"
# The width of a chart that is written to a file.
_CHART_WIDTH = 160
EXAMPLES = (
    "logging-azmon query 'App_CL | summarize count() by Level'",
    "logging-azmon query 'App_CL | summarize count() by Level, bin(TimeGenerated, 5m)' --timespan 6h",
    "logging-azmon query 'App_CL | where Level == \"ERROR\"' --json",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("kql", metavar="KQL", help="the query; - reads it from standard input")
    parser.add_argument(
        "--timespan",
        type=read_timespan,
        default=DEFAULT_TIMESPAN,
        metavar="SPAN",
        help=f"time span to query: 30m, 7d, PT1H, START/END or all ({DEFAULT_TIMESPAN})",
    )
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="print the rows as a JSON array, one object a line")
    shape.add_argument("--csv", action="store_true", help="print a header and a line for each row")
    shape.add_argument("--table", action="store_true", help="show a table even if a chart could be drawn")
    shape.add_argument("--chart", action="store_true", help="draw a chart, or say why none can be drawn")
    add_workspace_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the query and show the result; return 0, or 1 if there is no answer or only part of it."""
    from .._shared.console import error_console, output_console

    place = find_workspace(arguments)
    kql = sys.stdin.read() if arguments.kql == "-" else arguments.kql
    workspace = WorkspaceClient(place)
    try:
        with error_console().status("querying the workspace"):
            result = workspace.query(kql, arguments.timespan)
        _show(result, kql, arguments, output_console())
    except WorkspaceQueryError as error:
        _print_error(error, kql, error_console())
        return PROBLEM
    finally:
        workspace.close()
    if result.partial:
        error_console().print(f"[bold yellow]logging-azmon query:[/] rows are missing: {_escaped(result.partial)}")
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
            "this result cannot be drawn as a chart: a chart needs one time column with at least two values, one or"
            " more number columns and at most one name column; for example … | summarize count() by Level,"
            " bin(TimeGenerated, 5m)"
        )
    rows = tables.Rows(result)
    if result.rows and console.is_terminal:
        console.print(rows)
    elif result.rows:
        text = "\n".join(rows.lines(rule="─" if console.encoding.startswith("utf") else "-"))
        console.print(f"\n{text}\n", markup=False, soft_wrap=True)
    summary = f"{pluralize(len(result.rows), 'row')} {timespan_phrase(arguments.timespan)}"
    if not result.rows and arguments.timespan is not None:
        summary += "; --timespan all searches all time"
    if result.rows and rows.empty:
        summary += f"; empty columns: {', '.join(rows.empty)}"
    console.print(summary, style="bright_black", markup=False)


def _print_error(error: WorkspaceQueryError, kql: str, console: Console) -> None:
    """Print an error and, where known, the line of the query that it is about, with a mark below it."""
    from rich.text import Text

    from .._shared.cells import printable

    location = locate_error(error, kql)
    if location is not None:
        line, start, length = location
        text = printable(kql.split("\n")[line - 1].replace("\t", " "))
        gutter = f"{line:>4} │ " if console.encoding.startswith("utf") else f"{line:>4} | "
        console.print(Text.assemble((gutter, "bright_black"), text), soft_wrap=True)
        console.print(
            Text.assemble((" " * 5 + gutter[5:], "bright_black"), " " * start, ("^" * length, "bold red")),
            soft_wrap=True,
        )
    code = f" {error.code}:" if error.code and location is not None else ""
    console.print(
        Text.assemble(("logging-azmon query:", "bold red"), code, f" {printable(str(error))}"),
        soft_wrap=not console.is_terminal,
    )


def locate_error(error: WorkspaceQueryError, kql: str) -> tuple[int, int, int] | None:
    """Find the part of the query that an error is about: line from 1, start in the line from 0, length.

    The name in the message is searched for near the stated position, because services count positions differently.
    """
    lines = kql.split("\n")
    token = error.token.split("\n")[0].rstrip()
    if error.line is None or error.pos is None or not 1 <= error.line <= len(lines):
        occurrences = [
            (number, match.start())
            for number, line in enumerate(lines, 1)
            for match in re.finditer(rf"(?<!\w){re.escape(token)}(?!\w)", line)
        ]
        # If the name occurs several times, some occurrences may be correct.
        return (*occurrences[0], len(token)) if token and len(occurrences) == 1 else None
    line = lines[error.line - 1]
    stated = error.pos - 1
    starts = [match.start() for match in re.finditer(re.escape(token), line)] if token else []
    if starts:
        return error.line, min(starts, key=lambda start: abs(start - stated)), len(token)
    start = min(max(stated, 0), len(line))
    word = re.compile(r"\w+").match(line, start)
    return error.line, start, len(word[0]) if word else 1


def _escaped(text: str) -> str:
    from rich.markup import escape

    from .._shared.cells import printable

    return escape(printable(text))
