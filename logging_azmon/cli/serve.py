"""Run a local workspace without Azure: an ingestion endpoint, tables, KQL queries and a web page.

Tables are in memory, or in the directory given with --data. Ctrl-C ends the command; accepted rows are stored first.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from ._shared.interrupts import stopping, wait_until_stopped
from ._shared.numbers import whole_number
from ._shared.options import add_configuration

if TYPE_CHECKING:
    from .._config.dcr import Document
    from ..local import Workspace

EXTRA = "local"
EXAMPLES = (
    "logging-azmon serve",
    "logging-azmon serve --config logging.json",
    "logging-azmon serve --dcr rule.json --data workspace",
)
PORT = 8787


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--port", type=int, default=PORT, metavar="N", help="port; 0 picks a free one (%(default)s)")
    parser.add_argument(
        "--data", metavar="DIR", help="keep tables and certificates in this directory (default: memory)"
    )
    parser.add_argument(
        "--dcr",
        metavar="FILE",
        action="append",
        default=[],
        help="data collection rule as JSON; may be repeated (default: a rule dcr-local with the stream Custom-App)",
    )
    add_configuration(
        parser.add_argument_group(
            "your columns", "play the rules that an application's handlers need, instead of --dcr"
        )
    )
    parser.add_argument("--tls", action="store_true", help="serve https, with a certificate made for this machine")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (%(default)s); with any other, everyone who can reach this machine can read and"
        " write the tables",
    )
    parser.add_argument(
        "--name",
        metavar="HOST",
        action="append",
        default=[],
        help="another host name that clients use, such as that of a compose service; may be repeated",
    )
    parser.add_argument(
        "--fault",
        metavar="FAULT",
        action="append",
        default=[],
        help="inject a fault into the next uploads: 503*3, 429*2,retry-after=5, latency=0.5*10, reset, outage=10;"
        " may be repeated",
    )
    parser.add_argument(
        "--requests-per-minute",
        type=whole_number("number of requests"),
        metavar="N",
        help="answer 429 beyond N (Azure: 12000)",
    )
    parser.add_argument(
        "--rows-per-minute", type=whole_number("number of rows"), metavar="N", help="answer 429 beyond N"
    )
    parser.add_argument("--discard", action="store_true", help="accept rows but do not store them, for benchmarks")


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    from ..local import Workspace

    workspace = Workspace(
        _rules(arguments),
        data=arguments.data,
        host=arguments.host,
        port=arguments.port,
        tls=arguments.tls,
        names=arguments.name,
        faults=arguments.fault,
        requests_per_minute=arguments.requests_per_minute,
        rows_per_minute=arguments.rows_per_minute,
        discard=arguments.discard,
    )
    with stopping() as stopped, workspace:
        print(_greeting(workspace, arguments), flush=True)
        wait_until_stopped(stopped)
        print("Stopping: storing the accepted rows.", flush=True)
    return 0


def _rules(arguments: argparse.Namespace) -> list[Document]:
    if arguments.config is not None and arguments.dcr:
        raise ConfigurationError(["--config and --dcr are two ways to say which rules are played: give one of them"])
    if arguments.config is None:
        if arguments.handler is not None:
            raise ConfigurationError([f"--handler {arguments.handler} needs --config"])
        return list(arguments.dcr)
    # Late: `serve` without --config needs neither.
    from ._shared.application_config import handler_arguments
    from ._shared.rule_design import rules_for

    handlers = handler_arguments(arguments.config, arguments.handler, is_deployed=False, takes_all=True)
    return rules_for(handlers)


def _greeting(workspace: Workspace, arguments: argparse.Namespace) -> str:
    kept = f"kept in {arguments.data}" if arguments.data else "in memory"
    lines = [
        f"Local workspace, {kept}. Set these where your program runs:",
        "",
        *(f"export {name}={value}" for name, value in workspace.environment.items()),
    ]
    if workspace.ca_path is not None:
        lines += [
            "",
            "For Python and Node clients to trust its certificate:",
            "",
            *(f"export {name}={value}" for name, value in workspace.trust_environment.items()),
            "",
            "For DefaultAzureCredential and ManagedIdentityCredential to get a token:",
            "",
            *(f"export {name}={value}" for name, value in workspace.identity_environment.items()),
        ]
    if arguments.host != "127.0.0.1":
        lines += ["", f"Listening on {arguments.host}: everyone who can reach it can read and write the tables."]
    if arguments.discard:
        lines += ["", "Rows are accepted but not stored (--discard)."]
    return "\n".join([*lines, "", f"See the tables at {workspace.endpoint}/", "Ctrl-C ends it."])
