"""Writes help: a command's first words, its options, examples to copy; in colours where there are any to be had."""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable
from functools import cache
from typing import ClassVar, NoReturn

# Descriptions are written as they are, so that examples are, too.
WIDTH = 78
_LEAST_WIDTH = 30


class Parser(argparse.ArgumentParser):
    """Print help also where only ASCII can be printed."""

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """End; what is said last fits the terminal."""
        super().exit(status, f"{wrap_for_terminal(message.rstrip())}\n" if message else message)

    def format_help(self) -> str:
        """Return the help, in characters that the standard output has."""
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        written = super().format_help()
        if not encoding.lower().startswith("utf"):
            written = written.replace("…", "...").encode(encoding, "replace").decode(encoding)
        return written


def print_error(said: str) -> None:
    """Say on the standard error output what is wrong."""
    print(wrap_for_terminal(said), file=sys.stderr)


def wrap_for_terminal(said: str) -> str:
    """Break long lines between words if somebody reads them on a terminal; `grep` gets them whole."""
    if not sys.stderr.isatty():
        return said
    width = shutil.get_terminal_size().columns
    return "\n".join(
        textwrap.fill(
            line,
            max(width, _LEAST_WIDTH),
            subsequent_indent=" " * (len(line) - len(line.lstrip()) + 2),
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in said.split("\n")
    )


def make_formatter(prog: str) -> argparse.HelpFormatter:
    """Make argparse's make_formatter: looked for when help is asked for, because colours take their time to import."""
    return formatter_class()(prog)


def format_examples(commands: Iterable[str]) -> str | None:
    """Write what stands below the options."""
    lines = [f"  {command}" for command in commands]
    return "\n".join(["examples:", *lines]) if lines else None


class _Aligned(argparse.RawDescriptionHelpFormatter):
    """Leave room for the longest command, which argparse measures without its indent."""

    def add_argument(self, action: argparse.Action) -> None:
        super().add_argument(action)
        if isinstance(action.choices, dict):
            longest = max(map(len, action.choices), default=0) + self._current_indent + self._indent_increment
            self._action_max_length = max(self._action_max_length, longest)


@cache
def formatter_class() -> type[argparse.HelpFormatter]:
    """Find the make_formatter that can be had."""
    try:
        from rich_argparse import RawDescriptionRichHelpFormatter
    except ImportError:
        return _Aligned

    class Formatter(_Aligned, RawDescriptionRichHelpFormatter):
        """Say the same as without colours: no markup, and headings in argparse's own case."""

        group_name_formatter: ClassVar[Callable[[str], str]] = str
        help_markup = False
        text_markup = False

    return Formatter
