"""What passes between the HTTP server and those who answer: a request read to its end, and a response."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import orjson

# Azure's limit for an upload, kept for every request: a longer body is read and thrown away.
MAX_BODY_BYTES = 1_048_576


@dataclass(frozen=True, slots=True)
class Request:
    """Hold a request whose body was read; header names are in lower case, the path and query are decoded."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""
    too_long: int | None = None
    """The length of a body that was thrown away."""


@dataclass(frozen=True, slots=True)
class Response:
    """Hold an answer: a body of known length, or `stream`, whose parts go out as they come."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json; charset=utf-8"
    stream: Iterator[bytes] | None = None


def answer(value: object, status: int = 200) -> Response:
    """Answer with JSON."""
    return Response(status, orjson.dumps(value))


def failure(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with an error in the service's shape and with its headers."""
    return Response(
        status,
        orjson.dumps({"error": {"code": code, "message": message}}),
        {"x-ms-error-code": code, "x-ms-request-id": str(uuid.uuid4()), **(headers or {})},
    )
