"""The lock that tells who lives: held by one, gone with its process, kept through forks."""

# ruff: noqa: SLF001 - counts what is open

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from logging_azmon._spool import file_lock as module
from logging_azmon._spool.file_lock import Lock


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "lock")


def is_free(path):
    """Ask another process."""
    script = "import sys; from logging_azmon._spool.file_lock import Lock; sys.exit(Lock.take(sys.argv[1]) is None)"
    return subprocess.run([sys.executable, "-c", script, path], check=False).returncode == 0


def test_one_has_it(path):
    lock = Lock.take(path)
    assert Lock.take(path) is None
    assert not is_free(path)
    lock.release()
    lock.release()
    assert is_free(path)


def test_waits_as_long_as_was_said(path):
    lock = Lock.take(path)
    assert Lock.take(path, 0.05) is None
    lock.release()
    assert Lock.take(path, 0.05) is not None


def test_whoever_forgets_it_lets_go(path):
    lock = Lock.take(path)
    del lock
    assert is_free(path)


def test_at_the_end_of_the_interpreter_it_is_left_to_the_system(path):
    lock = Lock.take(path)
    lock.__del__(lambda: True)
    assert not is_free(path)
    lock.release()


def test_a_file_that_was_removed_is_nobodys_lock(path, monkeypatch):
    """Whoever opened it before would share it with nobody."""
    real, calls = fcntl.flock, []

    def flock(fd, operation):
        if not calls:
            Path(path).unlink()
        calls.append(fd)
        return real(fd, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    assert Lock.take(path) is None
    assert Lock.take(path) is not None
    assert Path(path).exists()


def test_a_disk_without_locks_is_an_error(path, monkeypatch):
    """Not a lock that nobody has; and no descriptor is left open."""

    def flock(fd, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    before = len(module._open)
    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OSError, match="No locks available"):
        Lock.take(path)
    assert len(module._open) == before


def test_a_path_that_cannot_be_opened_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        Lock.take(str(tmp_path / "no" / "lock"))


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("act", ["nothing", "release", "forget"])
def test_a_child_does_not_let_go_of_its_parents(path, act):
    lock = Lock.take(path)
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
def test_a_living_child_does_not_keep_what_its_dead_parent_had(path):
    reader, writer = os.pipe()
    ready, done = os.pipe()
    parent = os.fork()
    if parent == 0:
        lock = Lock.take(path)
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
