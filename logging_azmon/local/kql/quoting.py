"""Quote names and strings, for SQL and for KQL."""

from __future__ import annotations


def sql_name(name: str) -> str:
    """Quote the name of a table or column for SQL."""
    return '"' + name.replace('"', '""') + '"'


def kql_name(name: str) -> str:
    """Quote the name of a table or column for KQL."""
    return "['" + name.replace("\\", "\\\\").replace("'", "\\'") + "']"


def kql_string(value: str) -> str:
    """Quote a string for KQL."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'
