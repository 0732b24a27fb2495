"""CONTRIBUTING describes the real tree, and the code keeps its rules."""

import ast
import re
from pathlib import Path

import logging_azmon
from support.pages import ROOT

PACKAGE = Path(logging_azmon.__file__).parent
TEXT = ROOT.joinpath("CONTRIBUTING.md").read_text("utf-8")
TREE, DIRECTION = re.findall(r"^```text\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def test_the_tree_in_contributing_has_every_folder():
    """Each folder has a line on its purpose, and each folder in the tree exists."""
    shown = set(re.findall(r"^  (\w+)/ +\S", TREE, re.MULTILINE))
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}

    assert shown == folders
    for name in re.findall(r"^(\w+)/ +\S", TREE, re.MULTILINE):
        assert name == "logging_azmon" or ROOT.joinpath(name).is_dir()


def test_every_file_that_contributing_names_exists():
    """Commands with these files can be copied."""
    named = set(re.findall(r"(?<![\w/])((?:tests|docs|benchmarks|examples)/[\w./-]*\w)", TEXT))

    assert "tests/test_imports.py" in named
    assert {name for name in named if not ROOT.joinpath(name).exists()} <= {"docs/_build/html"}


def test_the_documented_direction_of_imports_is_the_tested_one():
    """The order of the rows is that of tests/test_imports.py."""
    module = ast.parse(ROOT.joinpath("tests/test_imports.py").read_text("utf-8"))
    (held,) = [
        ast.literal_eval(node.value)
        for node in module.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "DIRECTION"
    ]
    rows = [set(row.split(", ")) for row in DIRECTION.splitlines()]

    assert rows == held


def test_no_module_is_longer_than_the_documented_limit():
    """A longer module probably holds two ideas."""
    (limit,) = re.findall(r"(\d+) lines are a\s+signal that it holds two", TEXT)
    long = {path.name: len(path.read_text("utf-8").splitlines()) for path in PACKAGE.rglob("*.py")}

    assert {name: lines for name, lines in long.items() if lines > int(limit)} == {}


def test_modules_with_locks_open_with_their_rules():
    """A module whose objects hold a lock says at the top which threads use it, and for what."""
    keeps = re.compile(r"self\.\w+(?:: [^=]+)? = (?:threading\.)?(?:R?Lock|Condition)\(")
    core = [path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0].startswith("_")]
    opening = {path: ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "" for path in core}
    found = {path for path in core if keeps.search(path.read_text("utf-8"))}

    assert found
    assert {path.stem for path in found if "Rules:" not in opening[path]} == set()
