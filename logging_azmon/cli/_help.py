"""Writes help: a command's first words, its options, examples to copy; in colours where there are any to be had."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from functools import cache
from typing import ClassVar

# Descriptions are written as they are, so that examples are, too.
WIDTH = 78


class Parser(argparse.ArgumentParser):
    """Print help also where only ASCII can be printed."""

    def format_help(self) -> str:
        """Return the help, in characters that the standard output has."""
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        written = super().format_help()
        if not encoding.lower().startswith("utf"):
            written = written.replace("…", "...").encode(encoding, "replace").decode(encoding)
        return written


def formatter(prog: str) -> argparse.HelpFormatter:
    """Make argparse's formatter: looked for when help is asked for, because colours take their time to import."""
    return formatter_class()(prog)


def examples(commands: Iterable[str]) -> str | None:
    """Write what stands below the options."""
    lines = [f"  {command}" for command in commands]
    return "\n".join(["examples:", *lines]) if lines else None


@cache
def formatter_class() -> type[argparse.HelpFormatter]:
    """Find the formatter that can be had."""
    try:
        from rich_argparse import RawDescriptionRichHelpFormatter
    except ImportError:
        return argparse.RawDescriptionHelpFormatter

    class Formatter(RawDescriptionRichHelpFormatter):
        """Say the same as without colours: no markup, and headings in argparse's own case."""

        group_name_formatter: ClassVar[Callable[[str], str]] = str
        help_markup = False
        text_markup = False

    return Formatter
