"""Answers of the local workspace in place of Azure Resource Manager."""

import json

import pytest

from logging_azmon._config.dcr import DEFAULT_RULE, read_rules
from logging_azmon.local.azure_fakes.management import WORKSPACE
from support.local_client import call

GRAPH = "/providers/Microsoft.ResourceGraph/resources?api-version=2021-03-01"


def ask_graph(workspace, query):
    return call(workspace, "POST", GRAPH, {"query": query}).json


def test_a_rule_is_found_by_its_immutable_id_and_reads_back_unchanged(workspace):
    """A query without an id finds all rules."""
    answer = ask_graph(workspace, "resources | where properties.immutableId =~ 'dcr-local'")

    assert (answer["count"], answer["totalRecords"]) == (1, 1)
    assert read_rules(answer["data"]) == (DEFAULT_RULE,)
    assert ask_graph(workspace, "resources")["count"] == 1
    assert ask_graph(workspace, "resources | where properties.immutableId == 'dcr-other'")["data"] == []


def test_a_table_is_described_with_its_columns_in_order(workspace):
    table = call(workspace, "GET", f"{WORKSPACE}/tables/App_CL?api-version=2022-10-01").json

    assert table["name"] == "App_CL"
    assert table["properties"]["schema"]["columns"][:2] == [
        {"name": "TimeGenerated", "type": "datetime"},
        {"name": "Level", "type": "string"},
    ]
    assert call(workspace, "GET", f"{WORKSPACE}/tables/Other_CL").status == 404


def test_the_workspace_resource_has_the_id_that_queries_use(workspace):
    """Resource ids are case-insensitive, as in Azure."""
    assert call(workspace, "GET", WORKSPACE.upper()).json["properties"] == {"customerId": workspace.workspace_id}


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"query": 1}', json.dumps("x").encode()])
def test_a_resource_graph_request_without_a_query_is_refused(workspace, body):
    assert call(workspace, "POST", GRAPH, body).code == "BadRequest"


@pytest.mark.parametrize(("method", "path"), [("PUT", WORKSPACE), ("GET", GRAPH), ("GET", f"{WORKSPACE}/x")])
def test_any_other_request_to_resource_manager_is_answered_with_404(workspace, method, path):
    """Nothing can be deployed here."""
    assert call(workspace, method, path).status == 404
