"""Interrupt code where Python would: where a call returns, a function begins, or a loop goes round.

And where an object is made: there, 3.11 may collect garbage.
"""

import dis
import gc
import sys

PLACES = ("CALL", "RESUME", "JUMP_BACKWARD") + (("BUILD_",) if sys.version_info < (3, 12) else ())


def at(modules, place, act, run):
    """Run, and act at that place; return how many places there are."""
    before = {}
    count = 0
    is_busy = False

    def trace(frame, event, _):
        nonlocal count, is_busy
        if is_busy or frame.f_code.co_filename not in modules:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            name = dis.opname[frame.f_code.co_code[frame.f_lasti]]
            last, before[frame] = before.get(frame, ""), name
            if last.startswith(PLACES):
                count += 1
                if count == place:
                    is_busy = True
                    try:
                        act()
                    finally:
                        is_busy = False
        return trace

    old = sys.gettrace()
    # What another run has left would be collected in the middle of this one, and its finalisers counted as places.
    gc.disable()
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(old)
        gc.enable()
    return count
