"""The lock that shows that a process is alive: held by one process, released when it ends, kept through forks."""

# ruff: noqa: SLF001 - counts what is open

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from logging_azmon._spool import file_lock as module
from logging_azmon._spool.file_lock import FileLock


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "lock")


def is_free(path):
    """Return whether another process can take the lock."""
    script = (
        "import sys; from logging_azmon._spool.file_lock import FileLock; sys.exit(FileLock.take(sys.argv[1]) is None)"
    )
    return subprocess.run([sys.executable, "-c", script, path], check=False).returncode == 0


def test_only_one_process_at_a_time_holds_the_lock(path):
    lock = FileLock.take(path)
    assert FileLock.take(path) is None
    assert not is_free(path)
    lock.release()
    lock.release()
    assert is_free(path)


def test_taking_a_held_lock_waits_for_the_given_seconds(path):
    lock = FileLock.take(path)
    assert FileLock.take(path, 0.05) is None
    lock.release()
    assert FileLock.take(path, 0.05) is not None


def test_a_lock_that_is_garbage_collected_is_released(path):
    lock = FileLock.take(path)
    del lock
    assert is_free(path)


def test_the_operating_system_releases_the_lock_at_interpreter_exit(path):
    lock = FileLock.take(path)
    lock.__del__(lambda: True)
    assert not is_free(path)
    lock.release()


def test_the_lock_of_a_removed_file_is_not_taken(path, monkeypatch):
    """Other processes lock a new file by that name."""
    real, calls = fcntl.flock, []

    def flock(fd, operation):
        if not calls:
            Path(path).unlink()
        calls.append(fd)
        return real(fd, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    assert FileLock.take(path) is None
    assert FileLock.take(path) is not None
    assert Path(path).exists()


def test_a_file_system_without_locks_raises_an_error(path, monkeypatch):
    """The lock does not count as taken, and no descriptor is left open."""

    def flock(fd, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    before = set(module._open)
    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OSError, match="No locks available"):
        FileLock.take(path)
    assert set(module._open) <= before


def test_a_lock_path_that_cannot_be_opened_raises_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        FileLock.take(str(tmp_path / "no" / "lock"))


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("act", ["nothing", "release", "forget"])
def test_a_forked_child_does_not_release_its_parents_lock(path, act):
    lock = FileLock.take(path)
    child = os.fork()
    if child == 0:
        if act == "release":
            lock.release()
        elif act == "forget":
            del lock
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert not is_free(path)
    lock.release()
    assert is_free(path)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_living_child_does_not_keep_the_lock_of_its_dead_parent(path):
    reader, writer = os.pipe()
    ready, done = os.pipe()
    parent = os.fork()
    if parent == 0:
        lock = FileLock.take(path)
        if os.fork() == 0:
            os.write(writer, b"x")
            os.close(done)
            os.read(ready, 1)
            os._exit(0)
        os.read(reader, 1)
        os._exit(lock is None)
    assert os.waitpid(parent, 0)[1] == 0
    assert is_free(path)
    os.write(done, b"x")
    for descriptor in (reader, writer, ready, done):
        os.close(descriptor)
