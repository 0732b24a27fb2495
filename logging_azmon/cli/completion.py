"""Print a script that lets your shell complete commands, options and file names."""

from __future__ import annotations

import argparse
from typing import Any

EXTRA = "cli"
EXAMPLES = (
    "logging-azmon completion bash > ~/.local/share/bash-completion/completions/logging-azmon",
    "logging-azmon completion zsh > ~/.zfunc/_logging-azmon",
    "logging-azmon completion fish > ~/.config/fish/completions/logging-azmon.fish",
)
SHELLS = ("bash", "zsh", "fish", "tcsh", "powershell")
# The kind of file that an option takes, by its metavar.
_KINDS = {"FILE": "FILE", "DIR": "DIRECTORY", "SOURCE": "FILE"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=", ".join(SHELLS))


def run(arguments: argparse.Namespace) -> int:
    """Print the script; return 0."""
    import shtab

    from ..cli import build_parser

    parser = build_parser()
    for action in _actions(parser):
        kind = _KINDS.get(str(action.metavar))
        if kind is not None:
            action.complete = getattr(shtab, kind)
    print(shtab.complete(parser, arguments.shell))
    return 0


def _actions(parser: argparse.ArgumentParser) -> list[Any]:
    """Return the actions of all commands; argparse has no public way to list them."""
    actions: list[Any] = []
    for action in parser._actions:  # noqa: SLF001
        actions.append(action)
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for command in action.choices.values():
                actions += _actions(command)
    return actions
