"""Tells where another thread may have its turn: what is written without a call or a loop is one step, or is not.

In CPython it is: threads take turns only where a function is called or returns, and where a loop begins anew. It is
not where threads run side by side, nor where Python code is let in at each line, as a debugger's is.
"""

from __future__ import annotations

import sys
from types import FunctionType, MethodType

# What a tracer is that Python runs. One in C, as coverage's, lets nobody in.
_IN_PYTHON = (FunctionType, MethodType)
# As many as `sys.monitoring` has places for.
_TOOLS = range(6)


def is_one_step() -> bool:
    """Tell whether what is written without a call or a loop is done before another thread has its turn.

    Debuggers watch all threads, or the one that asks.
    """
    return not (_runs_side_by_side() or _is_watched())


def _runs_side_by_side() -> bool:
    has_global_lock = getattr(sys, "_is_gil_enabled", None)  # from 3.13 on
    return has_global_lock is not None and not has_global_lock()


def _is_watched() -> bool:
    monitoring = getattr(sys, "monitoring", None)  # from 3.12 on
    has_tool = monitoring is not None and any(monitoring.get_tool(tool) for tool in _TOOLS)
    return has_tool or isinstance(sys.gettrace(), _IN_PYTHON)
