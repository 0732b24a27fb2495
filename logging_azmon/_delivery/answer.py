"""The answer to one request, whatever the service, the network or the credential made of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Failure(Enum):
    """Say why there is no usable response from the service."""

    CONNECTION = "connection"
    """The connection could not be made, broke, or timed out."""
    CREDENTIAL = "credential"
    """No token could be obtained."""
    TLS = "tls"
    """The TLS handshake failed."""
    TOO_LARGE = "too_large"
    """Nothing was sent: the service is known to refuse a body of this size."""
    UNREADABLE = "unreadable"
    """The response is not one that the service sends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Hold the response to one request, or the reason why there is none."""

    status: int | None = None
    """The HTTP status, if there was a response."""
    code: str = ""
    """The error code in the response, such as "InvalidStream"."""
    message: str = ""
    """The error text in the response, or what the failure said."""
    retry_after: str | None = None
    """The Retry-After header as it was received."""
    failure: Failure | None = None
    """Set if there was no response that could be read."""
