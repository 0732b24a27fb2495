"""Upload one batch in one request, and return the answer.

The official client sends the bytes: it adds the token, the headers and the path, and nothing else. Its policies are
listed one by one, because some of the default ones do harm here: retries sleep and cannot be woken, redirects send rows
elsewhere, logging writes a line for each request, and tracing makes a span for each.

Rules:
- A delivering thread imports the SDK, and builds the client and its credential, at the first upload.
- The first of each kind is built under `importing`, which a fork waits for: a child forked during an import could never
  finish it. Later ones import nothing, so no fork waits for them. The locks are re-entrant, because building the client
  may fork.
- A forked child builds its own client and leaves the parent's connections alone.
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from typing import Any

from .._config.clouds import CLOUDS
from .._config.service_limits import MAX_BODY_BYTES
from .._config.settings import Settings
from .._delivery.answer import Answer, Failure
from .._process import at_fork, feedback, real_threads
from .._process.real_threads import RLock
from . import redaction
from .credential import TokenSource, http_options
from .sdk_errors import answer_to
from .transport import bounded_adapter
from .wait_limit import set_wait_limit

# Modules that the SDK and its HTTP library import only during a request. Other versions may lack some of them.
_IMPORTED_BY_REQUESTS = (
    "encodings.idna",
    "encodings.utf_8_sig",
    "azure.core.rest._requests_basic",
    "azure.core.rest._http_response_impl",
)

importing = RLock()
# The kinds of credential with which a connection was built in this process.
_imported: set[str] = set()


def restart() -> None:
    """Replace the lock in a forked child, where a thread that held it does not exist."""
    global importing  # noqa: PLW0603 - one lock per process
    importing = RLock()


at_fork.register(at_fork.Turn.SDK_IMPORT, locks=lambda: [importing], restart=restart)


class Uploader:
    """Send batches to one stream of one rule."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: _Connection | None = None
        self._building = RLock()
        if settings.proxy is not None:
            redaction.hide_login_of(settings.proxy)

    def send(self, lines: bytes | bytearray, *, seconds: float | None = None) -> Answer:
        """Upload rows, one JSON object per line; `seconds` shortens the timeouts of the settings."""
        settings = self._settings
        limit = seconds if seconds is not None else max(settings.connect_seconds, settings.read_seconds)
        set_wait_limit(seconds)
        # The thread is marked already; again for each upload, because OpenTelemetry may have been set up since.
        with feedback.delivering():
            try:
                connection = self._connected()
                body = connection.compress(_array(lines))
                if len(body) > MAX_BODY_BYTES:
                    return Answer(failure=Failure.TOO_LARGE, message=f"{len(body):,} bytes compressed")
                connection.client.upload(
                    settings.rule_id,
                    settings.stream,
                    io.BytesIO(body),
                    connection_timeout=max(0.01, min(settings.connect_seconds, limit)),
                    read_timeout=max(0.01, min(settings.read_seconds, limit)),
                    tracing_options={"enabled": False},
                )
            except MemoryError:
                raise  # it says nothing of the service
            except Exception as error:  # noqa: BLE001 - any error is an answer: the rows are kept, and it is reported
                return answer_to(error)
        return Answer(status=204)

    def close(self) -> None:
        """Close the connections."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def forget(self) -> None:
        """Drop the connections without closing them: in a forked child they are the parent's."""
        self._connection = None
        self._building = RLock()

    def _connected(self) -> _Connection:
        connection = self._connection
        if connection is None:
            with self._building:
                connection = self._connection
                if connection is None:
                    # A local endpoint needs no credential, so building its client imports none.
                    kind = "local" if self._settings.is_local else _kind(self._settings.credential)
                    with importing if kind not in _imported else nullcontext():
                        connection = self._connection = _Connection(self._settings)
                    _imported.add(kind)
        return connection


class _Connection:
    """Hold the client, its credential and the compressor, which each process builds for itself."""

    def __init__(self, settings: Settings) -> None:
        if real_threads.is_patched():
            _spare_platform_a_program()
        # All imports are made first, including those that the first request would make.
        for module in _IMPORTED_BY_REQUESTS:
            with suppress(ImportError):
                importlib.import_module(module)

        import requests
        from azure.core.pipeline import policies
        from azure.core.pipeline.transport import RequestsTransport
        from azure.monitor.ingestion import LogsIngestionClient

        self.compress = _compressor()
        scope = CLOUDS[settings.cloud].ingestion_scope
        if settings.is_local:
            self._credential = TokenSource(None)
            authentication: Any = policies.HeadersPolicy({"Authorization": "Bearer local"})
        else:
            self._credential = TokenSource(settings)
            authentication = policies.BearerTokenCredentialPolicy(self._credential, scope)
        session = requests.Session()
        adapter = bounded_adapter(
            read_seconds=settings.read_seconds, pool_connections=1, pool_maxsize=settings.uploads + 1, max_retries=0
        )
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        # A local endpoint is reached directly, whatever proxy the environment names.
        session.trust_env = not settings.is_local
        # Without an `auth`, requests would replace the token by a password that ~/.netrc has for this host.
        session.auth = _unchanged
        http = http_options(None if settings.is_local else settings.proxy, settings.ca_bundle)
        self.client = LogsIngestionClient(
            settings.endpoint,
            self._credential,
            credential_scopes=[scope],
            transport=RequestsTransport(
                session=session,
                use_env_settings=not settings.is_local,
                connection_verify=http.pop("connection_verify", True),
            ),
            policies=[
                policies.RequestIdPolicy(),
                policies.UserAgentPolicy(sdk_moniker=f"logging-azmon/{_version()}"),
                policies.ProxyPolicy(**http),
                authentication,
            ],
        )

    def close(self) -> None:
        self.client.close()
        self._credential.close()


def _kind(credential: Any) -> str:
    """Return what decides which modules a credential imports: the names in it, but not its options."""
    if isinstance(credential, Mapping):
        return str([(name, _kind(value) if not isinstance(value, str) else "") for name, value in credential.items()])
    if isinstance(credential, list | tuple):
        return str([_kind(each) for each in credential])
    return credential if isinstance(credential, str) else type(credential).__name__


def _array(lines: bytes | bytearray) -> bytearray:
    """Make a JSON array of lines, with as few copies as possible."""
    array = bytearray(b"[")
    array += lines.replace(b"\n", b",")
    # The bracket replaces the last comma; without lines, it follows the opening bracket.
    array[len(lines) or 1 :] = b"]"
    return array


def _spare_platform_a_program() -> None:
    """Keep `platform.platform` from running `uname`: gevent runs programs on the main thread alone."""
    import platform

    # `platform` caches what `uname -p` prints; empty is what most systems print.
    vars(platform.uname()).setdefault("processor", "")


def _unchanged(request: Any) -> Any:
    return request


def _compressor() -> Callable[[bytearray], bytes]:
    """Return the fastest compressor: at level 1, isal is ten times as fast as zlib and compresses as well."""
    try:
        from isal import igzip
    except ImportError:
        import gzip

        return lambda body: gzip.compress(body, 1, mtime=0)
    return lambda body: igzip.compress(body, compresslevel=1)


def _version() -> str:
    from importlib.metadata import version

    return version("logging-azmon")
