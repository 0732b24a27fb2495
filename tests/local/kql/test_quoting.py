"""Names and strings in SQL and in KQL."""

import subprocess
import sys

import pytest

from logging_azmon.local.kql.quoting import kql_name, kql_string, sql_name


@pytest.mark.parametrize(
    ("quote", "text", "quoted"),
    [
        (sql_name, 'a "b" c', '"a ""b"" c"'),
        (kql_name, "it's", "['it\\'s']"),
        (kql_name, "a\\b", "['a\\\\b']"),
        (kql_string, 'say "hi"', '"say \\"hi\\""'),
        (kql_string, "a\\b", '"a\\\\b"'),
    ],
)
def test_quotes_and_backslashes_are_escaped(quote, text, quoted):
    assert quote(text) == quoted


def test_quoting_is_imported_without_duckdb():
    """Commands quote KQL for workspaces in Azure, where DuckDB may not be installed."""
    script = "import sys, logging_azmon.local.kql.quoting; sys.exit('duckdb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode == 0
