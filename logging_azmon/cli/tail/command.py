"""Follow a table: show rows as they arrive, coloured by level.

The most recent rows are shown first. Ctrl-C ends the command.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from ..._config.environment import setting
from ..._config.settings import ENVIRONMENT
from ...errors import ConfigurationError
from ...local.kql.quoting import kql_name
from ...table import Table
from .._shared.cells import json_line
from .._shared.help import print_error
from .._shared.interrupts import Interrupts
from .._shared.numbers import whole_number
from .._shared.options import pipeline_arguments, read_settings
from .._shared.rule_design import default_table
from .._shared.workspace import WorkspaceClient, WorkspaceQueryError, add_workspace_options, find_workspace

EXTRA = "cli"
PROBLEM, INTERRUPTED = 1, 130
LINES = 10
POLL_SECONDS = 5.0
EXAMPLES = (
    "logging-azmon tail",
    "logging-azmon tail App_CL --level WARNING --logger shop.web",
    "logging-azmon tail --grep refused --json",
)
_TABLE = re.compile(r"[A-Za-z]\w*", re.ASCII)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    from ..._rows.levels import STANDARD_NAMES

    parser.add_argument(
        "table", nargs="?", metavar="TABLE", help="table to follow; default: the stream's, as App_CL for Custom-App"
    )
    parser.add_argument("--level", type=str.upper, choices=STANDARD_NAMES, help="only rows of this level and above")
    parser.add_argument("--logger", metavar="NAME", help="only rows of this logger and its children")
    parser.add_argument(
        "--grep", metavar="TEXT", help="only rows whose message or exception contains TEXT; case is ignored"
    )
    parser.add_argument(
        "-n",
        "--lines",
        type=whole_number("number of rows", 0, 1_000),
        default=LINES,
        metavar="N",
        help="number of existing rows to show first (%(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print each row as a JSON object on its own line")
    add_workspace_options(parser, sends=True)


def run(arguments: argparse.Namespace) -> int:
    """Follow the table; return 130 after Ctrl-C, the normal end, or 1 if the workspace gives no answer."""
    from .._shared.console import error_console

    address = find_workspace(arguments)
    pipeline = pipeline_arguments(arguments)
    table = table_name(arguments.table, pipeline, os.environ)
    workspace = WorkspaceClient(address)
    try:
        with Interrupts().installed() as interrupts:
            try:
                with error_console().status("querying the workspace"):
                    names = list(workspace.query(f"{kql_name(table)} | take 0").names)
                tail = _Tail(arguments, workspace, table, names, _sent_columns(pipeline))
                print(f"Following {table} of {address.service}. Ctrl-C ends it.", file=sys.stderr, flush=True)
                tail.show(interrupts)
            except KeyboardInterrupt:
                if sys.stderr.isatty():
                    print(file=sys.stderr)  # the terminal has written ^C
    except WorkspaceQueryError as error:
        print_error(f"logging-azmon tail: {error}")
        return PROBLEM
    finally:
        workspace.close()
    return INTERRUPTED


def table_name(option: str | None, arguments: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """Return the table's name: the one that the option gives, or the usual one for the stream."""
    stream = str(setting("stream", arguments, environ) or "")
    if option is None and not stream:
        raise ConfigurationError([f"the table is missing: give its name, or --stream, or set {ENVIRONMENT['stream']}"])
    table = option or default_table(stream, setting("columns", arguments, environ))
    if not _TABLE.fullmatch(table):
        raise ConfigurationError([f"table {table!r} is not a table name: use letters, digits and _, as in App_CL"])
    return table


def _sent_columns(arguments: Mapping[str, Any]) -> Table | None:
    """Return the columns that are sent to the table, if arguments or environment say which."""
    if setting("columns", arguments, os.environ) is None and setting("dcr", arguments, os.environ) is None:
        return None
    # Reading the settings requires an address; it is not used.
    required = {"endpoint": "https://any.example.org", "rule_id": "any"}
    sent = {name: arguments[name] for name in ("columns", "dcr", "stream") if name in arguments}
    return read_settings(required | sent).table


class _Tail:
    def __init__(
        self,
        arguments: argparse.Namespace,
        workspace: WorkspaceClient,
        table: str,
        names: list[str],
        sent: Table | None,
    ) -> None:
        from .._shared.console import output_console
        from .columns import RowFilter, find_roles

        self._arguments = arguments
        self._workspace = workspace
        self._table = table
        self._roles = find_roles(names, sent)
        self._filter = RowFilter(self._roles, arguments.level, arguments.logger, arguments.grep)
        if problems := self._filter.problems():
            raise ConfigurationError(problems)
        self._console = output_console()
        self._day = ""

    def show(self, interrupts: Interrupts) -> None:
        """Print rows as they arrive."""
        from .._shared.console import has_lost_reader

        for rows in self._rows(interrupts):
            if has_lost_reader(sys.stdout):
                raise BrokenPipeError
            for row in rows:
                if self._arguments.json:
                    sys.stdout.buffer.write(json_line(row, is_terminal=sys.stdout.isatty()))
                else:
                    self._print(row)
            sys.stdout.flush()

    def _rows(self, interrupts: Interrupts) -> Iterator[list[Any]]:
        from .follow import PolledTable, StreamedTable

        address, last = self._workspace.address, self._arguments.lines
        if address.is_local:
            # The first answer holds the newest rows of the table; only the last few of them are wanted.
            is_first = True
            for rows in StreamedTable(address, self._table).rows(interrupts):  # pragma: no branch - it ends by an error
                chosen = [row for row in rows if self._filter.matches(row)]
                yield chosen[max(0, len(chosen) - last) if is_first else 0 :]
                is_first = is_first and not rows
            return  # pragma: no cover - see above
        polled = PolledTable(
            self._workspace,
            self._table,
            self._filter.kql(),
            last=last,
            seconds=POLL_SECONDS,
            warn=lambda message: print_error(f"logging-azmon tail: {message}"),
        )
        for rows in polled.rows(interrupts.stopped):
            yield [row for row in rows if self._filter.matches(row)]

    def _print(self, row: Mapping[str, Any]) -> None:
        from .columns import format_row, row_date

        day = row_date(row, self._roles)
        if day != self._day and self._console.is_terminal:
            self._day = day
            self._console.print(f"{day} UTC", style="bold", markup=False)
        self._console.print(format_row(row, self._roles), soft_wrap=True)
