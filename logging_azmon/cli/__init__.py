"""The command ``logging-azmon``: a dispatcher, and one module a command beside it.

A module of this package is a command, under its own name with dashes for underscores, if that does not begin with an
underscore. Its docstring's first line is its help. It has ``configure(parser)``, which adds arguments, and
``run(arguments) -> int``, which returns the exit code. What is heavy is imported inside ``run``; if a module is
missing there, the user is told to install the extra that the command names in ``EXTRA``. A ConfigurationError is
printed as it is, and the exit code is 2. Its ``EXAMPLES`` stand below its help; tests/test_cli_examples.py runs them.
"""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.metadata import version
from pkgutil import iter_modules
from types import ModuleType

from ..cli import _help
from ..errors import ConfigurationError

USAGE_ERROR = 2
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; what argparse refuses or answers itself ends in SystemExit."""
    words = sys.argv[1:] if argv is None else argv
    commands = dict(find_commands())
    parser = build_parser()
    if words and not words[0].startswith("-") and words[0] not in commands:
        parser.error(f"unknown command {words[0]!r}; choose from {', '.join(commands)}")
    arguments = parser.parse_args(words)
    if arguments.command is None:
        parser.print_help(sys.stderr)
        return USAGE_ERROR
    return _run(commands[arguments.command], arguments)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    parser = _help.Parser(
        prog="logging-azmon",
        description="Send Python logs as typed rows to your own Log Analytics table.",
        formatter_class=_help.formatter,
    )
    parser.add_argument("--version", action="version", version=f"logging-azmon {version('logging-azmon')}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    for name, module in find_commands():
        said = (module.__doc__ or "").partition("\n")[0]
        command = subparsers.add_parser(
            name,
            help=said,
            description=textwrap.fill(said, _help.WIDTH),
            epilog=_help.examples(getattr(module, "EXAMPLES", ())),
            formatter_class=_help.formatter,
        )
        module.configure(command)
    return parser


def find_commands() -> Iterator[tuple[str, ModuleType]]:
    """Yield each command by its name."""
    for found in sorted(iter_modules(__path__), key=lambda found: found.name):
        if not found.name.startswith("_"):
            yield found.name.replace("_", "-"), import_module(f"{__name__}.{found.name}")


def _run(module: ModuleType, arguments: argparse.Namespace) -> int:
    try:
        code = int(module.run(arguments))
        sys.stdout.flush()
        return code
    except ConfigurationError as error:
        _help.complain(f"logging-azmon {arguments.command}: {error}")
        return USAGE_ERROR
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever reads has seen enough, as `head` has; the interpreter would complain when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ModuleNotFoundError as error:
        extra = getattr(module, "EXTRA", None)
        if extra is None:
            raise
        needed = f"{error.name} is missing: python -m pip install 'logging-azmon[{extra}]'"
        _help.complain(f"logging-azmon {arguments.command}: {needed}")
        return USAGE_ERROR
