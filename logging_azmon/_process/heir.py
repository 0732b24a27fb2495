"""Let one child take over the rows that were logged before uWSGI forked, because its master cannot deliver them.

Rules: the master writes one byte into a pipe. Every child inherits the pipe and the rows, and the child that reads the
byte is the heir: no other child can read it, whenever it was forked.
"""

from __future__ import annotations

import os
from contextlib import suppress

from .thread_support import is_silent_master

# The ends of the pipe, for reading and for writing.
_pipe: tuple[int, int] | None = None


def offer() -> None:
    """Prepare for an heir, if this process will not be able to deliver its rows."""
    global _pipe  # noqa: PLW0603 - one heir per process
    if _pipe is None and is_silent_master():
        with suppress(OSError):
            _pipe = os.pipe()
            os.set_blocking(_pipe[0], False)
            os.write(_pipe[1], b"1")


def is_heir() -> bool:
    """Return, in a forked child, whether it takes over its parent's rows; only the first call can return True."""
    global _pipe
    pipe, _pipe = _pipe, None
    if pipe is None:
        return False
    try:
        return os.read(pipe[0], 1) == b"1"
    except OSError:
        return False
    finally:
        for descriptor in pipe:
            with suppress(OSError):
                os.close(descriptor)
