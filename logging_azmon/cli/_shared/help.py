"""Format help, with examples to copy and in colours if rich-argparse is installed, and error messages."""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import cache
from typing import Any, ClassVar, NoReturn

from ..._azure.redaction import without_secrets

# argparse prints descriptions and examples as they are given, so descriptions are wrapped here.
WIDTH = 78
_MIN_WIDTH = 30


class Parser(argparse.ArgumentParser):
    """Print help on any terminal, even one that has only ASCII, and say which option was probably meant."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse the arguments; an unknown one ends the command here, where the options are known."""
        parsed, unknown = super().parse_known_args(args, namespace)
        if unknown:
            near = {suggestion(word.partition("=")[0], self._option_string_actions) for word in unknown}
            self.error(f"unrecognized arguments: {' '.join(unknown)}{''.join(sorted(near))}")
        return parsed, unknown

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """Exit, with the message wrapped to the terminal's width."""
        super().exit(status, f"{wrap_for_terminal(message.rstrip())}\n" if message else message)

    def format_help(self) -> str:
        """Return the help in characters that standard output can encode."""
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        text = super().format_help()
        if not encoding.lower().startswith("utf"):
            text = text.replace("…", "...").encode(encoding, "replace").decode(encoding)
        return text


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return a question for the known word that was probably meant, to follow the message; "" if none is similar."""
    near = get_close_matches(word, [*known], 1)
    return f" (did you mean {near[0]}?)" if near else ""


def print_error(message: str) -> None:
    """Print a message to standard error, without tokens and passwords that an error may have quoted."""
    print(wrap_for_terminal(without_secrets(message)), file=sys.stderr)


def wrap_for_terminal(message: str) -> str:
    """Break long lines between words if standard error is a terminal; leave them whole for `grep`."""
    if not sys.stderr.isatty():
        return message
    width = shutil.get_terminal_size().columns
    return "\n".join(
        textwrap.fill(
            line,
            max(width, _MIN_WIDTH),
            subsequent_indent=" " * (len(line) - len(line.lstrip()) + 2),
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in message.split("\n")
    )


def make_formatter(prog: str) -> argparse.HelpFormatter:
    """Make argparse's formatter; it is imported only when help is printed, because colours are slow to import."""
    return formatter_class()(prog)


def format_examples(commands: Iterable[str]) -> str | None:
    """Format the examples that follow the options."""
    lines = [f"  {command}" for command in commands]
    return "\n".join(["examples:", *lines]) if lines else None


class _Aligned(argparse.RawDescriptionHelpFormatter):
    """Leave room for the longest command: argparse measures it without its indentation."""

    def add_argument(self, action: argparse.Action) -> None:
        super().add_argument(action)
        if isinstance(action.choices, dict):
            longest = max(map(len, action.choices), default=0) + self._current_indent + self._indent_increment
            self._action_max_length = max(self._action_max_length, longest)


@cache
def formatter_class() -> type[argparse.HelpFormatter]:
    """Return the formatter with colours if rich-argparse is installed, else the plain one."""
    try:
        from rich_argparse import RawDescriptionRichHelpFormatter
    except ImportError:
        return _Aligned

    class Formatter(_Aligned, RawDescriptionRichHelpFormatter):
        """Print the same text as without colours: no markup, and headings in argparse's own case."""

        group_name_formatter: ClassVar[Callable[[str], str]] = str
        help_markup = False
        text_markup = False

    return Formatter
