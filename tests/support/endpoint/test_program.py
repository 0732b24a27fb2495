"""The endpoint as a program, and as the service that its own client expects."""

import json
import subprocess
import sys
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path

import pytest
import requests

from support.endpoint import status
from support.endpoint.clients import ROWS, upload


@pytest.fixture
def process():
    """Serve in a process of its own."""
    command = [sys.executable, Path(__file__).parent, "--port", "0"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


def test_the_program_prints_its_url_then_each_stored_row_as_json(process):
    """It ends quietly when stdin closes."""
    url = process.stdout.readline().strip()
    for i in range(3):
        upload(url, [{"i": i, "text": "ä\n"}])
        assert json.loads(process.stdout.readline()) == {"i": i, "text": "ä\n"}
    upload(url, ROWS)
    out, err = process.communicate(timeout=10)

    assert [json.loads(line) for line in out.splitlines()] == ROWS
    assert (process.returncode, err) == (0, "")


def test_unread_output_holds_up_no_upload_of_the_program(process):
    """More rows than a pipe holds; none is lost at the end."""
    url = process.stdout.readline().strip()
    rows = [{"i": i, "text": "x" * 100} for i in range(5000)]
    assert upload(url, rows).status_code == HTTPStatus.NO_CONTENT
    assert upload(url, rows).status_code == HTTPStatus.NO_CONTENT
    out, _ = process.communicate(timeout=10)

    assert [json.loads(line) for line in out.splitlines()] == rows * 2


def test_the_program_ends_quietly_once_its_reader_has_gone(process):
    url = process.stdout.readline().strip()
    process.stdout.close()
    with suppress(requests.ConnectionError):  # the program may end before it has answered
        upload(url, ROWS)

    assert process.wait(timeout=10) == 1
    assert process.stderr.read() == ""


def test_the_services_own_client_uploads_and_reads_errors_as_from_the_service(endpoint):
    """azure-monitor-ingestion."""
    ingestion = pytest.importorskip("azure.monitor.ingestion")
    core = pytest.importorskip("azure.core")

    class Credential:
        def get_token(*_, **__):
            return core.credentials.AccessToken("secret", 4_000_000_000)

    with ingestion.LogsIngestionClient(endpoint.url, Credential()) as client:
        client.upload("dcr-1", "Custom-App", ROWS, enforce_https=False)
        assert endpoint.rows == ROWS
        assert endpoint.requests[0].headers["authorization"] == "Bearer secret"
        endpoint.play(status(404))
        with pytest.raises(core.exceptions.ResourceNotFoundError) as error:
            client.upload("dcr-1", "Custom-App", ROWS, enforce_https=False)

        assert error.value.error.code == "NotFound"
