"""Quote names and texts, for SQL and for KQL."""

from __future__ import annotations


def quoted(name: str) -> str:
    """Quote a name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def bracketed(name: str) -> str:
    """Quote a name for KQL."""
    return "['" + name.replace("\\", "\\\\").replace("'", "\\'") + "']"


def text(value: str) -> str:
    """Quote a string for KQL."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'
