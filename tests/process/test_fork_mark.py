"""The mark that a forked child finds unset, where the kernel resets it and where it does not."""

import ctypes
import mmap
import os
import sys

import pytest

from logging_azmon._process import fork_mark

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")


def fork_in_c(ask):
    """Fork as uWSGI does, without any hook, and return what `ask` returns in the child."""
    pid = ctypes.PyDLL(None).fork()
    if pid == 0:
        os._exit(ask())
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.fixture(params=[True, False], ids=["wiped", "kept"])
def _any_memory(request, monkeypatch):
    """Run the test with a page that is reset at a fork, and with memory that is not."""
    if request.param:
        if not fork_mark.IS_WIPED:
            pytest.skip("this kernel wipes no memory at a fork")
        return
    monkeypatch.setattr(fork_mark, "IS_WIPED", False)
    monkeypatch.setattr(fork_mark, "mark", bytearray(b"\1"))


@pytest.mark.usefixtures("_any_memory")
class TestMark:
    def test_a_process_is_marked_from_the_start(self):
        assert fork_mark.is_set()

    def test_a_child_is_not_marked_until_it_marks_itself(self):
        def ask():
            before = fork_mark.is_set()
            fork_mark.set_mark()
            return 2 * before + fork_mark.is_set()

        assert fork_in_c(ask) == 1
        assert fork_mark.is_set()


def test_on_linux_the_kernel_resets_the_mark():
    """The page is inherited, and its content is not."""
    if not fork_mark.IS_WIPED:
        pytest.skip("this kernel wipes no memory at a fork")
    assert fork_in_c(lambda: fork_mark.mark[0]) == 0


def test_a_platform_without_such_memory_gets_ordinary_memory(monkeypatch):
    monkeypatch.setattr(sys, "platform", "another")
    mark, is_wiped = fork_mark.make_mark()
    assert (mark[0], is_wiped) == (1, False)


def test_a_kernel_that_refuses_gets_ordinary_memory(monkeypatch):
    """Linux before 4.14, and some emulations of it."""

    class Refusing:
        def __init__(self, *_, **__):
            pass

        def madvise(self, _):
            raise OSError("not implemented")

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(mmap, "mmap", Refusing)
    mark, is_wiped = fork_mark.make_mark()
    assert (mark[0], is_wiped) == (1, False)


def test_a_record_without_a_process_may_be_foreign():
    """So the process is asked: `logging.logProcesses` may be off."""

    class Made:
        process = None

    assert fork_mark.is_foreign(Made())
    assert fork_mark.is_foreign(object())
    Made.process = os.getpid()
    assert not fork_mark.is_foreign(Made())
