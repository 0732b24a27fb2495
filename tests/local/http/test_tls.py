"""The certificate authority of a workspace, and clients that break off."""

import gc
import socket
import ssl
import struct
from contextlib import suppress

import pytest

from logging_azmon.local import Workspace
from support.local_client import connect, port_of, send


def test_a_tls_client_that_resets_leaves_no_socket_open():
    """Warnings are errors: a socket that was not closed would warn when it is collected."""
    with Workspace(tls=True) as ws:
        context = ssl.create_default_context(cafile=ws.ca_path)
        for _ in range(20):
            raw = connect(port_of(ws))
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            context.wrap_socket(raw, server_hostname="127.0.0.1").close()
    gc.collect()


def test_plain_http_on_a_tls_port_does_not_disturb_other_clients():
    with Workspace(tls=True) as ws:
        port = port_of(ws)
        with connect(port) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with suppress(ConnectionError), connection.makefile("rb") as reader:
                assert not reader.read().startswith(b"HTTP")
        with (
            connect(port) as raw,
            pytest.raises(ssl.SSLCertVerificationError),
        ):
            ssl.create_default_context().wrap_socket(raw, server_hostname="localhost")
        assert send(ws, [{}]).status == 204


def test_the_certificate_authority_survives_a_restart(tmp_path):
    with Workspace(data=tmp_path, tls=True) as first:
        before = first.ca_path.read_bytes()
    with Workspace(data=tmp_path, tls=True) as second:
        assert second.ca_path.read_bytes() == before


def test_without_a_data_directory_the_certificate_authority_is_removed_on_close():
    with Workspace(tls=True) as ws:
        assert ws.endpoint.startswith("https://127.0.0.1:")
        assert ws.ca_path.exists()
    assert not ws.ca_path.exists()
