"""Reads what came back: a response within limits of time and size, and what the SDK makes of it, as an Answer.

Rules: a response is read here, before the SDK sees it, because its HTTP library bounds each read but not their number:
an answer that trickles would hold a listener for ever, and one without end would take all memory.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import orjson

from .._delivery.retry import Answer, Failure
from .._rows.jsonable import one_line
from .credential import CredentialError, patience

if TYPE_CHECKING:
    from requests.adapters import HTTPAdapter
    from urllib3 import HTTPResponse

_MESSAGE_LENGTH = 300
_STANDARD = frozenset({"builtins", "socket", "ssl", "http.client"})
# The service's own errors have a few hundred bytes. What is longer is cut, and cannot be read then.
_MOST_BODY_BYTES = 16_384


def bounded_adapter(*, read_seconds: float, **options: Any) -> HTTPAdapter:
    """Return a transport adapter that reads responses in `read_seconds` altogether."""
    import http.client

    import requests
    from urllib3 import HTTPResponse
    from urllib3.exceptions import HTTPError, ReadTimeoutError

    class Head(http.client.HTTPResponse):
        def __init__(self, *args: Any, **more: Any) -> None:
            super().__init__(*args, **more)
            deadline = time.monotonic() + min(read_seconds, patience())
            raw: Any = self.fp.detach()
            self.fp: Any = io.BufferedReader(_Timely(raw, deadline))

    class Adapter(requests.adapters.HTTPAdapter):
        def init_poolmanager(self, *args: Any, **more: Any) -> None:
            super().init_poolmanager(*args, **more)
            self._use_head(self.poolmanager)

        def proxy_manager_for(self, proxy: Any, **more: Any) -> Any:
            is_known = proxy in self.proxy_manager
            manager = super().proxy_manager_for(proxy, **more)
            return manager if is_known else self._use_head(manager)

        @staticmethod
        def _use_head(manager: Any) -> Any:
            """Have connections read the head of an answer as it is read here."""
            pools = {}
            for scheme, pool in manager.pool_classes_by_scheme.items():
                connection = type("Connection", (pool.ConnectionCls,), {"response_class": Head})
                pools[scheme] = type("Pool", (pool,), {"ConnectionCls": connection})
            manager.pool_classes_by_scheme = pools
            return manager

        def build_response(self, req: Any, resp: Any) -> requests.Response:
            resp.enforce_content_length = True
            try:
                body = _read(resp)
            except ReadTimeoutError as error:
                raise requests.exceptions.ReadTimeout(error, request=req) from error
            except HTTPError as error:
                raise requests.exceptions.ConnectionError(error, request=req) from error
            # It may have been cut.
            headers = {name: value for name, value in resp.headers.items() if name.lower() != "content-length"}
            read = HTTPResponse(io.BytesIO(body), headers, resp.status, reason=resp.reason, preload_content=False)
            return super().build_response(req, read)

    return Adapter(**options)


class _Timely(io.RawIOBase):
    """Read from a connection until a deadline: a head, too, may trickle, or be announced for ever by 100s."""

    def __init__(self, raw: io.RawIOBase, deadline: float) -> None:
        self._raw = raw
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if time.monotonic() > self._deadline:
            raise TimeoutError("the answer has no end")
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _read(response: HTTPResponse) -> bytes:
    """Read a body to its end, so that the connection is free again."""
    body = bytearray()
    while part := response.read(_MOST_BODY_BYTES - len(body), decode_content=False):
        body += part
    if len(body) == _MOST_BODY_BYTES:
        response.close()
    return bytes(body)


def answer_to(error: Exception) -> Answer:
    """Translate what the SDK raises."""
    from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError

    if isinstance(error, CredentialError):
        return Answer(failure=Failure.CREDENTIAL, message=_line(error))
    response: Any = error.response if isinstance(error, HttpResponseError) else None
    if response is not None:
        code, message = _error_of(response)
        headers = response.headers
        return Answer(
            status=response.status_code,
            code=_line(code or headers.get("x-ms-error-code", "")),
            message=_line(message),
            retry_after=headers.get("Retry-After"),
        )
    if isinstance(error, ServiceRequestError | ServiceResponseError):
        if "407 Proxy" in str(error):
            return Answer(status=407, message=_line(error))
        return _broken(error)
    return Answer(failure=Failure.UNREADABLE, message=_line(f"{type(error).__name__}: {error}"))


def _broken(error: Exception) -> Answer:
    """Tell a connection that broke from one that somebody must look at."""
    import ssl
    from http.client import HTTPException, IncompleteRead, RemoteDisconnected

    causes = list(_causes(error))
    message = why_broken(error)
    # Under TLS, too, a connection that is just cut is only that.
    if any(isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError) for cause in causes):
        return Answer(failure=Failure.CONNECTION, message=message)
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return Answer(failure=Failure.TLS, message=message)
    broken = (RemoteDisconnected, IncompleteRead)
    if any(isinstance(cause, HTTPException) and not isinstance(cause, broken) for cause in causes):
        return Answer(failure=Failure.UNREADABLE, message=message)
    return Answer(failure=Failure.CONNECTION, message=message)


def why_broken(error: Exception) -> str:
    """Say why there is no answer, in the words of what came first."""
    # What requests and urllib3 raise repeats this, and shows objects around it.
    own = [cause for cause in _causes(error) if type(cause).__module__ in _STANDARD]
    return _line(_words(own[-1]) if own else error)


def _words(error: BaseException) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


def _error_of(response: Any) -> tuple[str, str]:
    """Read the service's error; what answers in its stead (a proxy, a portal) speaks otherwise."""
    try:
        error = orjson.loads(response.body())["error"]
        return str(error["code"]), str(error["message"])
    except (ValueError, LookupError, TypeError):
        return "", ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk through what led to an error: requests and urllib3 put causes into arguments, too."""
    seen: set[int] = set()
    found: list[Any] = [error]
    while found:
        cause = found.pop()
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            more = (getattr(cause, "inner_exception", None), getattr(cause, "reason", None))
            found += (*cause.args, *more, cause.__cause__, cause.__context__)


def _line(said: object) -> str:
    return one_line(said, _MESSAGE_LENGTH)
