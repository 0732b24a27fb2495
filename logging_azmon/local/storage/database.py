"""Open DuckDB so that a query can reach nothing but the workspace's tables."""

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
    # Nothing a query says reaches a file, the network or another database, and nothing can undo that.
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
        # Within one process DuckDB shares what is open, and ours is locked.
        reason = "it is open already" if "locked" in str(error) else explain(error)
        raise ConfigurationError([f"data directory {str(data)!r} cannot be opened: {reason}"]) from error
    return connection


def run(cursor: Any, sql: str, parameters: Mapping[str, Any]) -> None:
    """Execute a SELECT; DuckDB takes no empty set of values."""
    if parameters:
        cursor.execute(sql, dict(parameters))
    else:
        cursor.execute(sql)


def explain(error: Exception) -> str:
    """Take the first sentence of a database error, without the SQL that nobody wrote."""
    return str(error).partition("\n")[0][:300]
