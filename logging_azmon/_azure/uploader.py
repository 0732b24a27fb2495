"""One batch, one request, one answer. Only this module and `answers` know the wire and the SDK.

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
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .._config.clouds import CLOUDS
from .._config.service_limits import MAX_BODY_BYTES
from .._config.settings import Settings
from .._delivery.retry import Answer, Failure
from .._process import at_fork, feedback
from .credential import Credential, be_patient
from .error_mapping import answer_to, bounded_adapter

# What the SDK and its HTTP library import when a request is made; in other versions there may be less of it.
_IMPORTED_BY_REQUESTS = (
    "encodings.idna",
    "encodings.utf_8_sig",
    "azure.core.rest._requests_basic",
    "azure.core.rest._http_response_impl",
)

building = threading.Lock()


def restart() -> None:
    """Replace a lock whose holder did not survive a fork."""
    global building  # noqa: PLW0603 - one lock a process
    building = threading.Lock()


at_fork.register(at_fork.Turn.SDK_IMPORT, locks=lambda: [building], restart=restart)


class Uploader:
    """Send batches to one stream of one rule."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: _Connection | None = None

    def send(self, lines: bytes | bytearray, *, seconds: float | None = None) -> Answer:
        """Upload rows, given as lines; `seconds` shortens the time-outs for somebody who cannot wait."""
        settings = self._settings
        limit = seconds if seconds is not None else max(settings.connect_seconds, settings.read_seconds)
        be_patient(seconds)
        # Marked anew for each upload: an instrumentation may have been set up since the thread was.
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
            except Exception as error:  # noqa: BLE001 - whatever it is, it is an answer: the rows are kept and it is told
                return answer_to(error)
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
        scope = CLOUDS[settings.cloud].ingestion_scope
        if settings.is_local:
            self._credential = Credential(None)
            authentication: Any = policies.HeadersPolicy({"Authorization": "Bearer local"})
        else:
            self._credential = Credential(settings)
            authentication = policies.BearerTokenCredentialPolicy(self._credential, scope)
        session = requests.Session()
        adapter = bounded_adapter(
            read_seconds=settings.read_seconds, pool_connections=1, pool_maxsize=settings.uploads + 1, max_retries=0
        )
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


def _array(lines: bytes | bytearray) -> bytearray:
    """Make a JSON array of lines, with as few copies as can be."""
    array = bytearray(b"[")
    array += lines.replace(b"\n", b",")
    # Where the last line has its comma; without lines, behind the bracket.
    array[len(lines) or 1 :] = b"]"
    return array


def _leave_as_it_is(request: Any) -> Any:
    return request


def _compressor() -> Callable[[bytearray], bytes]:
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
