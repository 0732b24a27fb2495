"""A disk whose process dies at a chosen step, or that fails: real files, and locks that exist only in this process."""

import errno
import os
from pathlib import Path

from logging_azmon._spool.files import Files


class Crash(BaseException):
    """The process is dead: nothing that it does from now on has an effect."""


class FakeLock:
    def __init__(self, disk, path):
        self.disk = disk
        self.path = path

    def release(self):
        self.disk.step("release")
        self.disk.locks.pop(self.path, None)


class CrashingDisk(Files):
    """Operate on real files, up to the step at which the process dies, and fail where a test says so.

    `locks` maps each path to the holder of its lock; the processes of a test share it.
    """

    def __init__(self, locks):
        super().__init__()
        self.locks = locks
        self.fds = set()
        self.steps = 0
        # Die at this step: before it, in the middle of it (half a write), or after it.
        self.dies_at = None
        self.moment = "before"
        self.is_dead = False
        # Names of operations that fail, with the error's number.
        self.faults = {}
        # How many bytes can still be written.
        self.room = None

    def step(self, name):
        """Count a step; return whether the process dies in the middle of it or after it."""
        if self.is_dead:
            raise Crash
        self.steps += 1
        if name in self.faults:
            raise OSError(self.faults[name], os.strerror(self.faults[name]))
        if self.dies_at is not None and self.steps >= self.dies_at:
            if self.moment == "before":
                self.die()
                raise Crash
            return True
        return False

    def die(self):
        """Close the descriptors and release the locks, as the operating system does."""
        self.is_dead = True
        for fd in self.fds:
            os.close(fd)
        self.fds.clear()
        for path in [path for path, holder in self.locks.items() if holder is self]:
            del self.locks[path]

    def done(self, is_last, result=None):
        if is_last:
            self.die()
            raise Crash
        return result

    def write(self, fd, data):
        is_last = self.step("write")
        size = len(data)
        if self.room is not None:
            size = min(size, self.room)
            self.room -= size
            if data and not size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if is_last and self.moment == "half":
            size //= 2
        return self.done(is_last, os.write(fd, bytes(data[:size])))

    def close(self, fd):
        if self.is_dead:  # called by a finalizer of the test's own process
            return
        is_last = self.step("close")
        self.fds.discard(fd)
        os.close(fd)
        self.done(is_last)

    def sync(self, fd):
        self.done(self.step("sync"))

    def sync_directory(self, directory):
        self.done(self.step("sync_directory"))

    def make(self, directory):
        is_last = self.step("make")
        self.done(is_last, super().make(directory))

    def entries(self, directory):
        return self.done(self.step("entries"), super().entries(directory))

    def create(self, path):
        is_last = self.step("create")
        fd = super().create(path)
        self.fds.add(fd)
        return self.done(is_last, fd)

    def append(self, path, data):
        is_last = self.step("append")
        # An append is all or nothing, except in a crash.
        size = len(data) // 2 if is_last and self.moment == "half" else len(data)
        with Path(path).open("ab") as file:
            file.write(data[:size])
        self.done(is_last)

    def size(self, fd):
        return self.done(self.step("size"), super().size(fd))

    def truncate(self, fd, size):
        is_last = self.step("truncate")
        super().truncate(fd, size)
        self.done(is_last)

    def open(self, path):
        is_last = self.step("open")
        fd = super().open(path)
        self.fds.add(fd)
        return self.done(is_last, fd)

    def read(self, fd, start, length):
        is_last = self.step("read")
        return self.done(is_last, super().read(fd, start, length))

    def remove(self, path):
        is_last = self.step("remove")
        super().remove(path)
        self.done(is_last)

    def lock(self, path, seconds=0.0):
        is_last = self.step("lock")
        if path in self.locks:
            return self.done(is_last)
        with Path(path).open("ab"):
            self.locks[path] = self
        return self.done(is_last, FakeLock(self, path))
