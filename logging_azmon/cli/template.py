"""Print what Azure needs for your columns: table, rule, endpoint and role, in Bicep, ARM, Terraform or az.

The table and the stream get the very columns that the handler sends; what has no option becomes a parameter.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._config.presets import BUILT_IN
from .._config.settings import ENVIRONMENT
from ..errors import ConfigurationError
from ..infra import COMMANDS, RENDERERS, VALUES, Design
from ..infra.naming import PLANS
from ._shared.options import add_column_options, pipeline_arguments, read_settings

# Of all this, only a configuration in YAML is read by what comes with it.
EXTRA = "cli"
EXAMPLES = (
    "logging-azmon template bicep --table Shop_CL -o shop.bicep",
    "logging-azmon template terraform --config logging.json",
    "logging-azmon template arm --columns syslog --dce",
)

# Checked like a real one, and never used: what is made here has no address yet.
_ANY_ADDRESS = {"endpoint": "https://not-deployed-yet.example", "rule_id": "dcr-not-deployed-yet"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("language", metavar="LANGUAGE", choices=tuple(RENDERERS), help=", ".join(RENDERERS))
    parser.add_argument("-o", "--output", metavar="FILE", help="write to this file instead of printing")
    group = parser.add_argument_group("what is made", "what is left out becomes a parameter of the template")
    group.add_argument("--table", metavar="NAME", help="the table, …_CL or Azure's own; else by the stream's name")
    group.add_argument("--plan", default="Analytics", help=f"the table's plan: {', '.join(PLANS)} (%(default)s)")
    group.add_argument(
        "--retention-days", type=int, metavar="DAYS", help="how long rows can be queried, else as in the workspace"
    )
    group.add_argument("--total-retention-days", type=int, metavar="DAYS", help="how long rows are kept in all")
    group.add_argument("--rule", metavar="NAME", help="the data collection rule, else by the table's name")
    group.add_argument(
        "--dce",
        metavar="NAME",
        nargs="?",
        const="",
        help="make a data collection endpoint, which private link needs; else the rule has an endpoint of its own",
    )
    group.add_argument("--workspace", metavar="NAME", help="the Log Analytics workspace, which exists")
    group.add_argument("--resource-group", metavar="NAME", help="its resource group (terraform and az)")
    group.add_argument("--location", metavar="REGION", help="its region, else that of the resource group or workspace")
    group.add_argument("--principal-id", metavar="ID", help="object id of the identity that sends")
    add_column_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print or write the template; return 0."""
    design = _design(arguments)
    text = RENDERERS[arguments.language](design)
    if arguments.output is None:
        print(text, end="", flush=True)
    else:
        try:
            Path(arguments.output).write_text(text, "utf-8", newline="\n")
        except OSError as error:
            raise ConfigurationError([f"-o {arguments.output} cannot be written: {error.strerror or error}"]) from error
    print(_next_steps(arguments, design), file=sys.stderr)
    return 0


def _design(arguments: argparse.Namespace) -> Design:
    given = pipeline_arguments(arguments)
    stream = given.get("stream") or os.environ.get(ENVIRONMENT["stream"], "").strip()
    table = arguments.table or _table_for(given, stream)
    stream = stream or f"Custom-{_base(table)}"
    # The columns are checked as a handler would check them.
    settings = read_settings({**given, **_ANY_ADDRESS, "stream": stream, "credential": None})
    name = re.sub(r"[^a-z0-9]+", "-", _base(table).lower()).strip("-")
    return Design(
        columns=settings.table,
        table=table,
        stream=stream,
        rule=arguments.rule or f"dcr-{name}"[:30].strip("-"),
        plan=arguments.plan,
        retention_days=arguments.retention_days,
        total_retention_days=arguments.total_retention_days,
        dce=f"dce-{name}"[:44].strip("-") if arguments.dce == "" else arguments.dce,
        resource_group=arguments.resource_group,
        workspace=arguments.workspace,
        location=arguments.location,
        principal_id=arguments.principal_id,
    )


def _table_for(given: Mapping[str, Any], stream: str) -> str:
    columns = given.get("columns")
    if isinstance(columns, str) and columns in BUILT_IN:
        return BUILT_IN[columns].removeprefix("Microsoft-")
    return re.sub(r"[^A-Za-z0-9]+", "_", _base(stream.removeprefix("Custom-") or "App")) + "_CL"


def _base(table: str) -> str:
    return table.removesuffix("_CL")


def _next_steps(arguments: argparse.Namespace, design: Design) -> str:
    def filled(command: str) -> str:
        group = shlex.quote(arguments.resource_group or "RESOURCE_GROUP")
        return command.replace("RESOURCE_GROUP", group).replace("FILE", shlex.quote(arguments.output or "FILE"))

    lines = ["Next:", f"  {filled(COMMANDS[arguments.language])}"]
    lines.append("Then give the handler these three, as arguments or in the environment:")
    lines += [f"  {name}" for name in list(ENVIRONMENT.values())[:2]]
    lines.append(f"  {ENVIRONMENT['stream']}={design.stream}")
    read = filled(VALUES[arguments.language])
    lines.append(f"  (from: {read})" if read else "  (the script prints them)")
    lines.append("And see whether rows arrive: logging-azmon check --send --wait")
    return "\n".join(lines)
