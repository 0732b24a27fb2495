"""Return whether straight-line code is atomic on this interpreter.

In CPython it is: threads are switched, and signal handlers and finalizers run, only at calls, returns and backward
jumps. It is not without the global interpreter lock, nor under a debugger that runs Python code at each line. Nor is it
relied upon in a version of Python that `tests/queue/test_interpreter.py` has not been run with.
"""

from __future__ import annotations

import sys
from types import FunctionType, MethodType

# The newest version of CPython that was tested.
NEWEST_TESTED = (3, 15)
# The types of a trace function written in Python. One written in C, such as coverage's, switches no threads.
_IN_PYTHON = (FunctionType, MethodType)
# The tool ids of `sys.monitoring`.
_TOOLS = range(6)


def is_tested(implementation: str, version: tuple[int, ...]) -> bool:
    """Return whether the library was tested with this interpreter."""
    return implementation == "cpython" and version[:2] <= NEWEST_TESTED


_IS_TESTED = is_tested(sys.implementation.name, sys.version_info[:2])


def is_straight_line_atomic() -> bool:
    """Return whether code without calls and loops runs to its end before another thread runs.

    Only a debugger of all threads, or of the calling thread, is noticed.
    """
    return _IS_TESTED and not (_runs_in_parallel() or _is_watched())


def _runs_in_parallel() -> bool:
    has_global_lock = getattr(sys, "_is_gil_enabled", None)  # from 3.13 on
    return has_global_lock is not None and not has_global_lock()


def _is_watched() -> bool:
    monitoring = getattr(sys, "monitoring", None)  # from 3.12 on
    has_tool = monitoring is not None and any(monitoring.get_tool(tool) for tool in _TOOLS)
    return has_tool or isinstance(sys.gettrace(), _IN_PYTHON)
