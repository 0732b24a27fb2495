"""The pytest fixture `azmon_workspace`."""

import os
import subprocess
import sys

import pytest

from local_client import send

LIMIT = 60.0


def test_the_fixture_is_an_empty_workspace_that_the_environment_points_to(azmon_workspace):
    assert os.environ["DATA_COLLECTION_ENDPOINT"] == azmon_workspace.endpoint
    assert azmon_workspace.rows("App_CL") == []
    assert send(azmon_workspace, [{"Message": "x"}]).status == 204
    assert azmon_workspace.query("App_CL | count") == [{"Count": 1}]


@pytest.mark.azmon_workspace(faults=["503"], tls=True)
def test_the_mark_takes_what_a_workspace_takes(azmon_workspace):
    assert os.environ["REQUESTS_CA_BUNDLE"] == str(azmon_workspace.ca_path)
    assert [send(azmon_workspace, []).status for _ in range(2)] == [503, 204]


def test_the_plugin_imports_nothing_until_it_is_used():
    check = (
        "import sys, logging_azmon.local.pytest_plugin;"
        "sys.exit(any(name in sys.modules for name in ('duckdb', 'azure', 'orjson', 'structlog')))"
    )
    assert subprocess.run([sys.executable, "-c", check], check=False, timeout=LIMIT).returncode == 0
