"""The pytest fixtures that the package brings: `azmon_rows` and `azmon_workspace`."""

import logging
import os
import subprocess
import sys
from importlib import metadata

import pytest

from logging_azmon import AzureMonitorHandler, AzureMonitorProcessor, pytest_plugin
from support.local_client import send

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


def test_rows_are_those_that_would_have_been_sent(azmon_rows):
    """Of handlers and processors, however they were made; nothing is."""
    logger = logging.Logger("shop")
    handler = AzureMonitorHandler("http://127.0.0.1:9", "dcr-1", "Custom-App", columns={"UserId": "user_id:int"})
    logger.addHandler(handler)
    logger.info("welcome", extra={"user_id": 42})
    assert azmon_rows[-1]["UserId"] == 42

    AzureMonitorProcessor(pipeline=handler)(None, "info", {"event": "good bye", "user_id": 43})
    assert [row["UserId"] for row in azmon_rows] == [42, 43]
    assert handler.stats().accepted == 0


@pytest.mark.parametrize("number", range(2))
def test_each_test_has_its_own_rows(azmon_rows, number):
    assert azmon_rows == []
    AzureMonitorProcessor("http://127.0.0.1:9", "dcr-1", "Custom-App")(None, "info", {"event": "hello"})
    assert len(azmon_rows) == 1


def test_the_plugin_is_installed():
    """Under a name, so that a project can do without it: `-p no:logging_azmon`."""
    (found,) = [point for point in metadata.entry_points(group="pytest11") if point.name == "logging_azmon"]
    assert found.load() is pytest_plugin


def test_the_plugin_imports_nothing_but_pytest_until_it_is_used():
    check = (
        "import sys, collections.abc, typing, pytest; before = set(sys.modules);"
        "import logging_azmon.pytest_plugin; print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, timeout=LIMIT)
    assert done.stdout.split() == ["logging_azmon", "logging_azmon.pytest_plugin"]
