"""The entries of a script: an answer, a fault, a request held until the test decides, or a choice by the request."""

import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.client import BAD_REQUEST, NO_CONTENT, NOT_MODIFIED, responses
from typing import Literal, TypeAlias, get_args

from .request import Request

Point: TypeAlias = Literal["connect", "headers", "body", "answer", "half-answer"]
POINTS: tuple[Point, ...] = get_args(Point)
# Bounds the cost of a forgotten go() or release(): the test fails late, but it does not hang.
HOLD_SECONDS = 60.0


@dataclass(frozen=True)
class Status:
    """Answer with these bytes; `status` builds them."""

    wire: bytes
    stored: bool
    closes: bool


@dataclass(frozen=True)
class Fault:
    """Misbehave at a point of the exchange."""

    at: Point
    stored: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        allowed = POINTS[3:] if self.stored else POINTS
        if self.at not in allowed:
            raise ValueError(f"at={self.at!r} with stored={self.stored}: at must be one of {', '.join(allowed)}")


class Reset(Fault):
    """Reset the connection (a true RST); with `stored=True` the rows are stored, as if only the 204 were lost.

    At `connect` the reset races with the client's own connect(), which may succeed or fail.
    """


class Hang(Fault):
    """Send nothing until `release()`, then go on with a 204; with `stored=True` the rows count at once.

    Like a slow service, the endpoint stores the rows in the end, whether or not the client still waits.
    """


class Held:
    """Hold requests in flight until the test calls `go`; usable as a script entry and as the default."""

    def __init__(self) -> None:
        """Begin with no request arrived and none let go."""
        self.arrived = threading.Event()
        self._gone = threading.Event()
        self._answer: Script = STORED

    def go(self, answer: "Script | None" = None) -> None:
        """Answer the requests held now and all later ones, with a 204 by default; only the first call counts."""
        if not self._gone.is_set():
            self._answer = answer or STORED
            self._gone.set()

    def __call__(self, _: Request) -> "Script":
        """Wait for `go`."""
        self.arrived.set()
        wait_for(self._gone, "go()")
        return self._answer


Answer: TypeAlias = Status | Reset | Hang
Script: TypeAlias = Answer | Callable[[Request], "Script"]


def status(
    code: int,
    *,
    retry_after: int | str | None = None,
    error: tuple[str, str] | None = None,
    body: bytes | None = None,
    headers: Iterable[tuple[str, str]] = (),
) -> Status:
    """Build an answer; from 400 on it carries the service's JSON error unless `body` is given (b"" for none).

    `error` is the (code, message) of that JSON. `retry_after` is sent verbatim. `headers` come last and replace
    earlier ones; ("Connection", "close") among them ends the connection after the answer.
    """
    fields = {} if retry_after is None else {"retry-after": str(retry_after)}
    reason = responses.get(code, "Unknown")
    if body is None and (error or code >= BAD_REQUEST):
        name, text = error or _ERRORS.get(code, (reason.replace(" ", ""), f"The service answered {code}."))
        body = json.dumps({"error": {"code": name, "message": text}}).encode()
        fields["x-ms-error-code"] = name
    if body:
        fields["content-type"] = "application/json; charset=utf-8"
    if code not in {NO_CONTENT, NOT_MODIFIED}:
        fields["content-length"] = str(len(body or b""))
    elif body:
        raise ValueError(f"a {code} has no body, so it cannot carry {body!r}")
    fields |= {name.lower(): value for name, value in headers}
    head = [f"HTTP/1.1 {code} {reason}", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    wire = "\r\n".join(head).encode("latin-1") + (body or b"")
    return Status(wire, stored=code == NO_CONTENT, closes=fields.get("connection") == "close")


def when(predicate: Callable[[Request], bool], answer: Script, otherwise: Script | None = None) -> Script:
    """Choose by the request: `answer` where the predicate holds, else `otherwise`, by default a 204."""
    return lambda request: answer if predicate(request) else otherwise or STORED


def wait_for(event: threading.Event, call: str) -> None:
    """Wait for a call that the test has to make, and fail if it forgets."""
    if not event.wait(HOLD_SECONDS):
        raise AssertionError(f"the test did not call {call} within {HOLD_SECONDS} s")


# Codes and messages as the service was seen to send them. Any other status is named after its reason phrase.
_ERRORS = {
    400: ("InvalidStream", "The stream was not configured in the data collection rule."),
    403: ("OperationFailed", "The authentication token provided does not have access to ingest data."),
    404: ("NotFound", "Data collection rule with immutable Id 'dcr-0' not found."),
    413: ("ContentLengthLimitExceeded", "Maximum allowed content length: 1048576 bytes (1 MB)."),
}
STORED = status(204)
