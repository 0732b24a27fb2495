"""Make the consoles that commands print to, and define the colour of each level."""

from __future__ import annotations

import io
import select
import sys
from typing import IO

from rich.console import Console

LEVEL_COLOURS = {"CRITICAL": "magenta", "ERROR": "red", "WARNING": "yellow", "INFO": "blue", "DEBUG": "bright_black"}
# Width when output goes to a file or a pipe, so that no line is broken.
_PIPE_WIDTH = 10_000


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Let the dispatcher end the command with success: the reader, such as `head`, has closed the pipe."""
        raise BrokenPipeError


def output_console() -> Console:
    """Return a console on standard output."""
    _never_fail(sys.stdout)
    made = _Console(highlight=False)
    return made if made.is_terminal else _Console(highlight=False, width=_PIPE_WIDTH)


def has_lost_reader(out: IO[str]) -> bool:
    """Return whether a pipe has lost its reader, which otherwise shows only at the next write."""
    if not hasattr(select, "poll"):
        return False  # pragma: no cover - Windows
    poll = select.poll()
    try:
        poll.register(out.fileno(), 0)
    except (OSError, ValueError):
        return False  # a stand-in without a file
    return any(event & select.POLLERR for _, event in poll.poll(0))


def error_console() -> Console:
    """Return a console on standard error, for everything that is not a result."""
    _never_fail(sys.stderr)
    return Console(stderr=True, highlight=False)


def _never_fail(out: IO[str]) -> None:
    """Escape characters that the output's encoding lacks: logged text may be in any language."""
    if isinstance(out, io.TextIOWrapper):
        out.reconfigure(errors="backslashreplace")
