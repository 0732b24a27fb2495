"""Follow a table: show rows as they come in, coloured by level.

Shows the last rows first. Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from .._config.settings import ENVIRONMENT
from ..errors import ConfigurationError
from ..table import Table
from ._configuration import pipeline_arguments, settings_of
from ._help import complain
from ._interrupts import Interrupts
from ._numbers import whole
from ._workspace import QueryError, Workspace, add_workspace_options, place_of

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
    from .._rows.levels import STANDARD_NAMES

    parser.add_argument(
        "table", nargs="?", metavar="TABLE", help="the table; else the one of the stream: App_CL for Custom-App"
    )
    parser.add_argument("--level", type=str.upper, choices=STANDARD_NAMES, help="rows of this level and above")
    parser.add_argument("--logger", metavar="NAME", help="rows of this logger and those below it")
    parser.add_argument("--grep", metavar="TEXT", help="rows whose message or exception contains this, in any case")
    parser.add_argument(
        "-n",
        "--lines",
        type=whole("number of rows", 0, 1_000),
        default=LINES,
        metavar="N",
        help="last rows first (%(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="write each row as an object on a line of its own")
    add_workspace_options(parser, sends=True)


def run(arguments: argparse.Namespace) -> int:
    """Follow until Ctrl-C, which is how it ends well, or until there is nothing to follow any more."""
    from ._console import errors

    place = place_of(arguments)
    given = pipeline_arguments(arguments)
    table = table_of(arguments.table, given, os.environ)
    workspace = Workspace(place)
    try:
        with Interrupts().installed() as interrupts:
            try:
                with errors().status("asking the workspace"):
                    names = list(workspace.query(f"['{table}'] | take 0").names)
                following = _Tail(arguments, workspace, table, names, _sent(given))
                print(f"Following {table} of {place.service}. Ctrl-C ends it.", file=sys.stderr, flush=True)
                following.show(interrupts)
            except KeyboardInterrupt:
                if sys.stderr.isatty():
                    print(file=sys.stderr)  # the terminal has written ^C
    except QueryError as error:
        complain(f"logging-azmon tail: {error}")
        return PROBLEM
    finally:
        workspace.close()
    return INTERRUPTED


def table_of(named: str | None, given: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """Return the table's name: as it was given, or as it is usual for the stream."""
    stream = str(given.get("stream") or environ.get(ENVIRONMENT["stream"], "")).strip()
    if named is None and not stream:
        raise ConfigurationError([f"which table? Give its name, or --stream, or set {ENVIRONMENT['stream']}"])
    table = named or stream.removeprefix("Microsoft-")
    if named is None and stream.startswith("Custom-"):
        table = f"{stream.removeprefix('Custom-').removesuffix('_CL')}_CL"
    if not _TABLE.fullmatch(table):
        raise ConfigurationError([f"table {table!r} is no table's name: letters, digits and underscores, as App_CL"])
    return table


def _sent(given: Mapping[str, Any]) -> Table | None:
    """Return the columns that are sent there, if somebody says so."""
    if not {"columns", "dcr"} & set(given):
        return None
    place = {"endpoint": "https://any.example.org", "rule_id": "any"}
    return settings_of(place | {name: given[name] for name in ("columns", "dcr", "stream") if name in given}).table


class _Tail:
    def __init__(
        self, arguments: argparse.Namespace, workspace: Workspace, table: str, names: list[str], sent: Table | None
    ) -> None:
        from ._columns import Choice, find_roles
        from ._console import console

        self._arguments = arguments
        self._workspace = workspace
        self._table = table
        self._roles = find_roles(names, sent)
        self._choice = Choice(self._roles, arguments.level, arguments.logger, arguments.grep)
        if problems := self._choice.problems():
            raise ConfigurationError(problems)
        self._console = console()
        self._day = ""

    def show(self, interrupts: Interrupts) -> None:
        """Show what comes."""
        from ._console import is_unread

        for rows in self._rows(interrupts):
            if is_unread(sys.stdout):
                raise BrokenPipeError
            for row in rows:
                if self._arguments.json:
                    sys.stdout.buffer.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
                else:
                    self._print(row)
            sys.stdout.flush()

    def _rows(self, interrupts: Interrupts) -> Iterator[list[Any]]:
        from ._follow import Polled, Streamed

        place, last = self._workspace.place, self._arguments.lines
        if place.is_local:
            # What it begins with are the newest of all; of these, the last that were asked for.
            is_first = True
            for rows in Streamed(place, self._table).rows(interrupts):  # pragma: no branch - it ends by an error
                chosen = [row for row in rows if self._choice.takes(row)]
                yield chosen[len(chosen) - last if is_first and len(chosen) > last else 0 :]
                is_first = is_first and not rows
            return  # pragma: no cover - see above
        polled = Polled(
            self._workspace,
            self._table,
            self._choice.kql(),
            last=last,
            seconds=POLL_SECONDS,
            complain=lambda said: complain(f"logging-azmon tail: {said}"),
        )
        for rows in polled.rows(interrupts.stopped):
            yield [row for row in rows if self._choice.takes(row)]

    def _print(self, row: Mapping[str, Any]) -> None:
        from ._columns import date, line

        day = date(row, self._roles)
        if day != self._day and self._console.is_terminal:
            self._day = day
            self._console.print(f"{day} UTC", style="bold", markup=False)
        self._console.print(line(row, self._roles), soft_wrap=True)
