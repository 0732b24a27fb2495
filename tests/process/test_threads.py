"""Where threads take turns, and how it is found out that they do so elsewhere."""

import sys

import pytest

from logging_azmon._process.threads import is_one_step
from support.interrupting import traced_by


@pytest.fixture(autouse=True)
def untraced(monkeypatch):
    """Forget a tool that measures these tests."""
    if hasattr(sys, "monitoring"):
        monkeypatch.setattr(
            sys.monitoring, "get_tool", lambda tool, found=sys.monitoring.get_tool: tool == 4 and found(4)
        )


def test_what_has_no_call_is_one_step():
    assert is_one_step()


def test_not_where_a_debugger_is_let_in_at_each_line():
    class Debugger:
        def trace(self, *_):
            return self.trace

    with traced_by(lambda *_: None):
        assert not is_one_step()
    with traced_by(Debugger().trace):
        assert not is_one_step()
    assert is_one_step()


def test_a_tracer_in_c_lets_nobody_in(monkeypatch):
    """Coverage has one; without room for rows it would measure another program than the one that runs."""
    monkeypatch.setattr(sys, "gettrace", lambda: len)
    assert is_one_step()


@pytest.mark.skipif(not hasattr(sys, "monitoring"), reason="from 3.12 on")
def test_not_where_a_tool_watches():
    sys.monitoring.use_tool_id(4, "a debugger")
    try:
        assert not is_one_step()
    finally:
        sys.monitoring.free_tool_id(4)
    assert is_one_step()


@pytest.mark.parametrize("has_global_lock", [True, False])
def test_not_where_threads_run_side_by_side(monkeypatch, has_global_lock):
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: has_global_lock, raising=False)
    assert is_one_step() is has_global_lock
