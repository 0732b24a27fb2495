"""Print the Azure resources for your columns: table, rule, endpoint and role, in Bicep, ARM, Terraform or az.

Table and stream get exactly the columns that the handler sends. Names that no option gives become parameters.
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from pathlib import Path

from .._config.settings import ENVIRONMENT
from ..errors import ConfigurationError
from ..infra import COMMANDS, OPERATED, RENDERERS, VALUES, Design, left_out
from ..infra.az import missing_variables
from ..infra.design import PRINCIPAL_TYPES
from ..infra.naming import PLANS
from ._shared.options import add_column_options, pipeline_arguments
from ._shared.rule_design import base_of, default_table, stream_and_table, table_of

# Needed only to read a --config in YAML.
EXTRA = "cli"
EXAMPLES = (
    "logging-azmon template bicep --table Shop_CL -o shop.bicep",
    "logging-azmon template terraform --config logging.json",
    "logging-azmon template arm --columns syslog --dce",
    "logging-azmon template bicep --diagnostics --alerts ops@example.com --workbook -o logs.bicep",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("language", metavar="LANGUAGE", choices=tuple(RENDERERS), help=", ".join(RENDERERS))
    parser.add_argument("-o", "--output", metavar="FILE", help="write to this file instead of standard output")
    group = parser.add_argument_group("resources", "names that are not given become parameters of the template")
    group.add_argument(
        "--table", metavar="NAME", help="table, NAME_CL or one of Azure's own; default: named after the stream"
    )
    group.add_argument(
        "--plan", metavar="PLAN", default="Analytics", help=f"plan of the table: {', '.join(PLANS)} (%(default)s)"
    )
    group.add_argument(
        "--retention-days", type=int, metavar="DAYS", help="how long rows can be queried; default: the workspace's"
    )
    group.add_argument(
        "--total-retention-days",
        type=int,
        metavar="DAYS",
        help="how long rows are kept in all, including long-term retention",
    )
    group.add_argument("--rule", metavar="NAME", help="data collection rule; default: named after the table")
    group.add_argument(
        "--dce",
        metavar="NAME",
        nargs="?",
        const="",
        help="create a data collection endpoint, which private link needs; default: the rule has its own endpoint",
    )
    group.add_argument(
        "--dce-id",
        metavar="ID",
        help="use this data collection endpoint, by its resource id; a workspace's own takes part in its replication",
    )
    group.add_argument("--workspace", metavar="NAME", help="existing Log Analytics workspace")
    group.add_argument("--resource-group", metavar="NAME", help="resource group of the workspace (terraform and az)")
    group.add_argument(
        "--location", metavar="REGION", help="region of the workspace; default: that of the resource group or workspace"
    )
    group.add_argument("--principal-id", metavar="ID", help="object id of the identity that sends rows")
    group.add_argument(
        "--principal-type",
        metavar="TYPE",
        default=PRINCIPAL_TYPES[0],
        help=f"kind of that identity: {', '.join(PRINCIPAL_TYPES)} (%(default)s)",
    )
    watching = parser.add_argument_group("operations", "in bicep and arm: what watches the rows once they flow")
    watching.add_argument(
        "--diagnostics",
        action="store_true",
        help="collect the rule's errors in the workspace, in the table DCRLogErrors",
    )
    watching.add_argument(
        "--alerts",
        metavar="TO",
        help="alert this e-mail address, or this action group by its resource id, when rows are dropped, lost, missing"
        " or no longer arrive, and near the rule's quota",
    )
    watching.add_argument(
        "--workbook", action="store_true", help="a workbook: rows by level and source, losses, gaps, slowest, volume"
    )
    add_column_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print or write the template; return 0."""
    design = _design(arguments)
    if arguments.language not in OPERATED and (design.diagnostics or design.alerts or design.workbook):
        known = " and ".join(OPERATED)
        text = f"--diagnostics, --alerts and --workbook are written in {known}, not {arguments.language}"
        raise ConfigurationError([text])
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
    pipeline = pipeline_arguments(arguments, is_deployed=False)
    stream, table = stream_and_table(pipeline, arguments.table)
    name = re.sub(r"[^a-z0-9]+", "-", base_of(table).lower()).strip("-")
    return Design(
        columns=table_of(pipeline, stream),
        table=table,
        stream=stream,
        rule=arguments.rule or f"dcr-{name}"[:30].strip("-"),
        plan=arguments.plan,
        retention_days=arguments.retention_days,
        total_retention_days=arguments.total_retention_days,
        dce=f"dce-{name}"[:44].strip("-") if arguments.dce == "" else arguments.dce,
        dce_id=arguments.dce_id,
        resource_group=arguments.resource_group,
        workspace=arguments.workspace,
        location=arguments.location,
        principal_id=arguments.principal_id,
        principal_type=arguments.principal_type,
        diagnostics=arguments.diagnostics,
        alerts=arguments.alerts,
        workbook=arguments.workbook,
    )


def _variables_to_set(design: Design) -> list[str]:
    """Return what the script for az needs in the environment, as far as no option has given it."""
    needed = missing_variables(design)
    needed["PRINCIPAL_TYPE"] = "User if the identity is a user (default: ServicePrincipal)"
    return ["First, export:", *(f"  {name}: {meaning}" for name, meaning in needed.items())]


def _next_steps(arguments: argparse.Namespace, design: Design) -> str:
    def filled(command: str) -> str:
        group = shlex.quote(arguments.resource_group or "RESOURCE_GROUP")
        return command.replace("RESOURCE_GROUP", group).replace("FILE", shlex.quote(arguments.output or "FILE"))

    lines = ["Next:", f"  {filled(COMMANDS[arguments.language])}"]
    if arguments.language == "az":
        lines = [*_variables_to_set(design), *lines]
        lines.append("azure.env then holds the three variables of the handler, and this shell has them:")
    else:
        lines.append("Then set these three for the handler, as arguments or in the environment:")
    lines += [f"  {name}" for name in list(ENVIRONMENT.values())[:2]]
    lines.append(f"  {ENVIRONMENT['stream']}={design.stream}")
    if source := filled(VALUES[arguments.language]):
        lines.append(f"  (printed by: {source})")
    if missing := left_out(design):
        lines += ["Left out:", *(f"  {each}" for each in missing)]
    lines.append("Then check whether rows arrive: logging-azmon check --send --wait")
    if design.table != default_table(design.stream):
        lines.append(f"Follow them: logging-azmon tail {design.table}")
    return "\n".join(lines)
