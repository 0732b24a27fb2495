"""docs/local.md agrees with the local workspace."""

import argparse
import logging
import re

from logging_azmon import AzureMonitorHandler, cli
from logging_azmon.local import Workspace
from support.local_client import send
from support.pages import names, read, table

COMMANDS = dict(cli.find_commands())
TEXT = read("local")


def test_the_documented_defaults_are_those_of_the_local_workspace():
    """These are the port, rule, stream, table and workspace without any option."""
    with Workspace() as workspace:
        assert {workspace.rule_id, workspace.stream, workspace.workspace_id} <= set(names(TEXT))
        assert list(workspace.tables) == ["App_CL", "DCRLogErrors"]
        assert set(workspace.tables) <= set(names(TEXT))
    parser = argparse.ArgumentParser()
    COMMANDS["serve"].configure(parser)
    assert f"127.0.0.1:{parser.get_default('port')}," in TEXT


def test_every_documented_option_exists():
    """The option belongs to `serve` or to `demo`."""
    parser = argparse.ArgumentParser()
    for command in ("serve", "demo"):
        COMMANDS[command].configure(parser)

    assert set(re.findall(r"--[a-z][a-z-]+", TEXT)) <= set(re.findall(r"--[a-z][a-z-]+", parser.format_help()))


def test_every_documented_fault_is_accepted():
    """The faults are in the table and in the text around it."""
    faults = [names(row[0])[0] for row in table("local", "Faults and limits", "fault")]

    assert len(faults) == 6
    with Workspace(faults=faults) as workspace:
        workspace.fault(*faults)


def test_a_lost_answer_makes_a_batch_arrive_twice():
    """The fault `reset,stored` causes this."""
    with Workspace(faults=["reset,stored"]) as workspace:
        handler = AzureMonitorHandler(
            workspace.endpoint, workspace.rule_id, workspace.stream, report=lambda _: None, retry_seconds=0.01
        )
        handler.handle(logging.makeLogRecord({"msg": "twice"}))
        assert handler.flush(30)
        handler.close()
        assert [row["Message"] for row in workspace.rows("App_CL")] == ["twice", "twice"]


def test_the_documented_variables_for_tls_are_those_that_serve_prints():
    """The page names exactly these variables."""
    with Workspace(tls=True) as workspace:
        printed = workspace.trust_environment | workspace.identity_environment

    assert set(re.findall(r"`([A-Z_]{10,})`", TEXT)) == set(printed)


def test_losses_that_azure_does_not_report_are_reported_as_the_page_says():
    """An undeclared column, a value of another type and an old time appear as problems and as rows."""
    row = {"TimeGenerated": "2001-01-01T00:00:00Z", "Line": "many", "Undeclared": 1}
    with Workspace() as workspace:
        assert send(workspace, [row]).status == 204
        told = {(problem["column"], problem["kind"]) for problem in workspace.problems()}
        assert len(workspace.rows("DCRLogErrors")) == 3

    assert told == {("TimeGenerated", "replaced"), ("Line", "mistyped"), ("Undeclared", "dropped")}
