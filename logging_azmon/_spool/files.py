"""What a spool does to files, one operation a method: tests put one in its place that fails, or crashes, at any step.

Rules: directories are 0700 and files 0600. Nothing is followed or opened that is no ordinary file: a link or a pipe of
that name could lead, or hold up, whoever opens it. Nor is what another user may have put there: his rows would be sent
with our token, and with `logging-azmon spool` the token to wherever he says. Descriptors are not inherited by programs
that are started.
"""

from __future__ import annotations

import errno
import os
import stat

from .file_lock import Lock

_COMMON = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | _COMMON
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | _COMMON
# What says nothing of the file, and ends by itself: too many are open, or there is no memory.
TRANSIENT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
# Opening a pipe would wait for its other end.
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _COMMON


def trusted(own: int, directory: os.stat_result, parent: os.stat_result) -> set[int]:
    """Return whose files are read: one's own, root's, and the directory's owner's.

    But not his where everybody may make directories, as in /tmp: anybody may have guessed its name, and made it.
    """
    is_for_all = parent.st_mode & stat.S_ISVTX and parent.st_mode & stat.S_IWOTH
    return {own, 0} if is_for_all else {own, 0, directory.st_uid}


def _trusted_at(directory: str) -> set[int]:
    return trusted(os.geteuid(), os.stat(directory), os.stat(os.path.dirname(os.path.abspath(directory))))


def _check(found: os.stat_result, path: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(f"{path} is no ordinary file")
    if os.name == "posix" and found.st_uid not in _trusted_at(os.path.dirname(path)):
        raise OSError(f"{path} is another user's")


class Files:
    """Do to files what a spool needs; what fails raises an OSError."""

    # Called for each row, so nothing stands in between.
    write = staticmethod(os.write)
    close = staticmethod(os.close)
    sync = staticmethod(os.fsync)

    def write_all(self, fd: int, data: bytes | bytearray) -> None:
        """Write all of it, or raise."""
        if self.write(fd, data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def make(self, directory: str) -> None:
        """Make a directory, if there is none."""
        os.makedirs(directory, 0o700, exist_ok=True)
        if os.name == "posix" and os.stat(directory).st_uid not in _trusted_at(directory):
            raise OSError(f"{directory} was made by another user, where anybody may; give another directory")

    def entries(self, directory: str) -> dict[str, int]:
        """Return the names in a directory, with their sizes."""
        found = {}
        with os.scandir(directory) as entries:
            for entry in entries:
                try:
                    found[entry.name] = entry.stat(follow_symlinks=False).st_size
                except FileNotFoundError:  # gone meanwhile
                    continue
        return found

    def create(self, path: str) -> int:
        """Create a file to be written and read, and return its descriptor."""
        return os.open(path, _CREATE, 0o600)

    def append(self, path: str, data: bytes) -> None:
        """Append to a file, all or nothing, and see that it is on the disk."""
        fd = os.open(path, _APPEND, 0o600)
        try:
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
        """Tell how large a file is."""
        return os.fstat(fd).st_size

    def truncate(self, fd: int, size: int) -> None:
        """Cut a file off."""
        os.ftruncate(fd, size)

    def open(self, path: str) -> int:
        """Open an ordinary file to be read."""
        fd = os.open(path, _READ)
        try:
            _check(os.fstat(fd), path)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def read(self, fd: int, start: int, length: int) -> bytes:
        """Read up to so many bytes from there on."""
        os.lseek(fd, start, os.SEEK_SET)
        parts = []
        while length and (part := os.read(fd, length)):
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def is_at(self, fd: int, path: str) -> bool:
        """Tell whether this is still the file of that name."""
        try:
            return os.path.samestat(os.fstat(fd), os.stat(path))
        except OSError:
            return False

    def sync_directory(self, directory: str) -> None:
        """See that the names in a directory are on the disk, too."""
        if os.name != "posix":  # pragma: no cover - Windows has no such thing, and needs none
            return
        fd = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def remove(self, path: str) -> None:
        """Remove a file; if there is none, that is fine."""
        try:
            os.unlink(path)
        except FileNotFoundError:
            return

    def lock(self, path: str, seconds: float = 0.0) -> Lock | None:
        """Take a lock, made if there is none; None if somebody else has it for longer than so."""
        return Lock.take(path, seconds)
