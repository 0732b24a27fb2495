"""Makes the consoles that commands print to: as wide as the terminal, or as needed where nobody looks."""

from __future__ import annotations

import io
import select
import sys
from typing import IO

from rich.console import Console

LEVEL_COLOURS = {"CRITICAL": "magenta", "ERROR": "red", "WARNING": "yellow", "INFO": "blue", "DEBUG": "bright_black"}
# Where output goes to a file or a pipe, no line is broken because of a width that nobody has.
_PIPE_WIDTH = 10_000


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Let the dispatcher end the command well: who reads, as `head` does, has seen enough."""
        raise BrokenPipeError


def output_console() -> Console:
    """Return a console on the standard output."""
    _never_fail(sys.stdout)
    made = _Console(highlight=False)
    return made if made.is_terminal else _Console(highlight=False, width=_PIPE_WIDTH)


def has_lost_reader(out: IO[str]) -> bool:
    """Tell whether a pipe has lost its reader, which is seen otherwise only when something is written."""
    if not hasattr(select, "poll"):
        return False  # pragma: no cover - Windows
    poll = select.poll()
    try:
        poll.register(out.fileno(), 0)
    except (OSError, ValueError):
        return False  # a stand-in without a file
    return any(event & select.POLLERR for _, event in poll.poll(0))


def error_console() -> Console:
    """Return a console on the standard error output: for what is no result."""
    _never_fail(sys.stderr)
    return Console(stderr=True, highlight=False)


def _never_fail(out: IO[str]) -> None:
    """Have written what the terminal's encoding lacks as escapes: what was logged may be in any language."""
    if isinstance(out, io.TextIOWrapper):
        out.reconfigure(errors="backslashreplace")
