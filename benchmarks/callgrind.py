"""Read what callgrind counted: the instructions of each source file or, without debug symbols, each library.

The manual's "Callgrind Format Specification" describes the format. A name is given a number at its first use. The line
after `calls=` is the cost of the callee, which is counted where the callee is; so that line is skipped here.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import PurePosixPath

_NAMES = {"ob": "ob", "cob": "ob", "fl": "fl", "fi": "fl", "fe": "fl", "cfi": "fl", "cfl": "fl"}
_UNKNOWN = "???"


def places(text: str) -> Counter[str]:
    """Sum the instructions by source file or library."""
    found: Counter[str] = Counter()
    names: dict[tuple[str, str], str] = {}
    library = function_file = file = _UNKNOWN
    is_callees = False
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if key in _NAMES:
            number, _, name = value.partition(" ")
            named = names.setdefault((_NAMES[key], number), name)
            if key == "ob":
                library = named
            elif key == "fl":
                function_file = file = named
            elif key in ("fi", "fe"):  # Code inlined from that file, and back.
                file = named
        elif key == "fn":
            file = function_file
        elif key == "calls":
            is_callees = True
        elif re.match(r"[0-9+*-]", line):
            if not is_callees:
                found[_place(library, file)] += int(line.split()[-1])
            is_callees = False
    return found


def _place(library: str, file: str) -> str:
    """Return the name of a source file, or that of a library up to its first dot."""
    return PurePosixPath(file).name if file != _UNKNOWN else PurePosixPath(library).name.partition(".")[0]
