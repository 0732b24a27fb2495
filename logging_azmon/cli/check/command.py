"""Find out whether rows will arrive: configuration, network, token, rule, stream and columns, step by step.

Exit code 0: no problem was found; 1: rows will not arrive, or not whole; 2: the command was not understood.
"""

from __future__ import annotations

import argparse
import logging
import os
import threading
from typing import TYPE_CHECKING, Any

from ..._config.settings import ENVIRONMENT
from ...errors import ConfigurationError
from .._shared.numbers import number
from .._shared.options import add_options, pipeline_arguments

if TYPE_CHECKING:
    from rich.console import Console

EXTRA = "cli"
PROBLEM = 1
WAIT_SECONDS = 300.0
_MOST_WIDTH = 100
EXAMPLES = (
    "logging-azmon check",
    "logging-azmon check --send --wait",
    "logging-azmon check --config logging.json --dcr rule.json --json",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--send", action="store_true", help="send one marked row")
    parser.add_argument(
        "--wait",
        type=number("number of seconds", 0.001, 86_400),
        metavar="SECONDS",
        nargs="?",
        const=WAIT_SECONDS,
        help="with --send, look for the row in the workspace until it is there (%(const)g)",
    )
    parser.add_argument("--json", action="store_true", help="write the steps as JSON")
    parser.add_argument(
        "--workspace", metavar="ID", help="where to look for it, else LOGS_WORKSPACE_ID, or the one the rule writes to"
    )
    parser.add_argument(
        "--resource-manager",
        metavar="URL",
        help="Azure Resource Manager, which knows the rule and the table; else that of the cloud",
    )
    add_options(parser, dcr="the rule to compare the columns with, instead of asking Azure Resource Manager for it")


def run(arguments: argparse.Namespace) -> int:
    """Take the steps; return 0, or 1 if there is a problem."""
    from .._shared.console import output_console
    from .sequence import Check
    from .steps import Steps

    if arguments.wait is not None and not arguments.send:
        raise ConfigurationError(["--wait looks for the row that --send sends: give --send, too"])
    given = _given(arguments)
    # What the SDK has to say is in the steps.
    logging.getLogger("azure").addHandler(logging.NullHandler())
    steps = Steps(None if arguments.json else _readable(output_console()))
    Check(arguments, given, steps, threading.Event().wait).take()
    steps.conclude()
    if arguments.json:
        print(steps.json())
    return PROBLEM if steps.has_problem else 0


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the handler's arguments; its columns are compared with the rule, and so are not read from it."""
    given = pipeline_arguments(argparse.Namespace(**{**vars(arguments), "dcr": None}))
    if arguments.dcr is not None and "stream" not in given and not os.environ.get(ENVIRONMENT["stream"]):
        from .deployed import only_stream

        given |= only_stream(arguments.dcr)
    return given


def _readable(console: Console) -> Console:
    """Break lines where they are piped, too: these are sentences, no rows."""
    console.width = min(console.width, _MOST_WIDTH)
    return console
