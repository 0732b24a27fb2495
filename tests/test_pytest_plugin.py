"""The pytest fixtures that the package brings: `azmon_rows` and `azmon_workspace`."""

import logging
import os
import subprocess
import sys
from importlib import metadata

import pytest

from logging_azmon import AzureMonitorHandler, AzureMonitorProcessor, pytest_plugin
from support.local_client import send
from support.pipelines import LIMIT_SECONDS, address


def test_the_workspace_fixture_is_empty_and_the_environment_points_to_it(azmon_workspace):
    assert os.environ["DATA_COLLECTION_ENDPOINT"] == azmon_workspace.endpoint
    assert azmon_workspace.rows("App_CL") == []
    assert send(azmon_workspace, [{"Message": "x"}]).status == 204
    assert azmon_workspace.query("App_CL | count") == [{"Count": 1}]


@pytest.fixture
def configured(monkeypatch):
    """Configure the application in the environment, as in production."""
    monkeypatch.setenv("LOGGING_AZMON_ENDPOINT", "https://production.example.org")
    monkeypatch.setenv("LOGGING_AZMON_DISABLED", "1")


def test_the_workspace_fixture_comes_before_the_variables_of_the_application(configured, azmon_workspace):
    """They would come before the ones that it sets."""
    assert AzureMonitorHandler().pipeline.settings.endpoint == azmon_workspace.endpoint


@pytest.mark.azmon_workspace(faults=["503"], tls=True)
def test_the_workspace_mark_takes_the_arguments_of_a_workspace(azmon_workspace):
    assert os.environ["REQUESTS_CA_BUNDLE"] == str(azmon_workspace.ca_path)
    assert [send(azmon_workspace, []).status for _ in range(2)] == [503, 204]


def test_the_rows_fixture_has_the_rows_that_would_have_been_sent(azmon_rows):
    """It collects rows of all handlers and processors, and nothing is sent."""
    logger = logging.Logger("shop")
    handler = AzureMonitorHandler(*address(), columns={"UserId": "user_id:int"})
    logger.addHandler(handler)
    logger.info("welcome", extra={"user_id": 42})
    assert azmon_rows[-1]["UserId"] == 42

    AzureMonitorProcessor(pipeline=handler)(None, "info", {"event": "goodbye", "user_id": 43})

    assert [row["UserId"] for row in azmon_rows] == [42, 43]
    assert handler.stats().accepted == 0


@pytest.mark.parametrize("number", range(2))
def test_the_rows_fixture_begins_empty_in_each_test(azmon_rows, number):
    assert azmon_rows == []
    AzureMonitorProcessor(*address())(None, "info", {"event": "hello"})

    assert len(azmon_rows) == 1


def test_the_plugin_is_installed_under_a_name_that_can_be_disabled():
    """`-p no:logging_azmon` disables it."""
    (found,) = [point for point in metadata.entry_points(group="pytest11") if point.name == "logging_azmon"]

    assert found.load() is pytest_plugin


def test_the_plugin_imports_nothing_but_pytest_until_it_is_used():
    check = (
        "import sys, collections.abc, typing, pytest; before = set(sys.modules);"
        "import logging_azmon.pytest_plugin; print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True, timeout=LIMIT_SECONDS
    )

    assert done.stdout.split() == ["logging_azmon", "logging_azmon.pytest_plugin"]
