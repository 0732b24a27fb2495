"""The compiled fast path is chosen once, where it was built; LOGGING_AZMON_IMPL forces one of the two."""

import logging
import subprocess
import sys
from importlib.util import find_spec

import pytest

from logging_azmon._process import implementation
from logging_azmon._process.implementation import VARIABLE, choose

SHOW = "import logging_azmon._process.implementation as i; print(i.name())"


def missing():
    """Fail as the import of a module that was not built."""
    raise ImportError("No module named '_compiled'")


@pytest.mark.parametrize("wanted", ["", "compiled"])
def test_the_compiled_code_is_taken_where_it_is(wanted):
    assert choose(wanted, lambda: logging) is logging


def test_python_forces_the_pure_code():
    assert choose("python", lambda: logging) is None


def test_a_missing_compiled_module_means_pure_code():
    assert choose("", missing) is None


def test_a_missing_compiled_module_that_is_asked_for_raises_and_says_what_to_do():
    with pytest.raises(ImportError, match=rf"{VARIABLE}='compiled', but .* without its compiled module .*; install"):
        choose("compiled", missing)


def test_any_other_wish_is_refused():
    with pytest.raises(ImportError, match=f"{VARIABLE}='fast' is not accepted; set it to 'python' or 'compiled'"):
        choose("fast", missing)


def test_its_name_is_shown(monkeypatch):
    monkeypatch.setattr(implementation, "compiled", None)
    assert implementation.name() == "pure Python"
    monkeypatch.setattr(implementation, "compiled", logging)
    assert implementation.name() == "compiled"


@pytest.mark.parametrize("wanted", ["python", "fast", ""])
def test_the_environment_variable_is_read_at_import(monkeypatch, wanted):
    monkeypatch.setenv(VARIABLE, wanted)
    done = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True, timeout=60, check=False)

    best = "compiled" if find_spec("logging_azmon._compiled") else "pure Python"
    assert done.stdout.strip() == {"python": "pure Python", "fast": "", "": best}[wanted]
    assert ("is not accepted" in done.stderr) == (wanted == "fast")
