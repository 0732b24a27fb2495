"""Interrupt code wherever CPython could: after a call, at the start of a function, at a backward jump.

On 3.11, interrupt it also where a container is built, because garbage may be collected there.
"""

import contextlib
import dis
import functools
import gc
import inspect
import sys
import threading
from types import CodeType, FunctionType

PLACES = ("CALL", "RESUME", "JUMP_BACKWARD") + (("BUILD_",) if sys.version_info < (3, 12) else ())
TOOL = 4  # Neither Python nor Hypothesis uses this id.


def at(modules, place, act, run, places=PLACES):
    """Call `run`, and call `act` at the place with this number; return how many places there were.

    A place is after an instruction whose name begins with one of `places`; ("",) stands for every instruction.
    """
    before = {}
    count = 0
    is_busy = False

    def see(frame, name):
        nonlocal count, is_busy
        last, before[frame] = before.get(frame, ""), name
        if last.startswith(places) and not is_busy:
            count += 1
            if count == place:
                is_busy = True
                try:
                    act()
                finally:
                    is_busy = False

    # The garbage of an earlier run must not be collected during this one: its finalizers would count as places.
    gc.disable()
    try:
        with (watching if sys.version_info >= (3, 12) else tracing)(modules, see):
            run()
    finally:
        gc.enable()
    return count


@contextlib.contextmanager
def tracing(modules, see):
    """Call `see` for each instruction of these modules on this thread."""

    def trace(frame, event, _):
        if frame.f_code.co_filename not in modules:
            return None
        frame.f_trace_opcodes = True
        if event == "call":
            see(frame, "RESUME")
        elif event == "opcode":
            see(frame, dis.opname[frame.f_code.co_code[frame.f_lasti]])
        return trace

    with traced_by(trace):
        yield


@contextlib.contextmanager
def traced_by(tracer):
    """Trace this thread during the block, then restore its former tracer."""
    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        yield
    finally:
        sys.settrace(before)


@contextlib.contextmanager
def watching(modules, see):
    """Do as `tracing` does, by monitoring: since 3.12, tracing opcodes once slows all code until the process ends."""
    thread = threading.get_ident()
    codes = codes_of(modules)
    names = names_of(modules)
    is_over = False

    def instruction(code, offset):
        if threading.get_ident() == thread and not is_over:
            see(inspect.currentframe().f_back, names[id(code)][offset // 2])

    def start(_, __):
        # Before 3.14, there is no event for the instruction RESUME, where signal handlers run in fact.
        if threading.get_ident() == thread and not is_over:
            see(inspect.currentframe().f_back, "RESUME")

    monitoring = sys.monitoring
    events = monitoring.events
    monitoring.use_tool_id(TOOL, "tests")
    monitoring.register_callback(TOOL, events.INSTRUCTION, instruction)
    monitoring.register_callback(TOOL, events.PY_START, start)
    for code in codes:
        monitoring.set_local_events(TOOL, code, events.INSTRUCTION | events.PY_START)
    try:
        yield
    finally:
        is_over = True
        for code in codes:
            monitoring.set_local_events(TOOL, code, 0)
        monitoring.register_callback(TOOL, events.INSTRUCTION, None)
        monitoring.register_callback(TOOL, events.PY_START, None)
        monitoring.free_tool_id(TOOL)


@functools.cache
def codes_of(modules):
    """Return all code objects of these modules."""
    found = [one.__code__ for one in gc.get_objects() if isinstance(one, FunctionType)]
    found = [code for code in found if code.co_filename in modules]
    for code in found:  # The list grows as its code objects are searched.
        found += [inner for inner in code.co_consts if isinstance(inner, CodeType)]
    return found


@functools.cache
def names_of(modules):
    """Return the instruction names of each code object, by its id, because comparing code objects is slow."""
    return {id(code): [dis.opname[opcode] for opcode in code.co_code[::2]] for code in codes_of(modules)}
