"""The atomicity of straight-line code in CPython, and how the library notices exceptions to it."""

import sys

import pytest

from logging_azmon._process.atomicity import NEWEST_TESTED, is_straight_line_atomic, is_tested
from support.interrupting import traced_by


@pytest.fixture(autouse=True)
def untraced(monkeypatch):
    """Hide a tool that measures these tests."""
    if hasattr(sys, "monitoring"):
        monkeypatch.setattr(
            sys.monitoring, "get_tool", lambda tool, found=sys.monitoring.get_tool: tool == 4 and found(4)
        )


def test_straight_line_code_is_atomic_in_cpython():
    assert is_straight_line_atomic()


@pytest.mark.parametrize(
    ("implementation", "version", "expected"),
    [
        ("cpython", (3, 11, 0), True),
        ("cpython", (*NEWEST_TESTED, 4), True),
        ("cpython", (NEWEST_TESTED[0], NEWEST_TESTED[1] + 1, 0), False),
        ("pypy", (3, 11, 0), False),
    ],
)
def test_atomicity_is_not_assumed_of_an_interpreter_that_was_not_tested(implementation, version, expected):
    """A later CPython may let threads and finalizers in elsewhere; rows are then added one at a time."""
    assert is_tested(implementation, version) is expected


def test_straight_line_code_is_not_atomic_under_a_debugger():
    class Debugger:
        def trace(self, *_):
            return self.trace

    with traced_by(lambda *_: None):
        assert not is_straight_line_atomic()
    with traced_by(Debugger().trace):
        assert not is_straight_line_atomic()
    assert is_straight_line_atomic()


def test_straight_line_code_is_atomic_under_a_tracer_written_in_c(monkeypatch):
    """coverage has one; with a lock for each row, it would measure another program than the one in production."""
    monkeypatch.setattr(sys, "gettrace", lambda: len)
    assert is_straight_line_atomic()


@pytest.mark.skipif(not hasattr(sys, "monitoring"), reason="from 3.12 on")
def test_straight_line_code_is_not_atomic_under_a_monitoring_tool():
    sys.monitoring.use_tool_id(4, "a debugger")
    try:
        assert not is_straight_line_atomic()
    finally:
        sys.monitoring.free_tool_id(4)
    assert is_straight_line_atomic()


@pytest.mark.parametrize("has_global_lock", [True, False])
def test_straight_line_code_is_not_atomic_without_the_global_interpreter_lock(monkeypatch, has_global_lock):
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: has_global_lock, raising=False)
    assert is_straight_line_atomic() is has_global_lock
