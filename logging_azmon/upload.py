"""One batch, one request, one answer. The only module that knows the wire and the SDK.

The official client carries the bytes: it adds the token, the headers and the path, and nothing else. Its retries sleep
where nobody can wake them, its redirects carry rows elsewhere, its logging writes a line for each request and its
tracing a span, so its policies are named one by one here.

Rules: the SDK is imported, and the client and its credential are built, on a delivering thread, at the first upload,
under `building`, which a fork waits for: a child that came into being in the middle of an import could never finish
it. A forked child builds a client of its own and leaves the parent's connections alone.
"""

from __future__ import annotations

import importlib
import io
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import orjson

from . import guard
from .outcome import MOST_WIRE_BYTES, Answer, Failure
from .settings import Settings

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken

AUDIENCES: Mapping[str, str] = {
    "public": "https://monitor.azure.com/.default",
    "china": "https://monitor.azure.cn/.default",
    "usgov": "https://monitor.azure.us/.default",
}
_AUTHORITIES: Mapping[str, str] = {
    "public": "login.microsoftonline.com",
    "china": "login.chinacloudapi.cn",
    "usgov": "login.microsoftonline.us",
}
_CREDENTIAL_CLASSES: Mapping[str, str] = {
    "default": "DefaultAzureCredential",
    "managed_identity": "ManagedIdentityCredential",
    "workload_identity": "WorkloadIdentityCredential",
    "environment": "EnvironmentCredential",
    "azure_cli": "AzureCliCredential",
}
_LOGIN_LESS = frozenset({"managed_identity", "azure_cli"})
_MESSAGE_LENGTH = 300
# A token that takes longer does not come.
_ASKING_SECONDS = 60.0
# How long the thread at hand may wait for that; the SDK hands no such thing through.
_patience = threading.local()
# What the SDK and its HTTP library import when a request is made; in other versions there may be less of it.
_IMPORTED_BY_REQUESTS = (
    "encodings.idna",
    "encodings.utf_8_sig",
    "azure.core.rest._requests_basic",
    "azure.core.rest._http_response_impl",
)

building = threading.Lock()


def renew_lock() -> None:
    """Replace a lock whose holder did not survive a fork."""
    global building  # noqa: PLW0603 - one lock a process
    building = threading.Lock()


class Uploader:
    """Send batches to one stream of one rule."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: _Connection | None = None

    def send(self, lines: bytes | bytearray, *, seconds: float | None = None) -> Answer:
        """Upload rows, given as lines; `seconds` shortens the time-outs for somebody who cannot wait."""
        settings = self._settings
        limit = seconds if seconds is not None else max(settings.connect_seconds, settings.read_seconds)
        _patience.seconds = _ASKING_SECONDS if seconds is None else min(seconds, _ASKING_SECONDS)
        # Marked anew for each upload: an instrumentation may have been set up since the thread was.
        with guard.delivering():
            try:
                connection = self._connected()
                body = connection.compress(b"[%b]" % bytes(lines[:-1]).replace(b"\n", b","))
                if len(body) > MOST_WIRE_BYTES:
                    return Answer(failure=Failure.TOO_LARGE, message=f"{len(body):,} bytes compressed")
                connection.client.upload(
                    settings.rule_id,
                    settings.stream,
                    io.BytesIO(body),
                    connection_timeout=max(0.01, min(settings.connect_seconds, limit)),
                    read_timeout=max(0.01, min(settings.read_seconds, limit)),
                    tracing_options={"enabled": False},
                )
            except Exception as error:  # noqa: BLE001 - whatever it is, it is an answer: the rows are kept and it is told
                return _answer(error)
        return Answer(status=204)

    def close(self) -> None:
        """Close the connections."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def forget(self) -> None:
        """Leave a parent's connections to the parent."""
        self._connection = None

    def _connected(self) -> _Connection:
        connection = self._connection
        if connection is None:
            with building:
                connection = self._connection
                if connection is None:
                    connection = self._connection = _Connection(self._settings)
        return connection


class _Connection:
    """Hold what a process needs to send: the client, its credential, and what compresses."""

    def __init__(self, settings: Settings) -> None:
        # First all imports, see the rules; also those that the first request would make.
        for module in _IMPORTED_BY_REQUESTS:
            with suppress(ImportError):
                importlib.import_module(module)

        import requests
        from azure.core.pipeline import policies
        from azure.core.pipeline.transport import RequestsTransport
        from azure.monitor.ingestion import LogsIngestionClient

        self.compress = _compressor()
        scope = AUDIENCES[settings.cloud]
        if settings.is_local:
            self._credential = _Credential(None)
            authentication: Any = policies.HeadersPolicy({"Authorization": "Bearer local"})
        else:
            self._credential = _Credential(settings)
            authentication = policies.BearerTokenCredentialPolicy(self._credential, scope)
        session = requests.Session()
        adapter = requests.adapters.HTTPAdapter(pool_connections=1, pool_maxsize=settings.uploads + 1, max_retries=0)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        # What is local goes there directly, whatever proxy the environment names.
        session.trust_env = not settings.is_local
        # Or else a line for this host in ~/.netrc would take the token's place.
        session.auth = _leave_as_it_is
        self.client = LogsIngestionClient(
            settings.endpoint,
            self._credential,
            credential_scopes=[scope],
            transport=RequestsTransport(session=session, use_env_settings=not settings.is_local),
            policies=[
                policies.RequestIdPolicy(),
                policies.UserAgentPolicy(sdk_moniker=f"logging-azmon/{_version()}"),
                policies.ProxyPolicy(),
                authentication,
            ],
        )

    def close(self) -> None:
        self.client.close()
        self._credential.close()


