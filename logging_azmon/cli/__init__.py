"""The command ``logging-azmon``: a dispatcher, and one module a command beside it.

A module of this package is a command, under its own name with dashes for underscores, if that does not begin with an
underscore. Its docstring's first line is its help. It has ``configure(parser)``, which adds arguments, and
``run(arguments) -> int``, which returns the exit code. What an extra brings is imported inside ``run``; a module that
is missing there is told with the extra to install, which the command names in ``EXTRA``.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

USAGE_ERROR = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    commands = {
        module.name.replace("_", "-"): module.name for module in iter_modules(__path__) if module.name[0] != "_"
    }
    parser = argparse.ArgumentParser(
        prog="logging-azmon", description="Send Python logs as typed rows to your own Log Analytics table."
    )
    parser.add_argument("--version", action="version", version=f"logging-azmon {version('logging-azmon')}")
    chosen = next((word for word in words if not word.startswith("-")), None)
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    for name, module_name in sorted(commands.items()):
        subparser = subparsers.add_parser(name, help=_help(module_name), description=_help(module_name))
        if name == chosen:
            module = import_module(f"{__name__}.{module_name}")
            module.configure(subparser)
            subparser.set_defaults(module=module)
    arguments = parser.parse_args(words)
    if arguments.command is None:
        parser.print_help()
        return USAGE_ERROR
    return _run(arguments.module, arguments)


def _run(module: ModuleType, arguments: argparse.Namespace) -> int:
    try:
        return int(module.run(arguments))
    except ModuleNotFoundError as error:
        extra = getattr(module, "EXTRA", None)
        if extra is None:
            raise
        needed = f"{error.name} is missing: python -m pip install 'logging-azmon[{extra}]'"
        print(f"logging-azmon {arguments.command}: {needed}", file=sys.stderr)
        return USAGE_ERROR


def _help(module_name: str) -> str:
    """Read the first line of a command's docstring without importing it: some commands bring a lot."""
    spec = find_spec(f"{__name__}.{module_name}")
    source = Path(spec.origin).read_text(encoding="utf-8") if spec is not None and spec.origin else ""
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]
