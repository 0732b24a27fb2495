"""What came back for one request: the service's response, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Failure(Enum):
    """Say why there is no response from the service."""

    # The connection could not be made, broke, or timed out.
    CONNECTION = "connection"
    # No token could be obtained.
    CREDENTIAL = "credential"
    # The TLS handshake failed.
    TLS = "tls"
    # Nothing was sent: the service is known to refuse a body of this size.
    TOO_LARGE = "too_large"
    # The response is not one that the service sends.
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Hold what came back for one request."""

    # The HTTP status, if there was a response.
    status: int | None = None
    # The error code in the response, as "InvalidStream".
    code: str = ""
    # The error text in the response, or what the failure said.
    message: str = ""
    # The Retry-After header as it was received.
    retry_after: str | None = None
    # Set if there was no response that could be read.
    failure: Failure | None = None
