"""State of the whole process: clock, delivering threads, fork and exit.

Everything that takes rows imports this package first, so an interpreter that it cannot run on is refused here.
"""

import sys

# From 3.13 on. Without the lock, rows would be lost in silence: many modules rely on single steps being atomic.
if hasattr(sys, "_is_gil_enabled") and not sys._is_gil_enabled():  # noqa: SLF001 - the only way to ask
    raise ImportError(
        "logging_azmon needs CPython's global interpreter lock, and this is a free-threaded build without it"
        f" ({sys.version.partition('(')[0].strip()}); use the ordinary build, python{sys.version_info[0]}."
        f"{sys.version_info[1]} instead of python{sys.version_info[0]}.{sys.version_info[1]}t"
    )
