"""Check, step by step, whether rows will arrive: configuration, network, token, rule, stream, columns.

Exit code 0: no problem was found; 1: rows will not arrive, or not completely; 2: usage error.
"""

from __future__ import annotations

import argparse
import logging
import os
import threading
from typing import TYPE_CHECKING, Any

from ..._config.environment import setting
from ...errors import ConfigurationError
from .._shared.numbers import number
from .._shared.options import add_options, pipeline_arguments

if TYPE_CHECKING:
    from rich.console import Console

EXTRA = "cli"
PROBLEM = 1
WAIT_SECONDS = 300.0
_MAX_WIDTH = 100
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
        help="with --send, wait until the row can be queried, at most SECONDS (%(const)g)",
    )
    parser.add_argument("--json", action="store_true", help="print the steps as JSON")
    parser.add_argument(
        "--workspace",
        metavar="ID",
        help="workspace to query for the row; default: LOGS_WORKSPACE_ID, else the one that the rule writes to",
    )
    parser.add_argument(
        "--resource-manager",
        metavar="URL",
        help="Azure Resource Manager, from which rule and table are read; default: that of the cloud",
    )
    add_options(parser, dcr="data collection rule as JSON to compare the columns with, instead of asking Azure for it")


def run(arguments: argparse.Namespace) -> int:
    """Take the steps; return 0, or 1 if one found a problem."""
    from .._shared.console import output_console
    from .sequence import Check
    from .steps import Steps

    if arguments.wait is not None and not arguments.send:
        raise ConfigurationError(["--wait waits for the row that --send sends: give --send as well"])
    # The steps report errors of the SDK; without this its warnings would also go to standard error.
    logging.getLogger("azure").addHandler(logging.NullHandler())
    steps = Steps(None if arguments.json else _readable(output_console()))
    Check(arguments, _handler_arguments(arguments), steps, threading.Event().wait).take()
    steps.conclude()
    if arguments.json:
        print(steps.json())
    return PROBLEM if steps.has_problem else 0


def _handler_arguments(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the handler's arguments without --dcr: columns read from the rule could not differ from it."""
    handler = pipeline_arguments(argparse.Namespace(**{**vars(arguments), "dcr": None}))
    if arguments.dcr is not None and "stream" not in handler and setting("stream", {}, os.environ) is None:
        from .deployed import only_stream

        handler |= only_stream(arguments.dcr)
    return handler


def _readable(console: Console) -> Console:
    """Limit the width, even in a pipe: the output is sentences, not rows."""
    console.width = min(console.width, _MAX_WIDTH)
    return console
