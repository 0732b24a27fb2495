"""Talk HTTP to a local workspace without any of Azure's clients."""

import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from logging_azmon.local import Workspace

TIMEOUT = 20.0
UPLOAD = "/dataCollectionRules/dcr-local/streams/Custom-App?api-version=2023-01-01"
"""The path of uploads to the default rule."""


@dataclass(frozen=True)
class Answer:
    """Hold a complete answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Decode the body."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Return the error's code."""
        return str(self.json["error"]["code"])


def call(
    workspace: Workspace,
    method: str,
    path: str,
    body: bytes | Any = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """Make one request; a body that is not bytes is sent as JSON."""
    place = urlsplit(workspace.endpoint)
    connection: http.client.HTTPConnection
    if place.scheme == "https":
        context = ssl.create_default_context(cafile=str(workspace.ca_path))
        connection = http.client.HTTPSConnection(place.hostname or "", place.port, timeout=TIMEOUT, context=context)
    else:
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=TIMEOUT)
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    try:
        connection.request(
            method, path, data, {"Content-Type": "application/json", "Authorization": "Bearer any", **(headers or {})}
        )
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


def send(
    workspace: Workspace,
    body: bytes | Any,
    *,
    rule: str | None = None,
    stream: str | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """Upload a body to the workspace's first stream, or to another."""
    path = f"/dataCollectionRules/{rule or workspace.rule_id}/streams/{stream or workspace.stream}"
    return call(workspace, "POST", f"{path}?api-version=2023-01-01", body, headers)


def ask(workspace: Workspace, query: str, **more: Any) -> Answer:
    """Send a query as the official clients do."""
    return call(workspace, "POST", "/v1/workspaces/local/query", {"query": query, **more})


def port_of(workspace: Workspace) -> int:
    """Return the port that a workspace listens on."""
    port = urlsplit(workspace.endpoint).port
    assert port is not None
    return port


def connect(port: int) -> socket.socket:
    """Open a connection to a port of this machine."""
    return socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)


def request_head(port: int, *lines: str, path: str = UPLOAD, method: str = "POST") -> bytes:
    """Return a request's head, with these header lines beside those that a workspace wants."""
    fixed = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Authorization: Bearer x"]
    return "\r\n".join([*fixed, *lines, "", ""]).encode()


def stream_declaration(columns: Mapping[str, str]) -> dict[str, list[dict[str, str]]]:
    """Return what a rule declares for a stream with these columns."""
    return {"columns": [{"name": name, "type": kind} for name, kind in columns.items()]}
