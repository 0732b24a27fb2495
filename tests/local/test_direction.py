"""The direction of imports between the folders of the local workspace."""

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
LEVELS = {part: -row for row, parts in enumerate(DIRECTION) for part in parts}
SOURCES = [path for path in sorted(FOLDER.rglob("*.py")) if path != FOLDER / "__init__.py"]


def part_of(path):
    return path.relative_to(FOLDER).parts[0].removesuffix(".py")


def imported_parts(path):
    """Yield the folders and modules that a file imports, late and type-only imports included."""
    depth = len(path.relative_to(FOLDER).parts)
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == depth:
            yield from [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]


def test_every_folder_has_its_row():
    assert {part_of(path) for path in SOURCES} - set(LEVELS) == set()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_a_folder_imports_only_folders_below_it(path):
    part = part_of(path)
    found = set(imported_parts(path)) - {part}

    assert found - {name for name, level in LEVELS.items() if level < LEVELS[part]} == set()
