"""Decide whose files a spool reads: rows of anybody else would be sent with the application's token.

`logging-azmon spool --send` would even send the token to an address that the file names.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence


def trusted(own: int, path: Sequence[os.stat_result]) -> set[int]:
    """Return the users whose files are read: the process's own user, root, and perhaps the directory's owner.

    `path` has the directory, and then each directory above it. The directory's owner is not trusted if a user other
    than these three may have put the directory there: one who owns a directory above it, or any user, where all may
    create names, as in /tmp.
    """
    owner = path[0].st_uid
    for above in path[1:]:
        if above.st_mode & stat.S_IWOTH or above.st_uid not in {own, 0, owner}:
            return {own, 0}
    return {own, 0, owner}


def trusted_at(directory: str) -> set[int]:
    """Return the users whose files in a directory are read."""
    path = os.path.realpath(directory)
    chain = [os.stat(path)]
    while (above := os.path.dirname(path)) != path:
        path = above
        chain.append(os.stat(path))
    return trusted(os.geteuid(), chain)
