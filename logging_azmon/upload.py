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
import json
import ssl
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .outcome import Answer, Failure
from .settings import Settings

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken
    from azure.monitor.ingestion import LogsIngestionClient

# The service refuses longer bodies, as sent.
MOST_WIRE_BYTES = 1_048_576

_AUDIENCES: Mapping[str, str] = {
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

building = threading.Lock()


def renew_lock() -> None:
    """Replace a lock whose holder did not survive a fork."""
    global building  # noqa: PLW0603 - one lock a process
    building = threading.Lock()


class Uploader:
    """Send batches to one stream of one rule."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: LogsIngestionClient | None = None

    def send(self, lines: bytes | bytearray, *, seconds: float | None = None) -> Answer:
        """Upload rows, given as lines; `seconds` shortens the time-outs for somebody who cannot wait."""
        body = _compress(b"[%b]" % bytes(lines[:-1]).replace(b"\n", b","))
        if len(body) > MOST_WIRE_BYTES:
            return Answer(status=413, code="ContentLengthLimitExceeded", message=f"{len(body):,} bytes, not sent")
        settings = self._settings
        limit = seconds if seconds is not None else max(settings.connect_seconds, settings.read_seconds)
        try:
            self._connected().upload(
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
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def forget(self) -> None:
        """Leave a parent's connections to the parent."""
        self._client = None

    def _connected(self) -> LogsIngestionClient:
        client = self._client
        if client is None:
            with building:
                client = self._client
                if client is None:
                    client = self._client = _client(self._settings)
        return client


def _client(settings: Settings) -> LogsIngestionClient:
    import encodings.idna  # noqa: F401 - the first look-up of a host's name would import it, see the rules

    import requests
    from azure.core.pipeline import policies
    from azure.core.pipeline.transport import RequestsTransport
    from azure.monitor.ingestion import LogsIngestionClient

    session = requests.Session()
    adapter = requests.adapters.HTTPAdapter(pool_connections=1, pool_maxsize=settings.uploads + 1, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    # What is local goes there directly, whatever proxy the environment names.
    session.trust_env = not settings.is_local
    scope = _AUDIENCES[settings.cloud]
    if settings.is_local:
        authentication: Any = policies.HeadersPolicy({"Authorization": "Bearer local"})
        credential: Any = _Credential(None)
    else:
        credential = _Credential(_make_credential(settings))
        authentication = policies.BearerTokenCredentialPolicy(credential, scope)
    return LogsIngestionClient(
        settings.endpoint,
        credential,
        credential_scopes=[scope],
        transport=RequestsTransport(session=session, use_env_settings=not settings.is_local),
        policies=[
            policies.RequestIdPolicy(),
            policies.UserAgentPolicy(sdk_moniker=f"logging-azmon/{_version()}"),
            policies.ProxyPolicy(),
            authentication,
        ],
    )


def _make_credential(settings: Settings) -> Any:
    """Build the credential that was named, or return the one that was given."""
    chosen: Any = settings.credential
    options: Mapping[str, Any] = {}
    if isinstance(chosen, Mapping):
        (chosen, options), *_ = chosen.items()
    if not isinstance(chosen, str):
        return chosen
    if chosen not in _LOGIN_LESS:
        options = {"authority": _AUTHORITIES[settings.cloud], **options}
    return getattr(importlib.import_module("azure.identity"), _CREDENTIAL_CLASSES[chosen])(**options)


class _CredentialError(Exception):
    """Tell a failure to get a token from a failure of the request."""


class _Credential:
    """Ask the real credential, one thread at a time, and mark what it raises."""

    def __init__(self, credential: Any) -> None:
        self._credential = credential
        self._asking = threading.Lock()

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """Return a token."""
        try:
            with self._asking:
                return self._credential.get_token(*scopes, **options)  # type: ignore[no-any-return]
        except Exception as error:
            raise _CredentialError(f"{type(error).__name__}: {error}") from error


def _answer(error: Exception) -> Answer:
    """Translate what the SDK raises."""
    from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError

    if isinstance(error, _CredentialError):
        return Answer(failure=Failure.CREDENTIAL, message=_shorten(str(error)))
    response: Any = error.response if isinstance(error, HttpResponseError) else None
    if response is not None:
        code, message = _error_of(response)
        headers = response.headers
        return Answer(
            status=response.status_code,
            code=code or headers.get("x-ms-error-code", ""),
            message=_shorten(message),
            retry_after=headers.get("Retry-After"),
        )
    message = _shorten(str(error))
    if isinstance(error, ServiceRequestError | ServiceResponseError):
        causes = list(_causes(error))
        if any(isinstance(cause, ssl.SSLError) or type(cause).__name__ == "SSLError" for cause in causes):
            return Answer(failure=Failure.TLS, message=message)
        if "407 Proxy" in str(error):
            return Answer(status=407, message=message)
        return Answer(failure=Failure.CONNECTION, message=message)
    return Answer(failure=Failure.UNREADABLE, message=_shorten(f"{type(error).__name__}: {error}"))


def _error_of(response: Any) -> tuple[str, str]:
    """Read the service's error; what answers in its stead (a proxy, a portal) speaks otherwise."""
    try:
        error = json.loads(response.text())["error"]
        return str(error["code"]), str(error["message"])
    except (ValueError, LookupError, TypeError):
        return "", ""


def _causes(error: BaseException | None) -> Any:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        yield from (argument for argument in error.args if isinstance(argument, BaseException))
        error = getattr(error, "inner_exception", None) or error.__cause__ or error.__context__


def _shorten(message: str) -> str:
    line = " ".join(message.split())
    return line if len(line) <= _MESSAGE_LENGTH else f"{line[:_MESSAGE_LENGTH]}…"


def _compress(body: bytes) -> bytes:
    """Compress as fast as can be: at level 1, isal is ten times as fast as zlib for the same size."""
    try:
        from isal import igzip
    except ImportError:
        import gzip

        return gzip.compress(body, 1, mtime=0)
    return igzip.compress(body, compresslevel=1)


def _version() -> str:
    from importlib.metadata import version

    return version("logging-azmon")
