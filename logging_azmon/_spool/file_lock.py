"""A file lock of the operating system, which is released when its process ends, however that ends.

The best maintained library, filelock, is not used: from 4.2 on it releases all locks at exit before the last rows are
delivered, and it logs, so that its own records would become rows. (It handles forks correctly from 3.30 on.)

Rules: a lock belongs to the process that took it. A forked child has a copy of the descriptor, which it closes without
unlocking, because unlocking would release the parent's lock. A descriptor is opened and registered under `_opening`,
which a fork waits for, and is locked after that. So the child finds each that may be locked.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress

from .._process import at_fork
from .._process.real_threads import RLock

_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
_POLL_SECONDS = 0.02

_opening = RLock()
# All open locks, by descriptor.
_open: weakref.WeakValueDictionary[int, FileLock] = weakref.WeakValueDictionary()


class FileLock:
    """Hold a file locked."""

    # -1 unless the file is open.
    _fd = -1

    def __init__(self, path: str) -> None:
        self._process = os.getpid()
        with _opening:
            self._fd = os.open(path, _FLAGS, 0o600)
            _open[self._fd] = self

    @classmethod
    def take(cls, path: str, seconds: float = 0.0) -> FileLock | None:
        """Lock a file, which is created if need be; return None if another process holds it for longer than this."""
        deadline = time.monotonic() + seconds
        while True:
            lock = cls(path)
            try:
                if lock._is_taken():
                    return lock
            except BaseException:
                lock.close()
                raise
            lock.close()
            if time.monotonic() >= deadline:
                return None
            threading.Event().wait(_POLL_SECONDS)

    def _is_taken(self) -> bool:
        # The last holder may have removed the file; other processes would then lock a new file of the same name.
        return _is_locked(self._fd) and os.fstat(self._fd).st_nlink > 0

    def release(self) -> None:
        """Close the file, and unlock it first unless this is a forked child."""
        if self._fd >= 0 and os.getpid() == self._process:
            with suppress(OSError):
                _unlock(self._fd)
        self.close()

    def close(self) -> None:
        """Close the file; in a forked child, the parent's lock remains."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            _open.pop(fd, None)
            os.close(fd)

    def __del__(self, _is_ending: Callable[[], bool] = sys.is_finalizing) -> None:
        if not _is_ending():  # modules may be gone then; the operating system unlocks
            self.release()


if sys.platform == "win32":  # pragma: no cover - only on Windows
    import msvcrt

    def _is_locked(fd: int) -> bool:
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

    def _unlock(fd: int) -> None:
        os.lseek(fd, 0, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _is_locked(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(fd: int) -> None:
        # Closing alone is not enough, because a child may not have closed its copy yet.
        fcntl.flock(fd, fcntl.LOCK_UN)


def restart() -> None:
    """Close the parent's locks in a forked child, without unlocking them."""
    global _opening  # noqa: PLW0603 - one lock per process
    _opening = RLock()
    for lock in list(_open.values()):
        lock.close()


at_fork.register(at_fork.Turn.FILE_LOCKS, locks=lambda: [_opening])
# Before pipelines restart, which may take locks of their own.
at_fork.register(at_fork.Turn.PROCESS, restart=restart)
