"""The workspace as an object in Python: start, close, rows, queries, directory, port."""

import re
import socket
import threading

import pytest

import logging_azmon.local
from logging_azmon.errors import ConfigurationError
from logging_azmon.local import QueryError, Workspace
from support.local_client import TIMEOUT, send


def test_a_workspace_can_be_started_and_closed_without_a_with_block():
    ws = Workspace()
    assert repr(ws) == "<Workspace not started>"
    with pytest.raises(RuntimeError, match="not started"):
        _ = ws.endpoint
    with pytest.raises(RuntimeError, match="not started"):
        ws.rows("App_CL")
    ws.close()
    assert ws.start() is ws
    assert ws.start() is ws
    assert ws.endpoint in repr(ws)
    ws.close()
    ws.close()


def test_wait_for_returns_the_rows_as_soon_as_they_can_be_queried(workspace):
    timer = threading.Timer(0.1, lambda: send(workspace, [{"Message": "awaited"}]))
    timer.start()
    (row,) = workspace.wait_for("App_CL | where Message == 'awaited'", timeout=TIMEOUT)
    assert row["Message"] == "awaited"
    timer.join(TIMEOUT)
    with pytest.raises(TimeoutError, match=r"has 0 rows after 0\.05 s, not 2"):
        workspace.wait_for("App_CL | where Message == 'never'", rows=2, timeout=0.05)


def test_a_query_from_python_raises_rather_than_returning_a_truncated_result(workspace):
    with pytest.raises(QueryError, match="more than 500,000 rows"):
        workspace.query("range a from 1 to 500001 step 1")


def test_an_unknown_name_in_the_package_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = logging_azmon.local.nope


def test_the_error_for_an_unknown_table_names_the_existing_ones(workspace):
    with pytest.raises(LookupError, match="no table 'Nope'; the tables are App_CL, DCRLogErrors"):
        workspace.rows("Nope")
    assert set(workspace.tables) == {"App_CL", "DCRLogErrors"}


def test_the_data_directory_is_private_to_its_owner(tmp_path):
    with Workspace(data=tmp_path / "new", tls=True) as ws:
        assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
        assert ws.ca_path.parent == tmp_path / "new"
        assert (tmp_path / "new" / "ca-key.pem").stat().st_mode & 0o777 == 0o600
        with pytest.raises(ConfigurationError, match="cannot be opened"):
            Workspace(data=tmp_path / "new", port=0).start()


def test_a_data_directory_with_other_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("x")
    tmp_path.chmod(0o755)
    with pytest.raises(ConfigurationError, match="holds other files"):
        Workspace(data=tmp_path).start()
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    with pytest.raises(ConfigurationError, match="cannot be used"):
        Workspace(data=tmp_path / "thesis.txt").start()


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_a_workspace_can_listen_on_the_ipv6_loopback_address():
    with Workspace(host="::1") as ws:
        assert ws.endpoint.startswith("http://[::1]:")
        assert send(ws, [{}]).status == 204


def test_a_port_in_use_is_a_configuration_error(port):
    message = f"cannot listen on 127.0.0.1:{port}: Address already in use; try another port, or 0 for any free one"
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        Workspace(port=port).start()


@pytest.mark.parametrize("number", [-1, 65536])
def test_an_impossible_port_is_a_configuration_error(number):
    with pytest.raises(ConfigurationError, match=f"127.0.0.1:{number}: ports go from 0 to 65535; try another port"):
        Workspace(port=number).start()
