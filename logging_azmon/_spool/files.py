"""The file operations of a spool, one per method, so that tests can make each of them fail or crash.

Rules:
- Directories are 0700 and files 0600.
- Only regular files are read, and symbolic links are not followed: a link could lead elsewhere, and a pipe could block.
- Files of untrusted users are not read (see `trust`).
- Files that root makes in another user's directory are given to that user, who could neither read nor remove them.
- Programs that the application starts inherit no descriptors.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable

from .file_lock import FileLock
from .trust import trusted_at

_COMMON = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | _COMMON
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | _COMMON
# Transient errors: they say nothing about the file.
TRANSIENT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
# Without O_NONBLOCK, opening a pipe would wait for its other end.
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _COMMON


class Files:
    """Perform a spool's file operations; an operation that fails raises an OSError."""

    def __init__(self, trusted_at: Callable[[str], set[int]] = trusted_at) -> None:
        """`trusted_at` returns the users whose files in a directory are read."""
        self._trusted_at = trusted_at

    # The system call itself, because it is called for each row.
    write = staticmethod(os.write)
    close = staticmethod(os.close)
    sync = staticmethod(os.fsync)

    def write_all(self, fd: int, data: bytes | bytearray) -> None:
        """Write all bytes, or raise."""
        if self.write(fd, data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def make(self, directory: str) -> None:
        """Create a directory, unless it exists."""
        is_new = not os.path.isdir(directory)
        os.makedirs(directory, 0o700, exist_ok=True)
        if is_new:
            self._give(directory)
        if os.name == "posix" and os.stat(directory).st_uid not in self._trusted_at(directory):
            raise OSError(f"{directory} belongs to another user, where all users may make directories; choose another")

    def entries(self, directory: str) -> dict[str, int]:
        """Return the size of each file in a directory, by name."""
        sizes = {}
        with os.scandir(directory) as entries:
            for entry in entries:
                try:
                    sizes[entry.name] = entry.stat(follow_symlinks=False).st_size
                except FileNotFoundError:  # removed meanwhile
                    continue
        return sizes

    def create(self, path: str) -> int:
        """Create a file for writing and reading, and return its descriptor."""
        fd = os.open(path, _CREATE, 0o600)
        self._give(path)
        return fd

    def append(self, path: str, data: bytes) -> None:
        """Append to a file and sync it to the disk; on an error, append nothing."""
        fd = os.open(path, _APPEND, 0o600)
        try:
            self._give(path)
            before = os.fstat(fd).st_size
            try:
                self.write_all(fd, data)
                os.fsync(fd)
            except OSError:
                os.ftruncate(fd, before)
                raise
        finally:
            os.close(fd)

    def size(self, fd: int) -> int:
        """Return a file's size."""
        return os.fstat(fd).st_size

    def truncate(self, fd: int, size: int) -> None:
        """Truncate a file to this size."""
        os.ftruncate(fd, size)

    def open(self, path: str) -> int:
        """Open a regular file of a trusted user for reading."""
        fd = os.open(path, _READ)
        try:
            self._check(os.fstat(fd), path)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def read(self, fd: int, start: int, length: int) -> bytes:
        """Read up to `length` bytes from an offset on."""
        os.lseek(fd, start, os.SEEK_SET)
        parts = []
        while length and (part := os.read(fd, length)):
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def is_at(self, fd: int, path: str) -> bool:
        """Return whether the path still names this open file."""
        try:
            return os.path.samestat(os.fstat(fd), os.stat(path))
        except OSError:
            return False

    def sync_directory(self, directory: str) -> None:
        """Sync a directory, so that new names in it are on the disk."""
        if os.name != "posix":  # pragma: no cover - Windows cannot, and need not, do this
            return
        fd = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def remove(self, path: str) -> None:
        """Remove a file, if it exists."""
        try:
            os.unlink(path)
        except FileNotFoundError:
            return

    def lock(self, path: str, seconds: float = 0.0) -> FileLock | None:
        """Lock a file, which is created if need be; return None if another process holds it for longer than this."""
        lock = FileLock.take(path, seconds)
        if lock is not None:
            self._give(path)
        return lock

    def _check(self, status: os.stat_result, path: str) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path} is not a regular file")
        if os.name == "posix" and status.st_uid not in self._trusted_at(os.path.dirname(path)):
            raise OSError(f"{path} belongs to another user")

    @staticmethod
    def _give(path: str) -> None:
        """Give what root has made to the owner of the directory that it is in."""
        if os.name == "posix" and os.geteuid() == 0:  # pragma: no cover - only as root
            above = os.stat(os.path.dirname(os.path.abspath(path)))
            if above.st_uid and not above.st_mode & stat.S_IWOTH:
                os.chown(path, above.st_uid, above.st_gid, follow_symlinks=False)
