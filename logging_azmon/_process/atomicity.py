"""Tell whether straight-line code is atomic on this interpreter.

In CPython it is: threads are switched, and signal handlers and finalizers run, only at calls, returns and backward
jumps. It is not where threads run in parallel, nor where Python code runs at each line, as a debugger's does.
"""

from __future__ import annotations

import sys
from types import FunctionType, MethodType

# The types of a tracer written in Python. One in C, such as coverage's, switches no threads.
_IN_PYTHON = (FunctionType, MethodType)
# The numbers that `sys.monitoring` has for tools.
_TOOLS = range(6)


def is_straight_line_atomic() -> bool:
    """Tell whether code without a call or a loop is finished before another thread runs.

    A debugger watches all threads, or the one that asks.
    """
    return not (_runs_in_parallel() or _is_watched())


def _runs_in_parallel() -> bool:
    has_global_lock = getattr(sys, "_is_gil_enabled", None)  # from 3.13 on
    return has_global_lock is not None and not has_global_lock()


def _is_watched() -> bool:
    monitoring = getattr(sys, "monitoring", None)  # from 3.12 on
    has_tool = monitoring is not None and any(monitoring.get_tool(tool) for tool in _TOOLS)
    return has_tool or isinstance(sys.gettrace(), _IN_PYTHON)
