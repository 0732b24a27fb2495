"""A mark that says whether this process has restarted since it was forked, also if it was forked without any hook.

uWSGI forks in C and calls none of Python's hooks. So each log call reads a mark that the fork itself resets: on Linux,
a byte of a page that the kernel wipes in each child. Reading it costs 15 ns, a tenth of a call of `os.getpid`.
Elsewhere the mark is never reset, and `IS_WIPED` is False: a log call then compares the process that its record names.
"""

from __future__ import annotations

import mmap
import os
import sys
from typing import Any

# The constant of Linux, since 4.14; not yet in `mmap`.
_MADV_WIPEONFORK = 18


def make_mark() -> tuple[Any, bool]:
    """Return a writable byte, set to 1, and whether the kernel resets it in each forked child."""
    if sys.platform == "linux":
        try:
            page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            page.madvise(_MADV_WIPEONFORK)
        except OSError:  # an older kernel, or an emulated one
            pass
        else:
            page[0] = 1
            return page, True
    return bytearray(b"\1"), False


# `mark[0]` is 0 in a child that has not restarted, and otherwise 1; it is always 1 if the kernel does not reset it.
mark, IS_WIPED = make_mark()
# The process that was marked last.
process = os.getpid()


def is_set() -> bool:
    """Return whether this process was marked itself."""
    return bool(mark[0]) if IS_WIPED else os.getpid() == process


def is_foreign(record: Any) -> bool:
    """Return whether a record may come from a process other than the one that was marked last."""
    return getattr(record, "process", None) != process


def set_mark() -> None:
    """Mark this process as restarted."""
    global process  # noqa: PLW0603 - one mark per process
    process = os.getpid()
    mark[0] = 1
