"""Run a local workspace: ingestion endpoint, tables, KQL and a page, without Azure.

Data goes to memory, or stays in the directory given with --data. Ctrl-C ends the command; what was accepted is stored.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ._shared.interrupts import stopping, wait_until_stopped

if TYPE_CHECKING:
    from ..local import Workspace

EXTRA = "local"
EXAMPLES = ("logging-azmon serve", "logging-azmon serve --dcr rule.json --data workspace")
PORT = 8787


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--port", type=int, default=PORT, help="port to listen on, 0 for any free one (%(default)s)")
    parser.add_argument("--data", metavar="DIR", help="keep tables and certificates in this directory, else in memory")
    parser.add_argument(
        "--dcr",
        metavar="FILE",
        action="append",
        default=[],
        help="data collection rule as JSON, several times for several; else the rule dcr-local with Custom-App",
    )
    parser.add_argument("--tls", action="store_true", help="speak https with a certificate made for this machine")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (%(default)s); with any other, everybody who reaches this machine can read the"
        " tables and write into them",
    )
    parser.add_argument(
        "--name",
        metavar="HOST",
        action="append",
        default=[],
        help="further host name that clients use, such as a compose service's",
    )
    parser.add_argument(
        "--fault",
        metavar="FAULT",
        action="append",
        default=[],
        help="play a fault with the first uploads: 503*3, 429*2,retry-after=5, latency=0.5*10, reset, outage=10",
    )
    parser.add_argument("--requests-per-minute", type=int, metavar="N", help="answer more with 429; Azure: 12000")
    parser.add_argument("--rows-per-minute", type=int, metavar="N", help="answer more with 429")
    parser.add_argument("--discard", action="store_true", help="store nothing: a sink for benchmarks")


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    from ..local import Workspace

    workspace = Workspace(
        arguments.dcr,
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
        print("Stopping: what was accepted is being stored.", flush=True)
    return 0


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
            "So that Python and Node clients trust its certificate:",
            "",
            *(f"export {name}={value}" for name, value in workspace.trust_environment.items()),
            "",
            "So that DefaultAzureCredential and ManagedIdentityCredential find a token:",
            "",
            *(f"export {name}={value}" for name, value in workspace.identity_environment.items()),
        ]
    if arguments.host != "127.0.0.1":
        lines += ["", f"Listening on {arguments.host}: whoever reaches it can read the tables and write into them."]
    if arguments.discard:
        lines += ["", "Rows are thrown away (--discard)."]
    return "\n".join([*lines, "", f"Look at the tables: {workspace.endpoint}/", "Ctrl-C ends it."])
