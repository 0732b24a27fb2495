"""Read responses within limits of time and size.

Rules: a response is read completely here, before the SDK sees it. The HTTP library limits the time of each read, not
their number: a response that trickles would block a listener for ever, and an endless one would take all memory.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import real_sockets
from .wait_limit import wait_limit

if TYPE_CHECKING:
    from requests.adapters import HTTPAdapter
    from urllib3 import HTTPResponse

# The service's own errors have a few hundred bytes. A longer body is truncated, and then counts as unreadable.
_MAX_BODY_BYTES = 16_384


def bounded_adapter(*, read_seconds: float, **options: Any) -> HTTPAdapter:
    """Return a transport adapter that reads each response, headers and body, in `read_seconds` altogether."""
    import http.client

    import requests
    from urllib3 import HTTPResponse
    from urllib3.exceptions import HTTPError, ReadTimeoutError

    class TimedResponse(http.client.HTTPResponse):
        def __init__(self, *args: Any, **more: Any) -> None:
            super().__init__(*args, **more)
            deadline = time.monotonic() + min(read_seconds, wait_limit())
            raw: Any = self.fp.detach()
            self.fp: Any = io.BufferedReader(_TimedReader(raw, deadline))

    class Adapter(requests.adapters.HTTPAdapter):
        def init_poolmanager(self, *args: Any, **more: Any) -> None:
            super().init_poolmanager(*args, **more)
            self._use_timed_responses(self.poolmanager)

        def proxy_manager_for(self, proxy: Any, **more: Any) -> Any:
            is_known = proxy in self.proxy_manager
            manager = super().proxy_manager_for(proxy, **more)
            return manager if is_known else self._use_timed_responses(manager)

        @staticmethod
        def _use_timed_responses(manager: Any) -> Any:
            pools = {}
            for scheme, pool in manager.pool_classes_by_scheme.items():
                members = {"response_class": TimedResponse, "_new_conn": _connecting(pool.ConnectionCls)}
                connection = type("Connection", (pool.ConnectionCls,), members)
                pools[scheme] = type("Pool", (pool,), {"ConnectionCls": connection})
            manager.pool_classes_by_scheme = pools
            return manager

        def build_response(self, req: Any, resp: Any) -> requests.Response:
            resp.enforce_content_length = True
            try:
                body = _read_body(resp)
            except ReadTimeoutError as error:
                raise requests.exceptions.ReadTimeout(error, request=req) from error
            except HTTPError as error:
                raise requests.exceptions.ConnectionError(error, request=req) from error
            # The body may have been truncated, so the Content-Length header is removed.
            headers = {name: value for name, value in resp.headers.items() if name.lower() != "content-length"}
            read = HTTPResponse(io.BytesIO(body), headers, resp.status, reason=resp.reason, preload_content=False)
            return super().build_response(req, read)

    return Adapter(**options)


def _connecting(base: Any) -> Callable[[Any], Any]:
    """Return the method that connects, with errors that the HTTP library would raise."""
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

    def connect(self: Any) -> Any:
        if not real_sockets.blocks_nobody():
            return base._new_conn(self)  # noqa: SLF001 - the one place where a connection can be replaced
        try:
            return real_sockets.connect(self.host, self.port, timeout=self.timeout, options=self.socket_options)
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"{self.host} did not answer in {self.timeout} s") from error
        except OSError as error:
            raise NewConnectionError(self, f"failed to establish a new connection: {error}") from error

    return connect


class _TimedReader(io.RawIOBase):
    """Read from a connection until a deadline: headers can trickle, too, or follow endless 100 Continue responses."""

    def __init__(self, raw: io.RawIOBase, deadline: float) -> None:
        self._raw = raw
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if time.monotonic() > self._deadline:
            raise TimeoutError("the response did not end in time")
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _read_body(response: HTTPResponse) -> bytes:
    """Read a body to its end, so that the connection can be reused; close a response that exceeds the limit."""
    body = bytearray()
    while part := response.read(_MAX_BODY_BYTES - len(body), decode_content=False):
        body += part
    if len(body) == _MAX_BODY_BYTES:
        response.close()
    return bytes(body)
