"""Open DuckDB locked down: a query can reach nothing but the tables of the workspace."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import ConfigurationError

FILE = "workspace.duckdb"
_SETTINGS = (
    "SET GLOBAL TimeZone = 'UTC'",
    "SET memory_limit = '2GB'",
    "SET temp_directory = ''",
    # A query can reach no file, no network and no other database, and cannot undo these settings.
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)


def connect(data: Path | None) -> Any:
    """Open the database in a directory, or one in memory."""
    import duckdb

    try:
        connection = duckdb.connect(str(data / FILE) if data else ":memory:")
        for setting in _SETTINGS:
            connection.execute(setting)
    except duckdb.Error as error:
        # In one process DuckDB shares an open database, and ours refuses the settings a second time.
        reason = "it is already open" if "locked" in str(error) else explain(error)
        raise ConfigurationError([f"data directory {str(data)!r} cannot be opened: {reason}"]) from error
    return connection


def run(cursor: Any, sql: str, parameters: Mapping[str, Any]) -> None:
    """Execute a SELECT; DuckDB refuses an empty mapping of parameters."""
    if parameters:
        cursor.execute(sql, dict(parameters))
    else:
        cursor.execute(sql)


def explain(error: Exception) -> str:
    """Return the first line of a database error, without the generated SQL that follows it."""
    return str(error).partition("\n")[0][:300]
