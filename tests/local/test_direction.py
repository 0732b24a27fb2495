"""Which folder of the local workspace may import which."""

import ast
from pathlib import Path

import pytest

import logging_azmon.local

FOLDER = Path(logging_azmon.local.__file__).parent

# Each row may import the rows below it, never its own: the folders of a row do not know each other.
DIRECTION = [
    {"workspace"},
    {"routes"},
    {"page"},
    {"ingest", "query", "azure_fakes"},
    {"storage"},
    {"kql", "http"},
]
LEVELS = {room: -row for row, rooms in enumerate(DIRECTION) for room in rooms}
SOURCES = [path for path in sorted(FOLDER.rglob("*.py")) if path != FOLDER / "__init__.py"]


def room_of(path):
    return path.relative_to(FOLDER).parts[0].removesuffix(".py")


def imported_rooms(path):
    """Yield the rooms that a file imports, late and type-only imports included."""
    depth = len(path.relative_to(FOLDER).parts)
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == depth:
            yield from [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]


def test_every_folder_has_its_row():
    assert {room_of(path) for path in SOURCES} - set(LEVELS) == set()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_a_folder_imports_only_folders_below_it(path):
    room = room_of(path)
    found = set(imported_rooms(path)) - {room}

    assert found - {name for name, level in LEVELS.items() if level < LEVELS[room]} == set()
