"""Reads what callgrind has counted: the instructions of each source file or, without its debug symbols, each library.

The format is the manual's, "Callgrind Format Specification": names are given numbers when they are first used, and
behind `calls=` is a line of what the callee cost, which is counted there.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import PurePosixPath

_NAMES = {"ob": "ob", "cob": "ob", "fl": "fl", "fi": "fl", "fe": "fl", "cfi": "fl", "cfl": "fl"}
_UNKNOWN = "???"


def places(text: str) -> Counter[str]:
    """Sum up the instructions by where they are."""
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
            elif key in ("fi", "fe"):  # inlined from there, and back
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
    """Name a source file, or a library by what stands before its first dot."""
    return PurePosixPath(file).name if file != _UNKNOWN else PurePosixPath(library).name.partition(".")[0]
