"""Define what passes between the HTTP server and the application: a complete request, and a response."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import orjson


@dataclass(frozen=True, slots=True)
class Request:
    """Hold a complete request. Header names are in lower case; path and query are decoded."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""
    too_long: int | None = None
    """The length of a body that was discarded for being too long; else None."""


@dataclass(frozen=True, slots=True)
class Response:
    """Hold a response: a body of known length, or a `stream` whose parts are sent as it yields them.

    An empty part sends nothing, and ends the stream if the client is gone.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json; charset=utf-8"
    stream: Iterator[bytes] | None = None


def answer(value: object, status: int = 200) -> Response:
    """Answer with JSON."""
    return Response(status, orjson.dumps(value))


def failure(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with an error in the shape, and with the headers, of the service's errors."""
    return Response(
        status,
        orjson.dumps({"error": {"code": code, "message": message}}),
        {"x-ms-error-code": code, "x-ms-request-id": str(uuid.uuid4()), **(headers or {})},
    )
