"""Makes the consoles that commands print to: as wide as the terminal, or as needed where nobody looks."""

from __future__ import annotations

from rich.console import Console

# Where output goes to a file or a pipe, no line is broken because of a width that nobody has.
_PIPE_WIDTH = 10_000


def console() -> Console:
    """Return a console on the standard output."""
    made = Console(highlight=False)
    return made if made.is_terminal else Console(highlight=False, width=_PIPE_WIDTH)


def errors() -> Console:
    """Return a console on the standard error output: for what is no result."""
    return Console(stderr=True, highlight=False)