def _leave_as_it_is(request: Any) -> Any:
    return request


def make_credential(chosen: Any, cloud: str) -> Any:
    """Build the credential that was named, or return the one that was given."""
    options: Mapping[str, Any] = {}
    if isinstance(chosen, Mapping):
        (chosen, options), *_ = chosen.items()
    if not isinstance(chosen, str):
        return chosen
    if chosen not in _LOGIN_LESS:
        options = {"authority": _AUTHORITIES[cloud], **options}
    return getattr(importlib.import_module("azure.identity"), _CREDENTIAL_CLASSES[chosen])(**options)


class _CredentialError(Exception):
    """Tell a failure to get a token from a failure of the request."""


class _Credential:
    """Ask the real credential, one thread at a time, and mark what it raises."""

    def __init__(self, settings: Settings | None) -> None:
        """Build the credential that the settings name, if any."""
        self._asking = threading.Lock()
        self._is_ours = settings is not None and isinstance(settings.credential, str | Mapping)
        try:
            self._credential: Any = None if settings is None else make_credential(settings.credential, settings.cloud)
        except Exception as error:
            raise _CredentialError(f"{type(error).__name__}: {error}") from error

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """Return a token."""
        seconds = getattr(_patience, "seconds", _ASKING_SECONDS)
        if not self._asking.acquire(timeout=max(0.0, seconds)):
            raise _CredentialError(f"another thread has been waiting for it for {seconds:.0f} s")
        try:
            return self._credential.get_token(*scopes, **options)  # type: ignore[no-any-return]
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit and CancelledError, too: they would end the wrong thread
            raise _CredentialError(f"{type(error).__name__}: {error}") from error
        finally:
            self._asking.release()

    def close(self) -> None:
        """Close what was built here; what was given may be in use elsewhere."""
        if self._is_ours:
            self._credential.close()


def _answer(error: Exception) -> Answer:
    """Translate what the SDK raises."""
    from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError

    if isinstance(error, _CredentialError):
        return Answer(failure=Failure.CREDENTIAL, message=_shorten(error))
    response: Any = error.response if isinstance(error, HttpResponseError) else None
    if response is not None:
        code, message = _error_of(response)
        headers = response.headers
        return Answer(
            status=response.status_code,
            code=_shorten(code or headers.get("x-ms-error-code", "")),
            message=_shorten(message),
            retry_after=headers.get("Retry-After"),
        )
    if isinstance(error, ServiceRequestError | ServiceResponseError):
        if "407 Proxy" in str(error):
            return Answer(status=407, message=_shorten(error))
        return Answer(failure=_failure(error), message=_shorten(error))
    return Answer(failure=Failure.UNREADABLE, message=_shorten(f"{type(error).__name__}: {error}"))


def _failure(error: Exception) -> Failure:
    """Tell a connection that broke from one that somebody must look at."""
    import ssl
    from http.client import HTTPException, IncompleteRead, RemoteDisconnected

    causes = list(_causes(error))
    # Under TLS, too, a connection that is just cut is only that.
    if any(isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError) for cause in causes):
        return Failure.CONNECTION
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return Failure.TLS
    broken = (RemoteDisconnected, IncompleteRead)
    if any(isinstance(cause, HTTPException) and not isinstance(cause, broken) for cause in causes):
        return Failure.UNREADABLE
    return Failure.CONNECTION


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


def _shorten(message: object) -> str:
    """Make one line of what somebody else wrote: no control characters, no long pages."""
    line = " ".join(str(message).split())
    line = "".join(character if character.isprintable() else "?" for character in line[: _MESSAGE_LENGTH + 1])
    return line if len(line) <= _MESSAGE_LENGTH else f"{line[:_MESSAGE_LENGTH]}…"


def _compressor() -> Callable[[bytes], bytes]:
    """Choose what compresses fastest: at level 1, isal is ten times as fast as zlib for the same size."""
    try:
        from isal import igzip
    except ImportError:
        import gzip

        return lambda body: gzip.compress(body, 1, mtime=0)
    return lambda body: igzip.compress(body, compresslevel=1)


def _version() -> str:
    from importlib.metadata import version

    return version("logging-azmon")
