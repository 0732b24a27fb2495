"""Requests that are refused for their Host, Origin or Sec-Fetch-Site header."""

import pytest

from logging_azmon.local import Workspace
from support.local_client import UPLOAD, call, port_of


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_requests_to_the_loopback_names_are_answered(workspace, port, name):
    assert call(workspace, "GET", "/api/tables", headers={"Host": f"{name}:{port}"}).status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:{port}", "", ":"],
)
def test_requests_to_any_other_host_name_are_refused(workspace, port, host):
    answer = call(workspace, "GET", "/api/tables", headers={"Host": host.format(port=port)})
    assert (answer.status, answer.code) == (421, "MisdirectedRequest")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1:{port}"])
def test_requests_from_pages_of_other_origins_are_refused(workspace, port, origin):
    headers = {"Origin": origin.format(port=port)}
    assert call(workspace, "POST", UPLOAD, [{}], headers).code == "CrossOriginRequest"
    assert call(workspace, "POST", "/api/faults", "503", headers).code == "CrossOriginRequest"
    assert call(workspace, "GET", "/api/faults").json == []


def test_requests_that_a_browser_marks_as_cross_site_are_refused(workspace):
    assert call(workspace, "GET", "/api/tables", headers={"Sec-Fetch-Site": "cross-site"}).status == 403
    assert call(workspace, "GET", "/api/tables", headers={"Sec-Fetch-Site": "same-origin"}).status == 200


def test_requests_of_the_page_itself_are_answered(workspace, port):
    headers = {"Origin": f"http://127.0.0.1:{port}"}
    assert call(workspace, "POST", "/v1/workspaces/local/query", {"query": "print 1"}, headers).status == 200


def test_requests_to_a_configured_host_name_are_answered():
    with Workspace(names=["logs"]) as ws:
        port = port_of(ws)
        assert call(ws, "GET", "/api/tables", headers={"Host": f"logs:{port}"}).status == 200


def test_a_workspace_on_all_addresses_answers_to_any_address_but_not_to_any_name():
    with Workspace(host="0.0.0.0") as ws:
        port = port_of(ws)
        assert ws.endpoint == f"http://127.0.0.1:{port}"
        assert call(ws, "GET", "/api/tables", headers={"Host": f"192.0.2.7:{port}"}).status == 200
        assert call(ws, "GET", "/api/tables", headers={"Host": f"evil.example:{port}"}).status == 421
