"""CONTRIBUTING, as a newcomer to the code meets it: its tree is the real one, its rules are kept."""

import ast
import re
from itertools import pairwise
from pathlib import Path

import logging_azmon
from support.pages import ROOT

PACKAGE = Path(logging_azmon.__file__).parent
TEXT = ROOT.joinpath("CONTRIBUTING.md").read_text("utf-8")
TREE, DIRECTION = re.findall(r"^```text\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def test_the_tree_has_every_folder():
    """With a line that says what it is for, and no folder that does not exist."""
    shown = set(re.findall(r"^  (\w+)/ +\S", TREE, re.MULTILINE))
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}

    assert shown == folders
    for name in re.findall(r"^(\w+)/ +\S", TREE, re.MULTILINE):
        assert name == "logging_azmon" or ROOT.joinpath(name).is_dir()


def test_every_file_that_is_named_exists():
    """So that what is typed here runs."""
    named = set(re.findall(r"(?<![\w/])((?:tests|docs|benchmarks|examples)/[\w./-]*\w)", TEXT))

    assert "tests/test_imports.py" in named
    assert {name for name in named if not ROOT.joinpath(name).exists()} <= {"docs/_build/html"}


def test_the_direction_of_imports_is_the_one_that_is_held():
    """No row stands above another here that tests/test_imports.py has below it."""
    module = ast.parse(ROOT.joinpath("tests/test_imports.py").read_text("utf-8"))
    (held,) = [
        ast.literal_eval(node.value)
        for node in module.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "DIRECTION"
    ]
    level = {room: number for number, rooms in enumerate(held) for room in rooms}
    rows = [row.split(", ") for row in DIRECTION.splitlines()]

    assert len(rows) == 9
    for above, below in pairwise(rows):
        assert max(level[room] for room in above) <= min(level[room] for room in below), (above, below)


def test_no_module_is_longer_than_the_signal():
    """Past that it holds two ideas."""
    (limit,) = re.findall(r"(\d+) lines are a\s+signal that it holds two", TEXT)
    long = {path.name: len(path.read_text("utf-8").splitlines()) for path in PACKAGE.rglob("*.py")}

    assert {name: lines for name, lines in long.items() if lines > int(limit)} == {}


def test_modules_with_locks_open_with_their_rules():
    """Those that keep a lock in an object: which threads use it for what is written at the top."""
    keeps = re.compile(r"self\.\w+(?:: [^=]+)? = threading\.(?:R?Lock|Condition)\(")
    core = [path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0].startswith("_")]
    opening = {path: ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "" for path in core}
    found = {path for path in core if keeps.search(path.read_text("utf-8"))}

    assert found
    # Pace has one for three lines; its module holds decisions.
    assert {path.stem for path in found if "Rules:" not in opening[path]} <= {"pacing"}
