"""CONTRIBUTING, as those who carry on meet it: its words are in the code, its limits are kept."""

import importlib
import re
from functools import reduce
from pathlib import Path

import pytest

import logging_azmon

PACKAGE = Path(logging_azmon.__file__).parent
TEXT = Path(__file__).parent.parent.parent.joinpath("CONTRIBUTING.md").read_text("utf-8")
WORDS = [
    line.strip("|").split(" | ")
    for line in re.search(r"^### Words$(.*?)^## ", TEXT, re.DOTALL | re.MULTILINE)[1].splitlines()
]
WORDS = [cells for cells in WORDS if len(cells) == 3][1:]


@pytest.mark.parametrize(("word", "where"), [(cells[0], cells[2]) for cells in WORDS], ids=lambda cell: cell.strip())
def test_each_word_is_found_where_the_table_says(word, where):
    """And what is found there is documented, or is a type that its module explains."""
    places = re.findall(r"`([a-z_]+)\.([\w.]+)`", where)

    assert places, word
    for module, name in places:
        home = importlib.import_module(f"logging_azmon.{module}")
        found = reduce(getattr, name.split("."), home)
        assert found.__doc__ or name in home.__doc__


def test_no_module_is_longer_than_it_may_be():
    """Past that it holds two ideas."""
    (limit,) = re.findall(r"Past (\d+) lines it holds two", TEXT)
    long = {path.name: len(path.read_text("utf-8").splitlines()) for path in PACKAGE.rglob("*.py")}

    assert {name: lines for name, lines in long.items() if lines > int(limit)} == {}


def test_modules_with_threads_or_state_open_with_their_rules():
    """A list by hand: whether a module has state is not for a program to say."""
    opening = {path.stem: path.read_text("utf-8").split('"""')[1] for path in PACKAGE.glob("*.py")}
    stateful = {"appender", "buffer", "delivery", "directory", "guard", "lanes", "ledger", "listener", "lock"}
    stateful |= {"pipeline", "registry", "upload", "waiting", "credential", "pieces", "encode", "sharing", "handler"}

    assert {name for name in stateful if "Rules:" not in opening[name]} == set()
