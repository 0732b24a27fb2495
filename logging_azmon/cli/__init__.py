"""Dispatch ``logging-azmon``: find the commands beside this module, parse the arguments, run one of them.

A command is a module of this package, or a package with a module `command` in it, whose name does not begin with an
underscore: ``logging-azmon check`` is `check/command.py`, ``logging-azmon serve`` is `serve.py`. Underscores in a name
become dashes. `_shared/` holds what several commands use.

The first line of the module's docstring is the command's help. The module has ``configure(parser)``, which adds the
arguments, and ``run(arguments) -> int``, which returns the exit code. Heavy imports belong inside ``run``: if a module
is missing there, an error message names the extra to install, ``EXTRA``. A ConfigurationError is printed as it is, with
exit code 2. ``EXAMPLES`` are shown below the help; tests/cli/test_examples.py runs each of them.
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

from .._process import implementation
from ..errors import ConfigurationError
from ._shared.help import WIDTH, Parser, format_examples, make_formatter, print_error, suggestion

USAGE_ERROR = 2
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; argparse raises SystemExit for --help, --version and usage errors."""
    words = sys.argv[1:] if argv is None else argv
    commands = dict(find_commands())
    parser = build_parser()
    if words and not words[0].startswith("-") and words[0] not in commands:
        known = ", ".join(commands)
        parser.error(f"unknown command {words[0]!r}{suggestion(words[0], commands)}; choose from {known}")
    arguments = parser.parse_args(words)
    if arguments.command is None:
        parser.print_help(sys.stderr)
        return USAGE_ERROR
    return _run(commands[arguments.command], arguments)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    parser = Parser(
        prog="logging-azmon",
        description="Send Python logs as typed rows to your own Log Analytics table.",
        formatter_class=make_formatter,
    )
    shown = f"logging-azmon {version('logging-azmon')} ({implementation.name()})"
    parser.add_argument("--version", action="version", version=shown)
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    for name, module in find_commands():
        summary = (module.__doc__ or "").partition("\n")[0]
        command = subparsers.add_parser(
            name,
            help=summary,
            description=textwrap.fill(summary, WIDTH),
            epilog=format_examples(getattr(module, "EXAMPLES", ())),
            formatter_class=make_formatter,
        )
        module.configure(command)
    return parser


def find_commands() -> Iterator[tuple[str, ModuleType]]:
    """Yield each command as its name and its module, in the order of the names."""
    for entry in sorted(iter_modules(__path__), key=lambda entry: entry.name):
        if not entry.name.startswith("_"):
            path = f"{entry.name}.command" if entry.ispkg else entry.name
            yield entry.name.replace("_", "-"), import_module(f"{__name__}.{path}")


def _run(module: ModuleType, arguments: argparse.Namespace) -> int:
    try:
        code = int(module.run(arguments))
        sys.stdout.flush()
        return code
    except ConfigurationError as error:
        print_error(f"logging-azmon {arguments.command}: {error}")
        return USAGE_ERROR
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has closed the pipe, as `head` does. Without this, the flush at exit would raise.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ModuleNotFoundError as error:
        extra = getattr(module, "EXTRA", None)
        if extra is None:
            raise
        message = f"{error.name} is missing: python -m pip install 'logging-azmon[{extra}]'"
        print_error(f"logging-azmon {arguments.command}: {message}")
        return USAGE_ERROR
