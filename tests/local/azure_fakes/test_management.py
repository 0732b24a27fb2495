"""The local workspace tells what is deployed as Azure Resource Manager does."""

import json

import pytest

from logging_azmon.local import Workspace
from logging_azmon.local.azure_fakes.management import WORKSPACE
from logging_azmon.local.rules import DEFAULT_RULE, read_rules
from support.local_client import call

GRAPH = "/providers/Microsoft.ResourceGraph/resources?api-version=2021-03-01"


@pytest.fixture(scope="module")
def workspace():
    with Workspace() as workspace:
        yield workspace


def found(workspace, query):
    return call(workspace, "POST", GRAPH, {"query": query}).json


def test_a_rule_is_found_by_its_immutable_id(workspace):
    """And is read back as it was; without one, all rules are found."""
    answer = found(workspace, "resources | where properties.immutableId =~ 'dcr-local'")

    assert (answer["count"], answer["totalRecords"]) == (1, 1)
    assert read_rules(answer["data"]) == (DEFAULT_RULE,)
    assert found(workspace, "resources")["count"] == 1
    assert found(workspace, "resources | where properties.immutableId == 'dcr-other'")["data"] == []


def test_a_table_is_described(workspace):
    """With its columns in order."""
    table = call(workspace, "GET", f"{WORKSPACE}/tables/App_CL?api-version=2022-10-01").json

    assert table["name"] == "App_CL"
    assert table["properties"]["schema"]["columns"][:2] == [
        {"name": "TimeGenerated", "type": "datetime"},
        {"name": "Level", "type": "string"},
    ]
    assert call(workspace, "GET", f"{WORKSPACE}/tables/Other_CL").status == 404


def test_the_workspace_has_the_id_that_it_is_queried_by(workspace):
    """Whatever the case of its address, as in Azure."""
    assert call(workspace, "GET", WORKSPACE.upper()).json["properties"] == {"customerId": workspace.workspace_id}


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"query": 1}', json.dumps("x").encode()])
def test_what_is_no_question_is_refused(workspace, body):
    """In the service's shape."""
    assert call(workspace, "POST", GRAPH, body).code == "BadRequest"


@pytest.mark.parametrize(("method", "path"), [("PUT", WORKSPACE), ("GET", GRAPH), ("GET", f"{WORKSPACE}/x")])
def test_nothing_else_is_answered(workspace, method, path):
    """Nothing can be deployed here."""
    assert call(workspace, method, path).status == 404
