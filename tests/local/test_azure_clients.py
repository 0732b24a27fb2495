"""The official clients, unmodified, against a local workspace over TLS."""

import asyncio
import datetime as dt

import pytest
from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential, ManagedIdentityCredential
from azure.monitor.ingestion import LogsIngestionClient
from azure.monitor.ingestion.aio import LogsIngestionClient as AsyncLogsIngestionClient
from azure.monitor.query import LogsBatchQuery, LogsQueryClient, LogsQueryStatus
from azure.monitor.query.aio import LogsQueryClient as AsyncLogsQueryClient

from logging_azmon.local import Workspace

DAY = dt.timedelta(days=1)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("data") / "workspace"


@pytest.fixture(scope="module")
def workspace(directory):
    with Workspace(data=directory, tls=True) as ws:
        yield ws


@pytest.fixture(autouse=True)
def trusting(workspace, monkeypatch):
    """Set the variables that `logging-azmon serve --tls` prints."""
    for name, value in (workspace.trust_environment | workspace.identity_environment).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def credential(workspace):
    with ClientSecretCredential(
        "tenant", "client", "secret", authority=workspace.endpoint, disable_instance_discovery=True
    ) as credential:
        yield credential


def test_rows_uploaded_by_the_ingestion_client_are_read_back_by_the_query_client(workspace, credential):
    with LogsIngestionClient(workspace.endpoint, credential) as client:
        client.upload(workspace.rule_id, workspace.stream, [{"Message": f"sync {n}", "Line": n} for n in range(3)])
    workspace.query("App_CL | count")
    with LogsQueryClient(credential, endpoint=workspace.endpoint) as client:
        result = client.query_workspace(
            workspace.workspace_id,
            "App_CL | where Message startswith 'sync' | project TimeGenerated, Message, Line | sort by Line asc",
            timespan=DAY,
        )
    assert result.status == LogsQueryStatus.SUCCESS
    assert result.tables[0].columns == ["TimeGenerated", "Message", "Line"]
    assert [tuple(row)[1:] for row in result.tables[0].rows] == [("sync 0", 0), ("sync 1", 1), ("sync 2", 2)]
    assert isinstance(result.tables[0].rows[0]["TimeGenerated"], dt.datetime)


def test_rows_uploaded_by_the_asynchronous_client_are_read_back_by_the_asynchronous_client(workspace, credential):
    class Token:
        async def get_token(self, *scopes, **_):
            return credential.get_token(*scopes)

        async def close(self):
            pass

    async def talk():
        async with AsyncLogsIngestionClient(workspace.endpoint, Token()) as client:
            await client.upload(workspace.rule_id, workspace.stream, [{"Message": "async"}])
        workspace.query("App_CL | count")
        async with AsyncLogsQueryClient(Token(), endpoint=workspace.endpoint) as client:
            return await client.query_workspace("local", "App_CL | where Message == 'async' | count", timespan=None)

    assert [list(row) for row in asyncio.run(talk()).tables[0].rows] == [[1]]


def test_a_batch_of_the_query_client_answers_each_query_and_each_mistake(workspace, credential):
    queries = [
        LogsBatchQuery("local", "print a = 1", timespan=None),
        LogsBatchQuery("local", "App_CL | where Nope == 1", timespan=DAY),
        LogsBatchQuery("local", "print b = 'x'", timespan=(dt.datetime(2026, 1, 1, tzinfo=dt.UTC), DAY)),
    ]
    with LogsQueryClient(credential, endpoint=workspace.endpoint) as client:
        first, second, third = client.query_batch(queries)
    assert [list(row) for row in first.tables[0].rows] == [[1]]
    assert second.status == LogsQueryStatus.FAILURE
    assert second.code == "BadArgumentError"
    assert [list(row) for row in third.tables[0].rows] == [["x"]]


def test_managed_identity_credential_gets_a_token(workspace):
    credential = ManagedIdentityCredential()
    with LogsIngestionClient(workspace.endpoint, credential) as client:
        client.upload(workspace.rule_id, workspace.stream, [{"Message": "managed"}])
    assert workspace.query("App_CL | where Message == 'managed' | count") == [{"Count": 1}]


def test_the_official_clients_receive_the_services_errors(workspace, credential):
    with LogsIngestionClient(workspace.endpoint, credential) as client:
        with pytest.raises(HttpResponseError) as refused:
            client.upload(workspace.rule_id, "Custom-Nope", [{}])
        assert (refused.value.status_code, refused.value.error.code) == (400, "InvalidStream")
        with pytest.raises(HttpResponseError) as unknown:
            client.upload("dcr-nope", workspace.stream, [{}])
        assert (unknown.value.status_code, unknown.value.error.code) == (404, "NotFound")
    client = LogsQueryClient(credential, endpoint=workspace.endpoint)
    with client, pytest.raises(HttpResponseError) as wrong:
        client.query_workspace("local", "App_CL |\n where Nope == 1", timespan=None)
    assert wrong.value.error.innererror["line"] == 2
    assert wrong.value.error.innererror["pos"] == 8
