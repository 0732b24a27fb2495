"""The clients that the endpoint's own tests use: one that uploads as Azure's do, and bare sockets."""

import gzip
import json
import socket
from typing import Any

import requests

from .server import Endpoint

ROWS: list[dict[str, Any]] = [{"Message": "one"}, {"Message": "two"}]
PATH = "/dataCollectionRules/dcr-1/streams/Custom-App?api-version=2023-01-01"


def upload(url: str, rows: list[dict[str, Any]], session: requests.Session | None = None) -> requests.Response:
    """Upload as the service's clients do; without a session, on a connection of its own."""
    if session is None:
        with requests.Session() as own:
            own.trust_env = False
            return upload(url, rows, own)
    body = gzip.compress(json.dumps(rows).encode())
    return session.post(url + PATH, data=body, headers={"Content-Encoding": "gzip"}, timeout=10)


def wire(body: bytes, *headers: str) -> bytes:
    """Write an upload as it is sent."""
    lines = [f"POST {PATH} HTTP/1.1", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def dial(endpoint: Endpoint) -> socket.socket:
    """Connect a bare socket."""
    host, port = endpoint.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def outcome(endpoint: Endpoint, data: bytes = b"") -> tuple[bytes, str]:
    """Connect, send and read to the end; a reset may come before any of these is done."""
    try:
        with dial(endpoint) as client:
            client.sendall(data)
            return read_to_end(client)
    except ConnectionError:
        return b"", "reset"


def read_to_end(client: socket.socket) -> tuple[bytes, str]:
    """Read until the connection ends; return what came, and how it ended."""
    received = b""
    try:
        while piece := client.recv(65536):
            received += piece
    except ConnectionResetError:
        return received, "reset"
    return received, "closed"
