"""Interrupt code where Python would: where a call returns, a function begins, or a loop goes round."""

import dis
import sys


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
            if last.startswith(("CALL", "RESUME", "JUMP_BACKWARD")):
                count += 1
                if count == place:
                    is_busy = True
                    try:
                        act()
                    finally:
                        is_busy = False
        return trace

    old = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(old)
    return count
