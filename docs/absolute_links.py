"""Print README with absolute links, for a package index, which shows it without the files beside it.

    python docs/absolute_links.py BASE [IMAGES] < README.md

BASE is the address of this tree's pages at the released version, IMAGES that of its raw files (by default the same).
"""

from __future__ import annotations

import re
import sys
from urllib.parse import urljoin, urlsplit

# A link's or a picture's target, outside of code.
_TARGET = re.compile(r"^```.*?^```$|`[^`\n]+`|(?P<open>!?\[[^\]]*\]\()(?P<target>[^)\s]+)\)", re.DOTALL | re.MULTILINE)


def absolute(text: str, base: str, images: str) -> str:
    """Resolve relative targets against `base`, those of pictures against `images`."""

    def resolved(match: re.Match[str]) -> str:
        target = match["target"]
        if target is None or target.startswith("#") or urlsplit(target).scheme:
            return match[0]
        home = images if match["open"].startswith("!") else base
        return f"{match['open']}{urljoin(home.rstrip('/') + '/', target)})"

    return _TARGET.sub(resolved, text)


def main(arguments: list[str]) -> int:
    """Rewrite the standard input."""
    if not 1 <= len(arguments) <= 2 or not all(urlsplit(each).scheme == "https" for each in arguments):
        print(__doc__, file=sys.stderr)
        return 2
    print(absolute(sys.stdin.read(), arguments[0], arguments[-1]), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
