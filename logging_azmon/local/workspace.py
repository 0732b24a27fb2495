"""Put the parts together: a whole workspace in this process, on a port of its own.

One thread calls `start` and `close`; any thread may call everything else. Nothing is opened before `start`.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from .._config.dcr import Document, read_rules
from ..errors import ConfigurationError
from .azure_fakes.management import Management
from .azure_fakes.tokens import MANAGED_IDENTITY_PATH, Tokens
from .http.message import Request, Response
from .http.origin_check import origin_check
from .http.server import Server
from .ingest.faults import Faults
from .ingest.quota import Quota
from .ingest.uploads import UploadEndpoint
from .page.api import PageApi
from .query.queries import MAX_SECONDS, Queries
from .routes import Routes
from .storage.store import Store

LOOPBACK = "127.0.0.1"


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Workspace:
    """Run a local workspace for the duration of a `with` block.

    >>> with Workspace() as ws:
    ...     ws.query("App_CL | count")
    [{'Count': 0}]

    Args:
        dcr: One data collection rule or several, as paths or mappings. By default, the default rule.
        data: Directory that keeps the tables. By default, they are in memory.
        host: Address to listen on.
        port: Port to listen on; 0 takes any free one.
        tls: Whether to serve https, with a certificate authority of its own: see `ca_path`.
        names: Further host names that the workspace answers to.
        faults: Faults that apply to the first uploads, written as for `fault`.
        requests_per_minute: Quota of requests of each rule. By default, there is none.
        rows_per_minute: Quota of rows of each rule. By default, there is none.
        query_seconds: Maximum seconds that a query may run.
        discard: Whether to acknowledge rows without storing them.
        now: The clock.

    """

    def __init__(
        self,
        dcr: Document | Iterable[Document] = (),
        *,
        data: str | Path | None = None,
        host: str = LOOPBACK,
        port: int = 0,
        tls: bool = False,
        names: Iterable[str] = (),
        faults: Iterable[str] = (),
        requests_per_minute: int | None = None,
        rows_per_minute: int | None = None,
        query_seconds: float = MAX_SECONDS,
        discard: bool = False,
        now: Callable[[], dt.datetime] = _utc_now,
    ) -> None:
        """Take the arguments that the class documents; nothing is opened before `start`."""
        self._rules = read_rules([dcr] if isinstance(dcr, str | Path | Mapping) else dcr)
        self._faults = Faults()
        for fault in faults:
            try:
                self._faults.add(fault)
            except ValueError as error:
                raise ConfigurationError([str(error)]) from error
        self._data = Path(data) if data is not None else None
        self._host, self._port, self._tls, self._names = host, port, tls, tuple(names)
        self._quota = Quota(requests_per_minute=requests_per_minute, rows_per_minute=rows_per_minute)
        self._query_seconds = query_seconds
        self._discard = discard
        self._now = now
        self._store: Store | None = None
        self._server: Server | None = None
        self._scratch: Path | None = None
        self._address: tuple[str, str, int] | None = None
        self.workspace_id = "local"
        self.ca_path: Path | None = None
        """The certificate for clients to trust; None without `tls`."""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Workspace {self.endpoint if self._address else 'not started'}>"

    def start(self) -> Self:
        """Open the tables and start to listen; a second call does nothing."""
        if self._store is not None:
            return self
        if self._data is not None:
            _prepare_directory(self._data)
        self._store = Store(self._rules, data=self._data, discard=self._discard, now=self._now)
        try:
            self._listen(self._store)
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """Stop listening, store all acknowledged rows, and close the database; a second call does nothing."""
        server, store, scratch = self._server, self._store, self._scratch
        self._faults.clear()
        if store is not None:
            store.end_waits()
        if server is not None:
            server.close()
        if store is not None:
            store.close()
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
        self._server = self._scratch = None

    @property
    def endpoint(self) -> str:
        """Return the address for DATA_COLLECTION_ENDPOINT."""
        if self._address is None:
            raise RuntimeError("the workspace has not started: use it in a `with` block, or call start()")
        scheme, host, port = self._address
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    @property
    def rule_id(self) -> str:
        """Return the first rule's immutable id for LOGS_DCR_RULE_ID."""
        return self._rules[0].rule_id

    @property
    def stream(self) -> str:
        """Return the first rule's first stream for LOGS_DCR_STREAM_NAME."""
        return next(iter(self._rules[0].streams))

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment variables that a sender needs."""
        return {
            "DATA_COLLECTION_ENDPOINT": self.endpoint,
            "LOGS_DCR_RULE_ID": self.rule_id,
            "LOGS_DCR_STREAM_NAME": self.stream,
        }

    @property
    def trust_environment(self) -> dict[str, str]:
        """Return the environment variables that make clients trust the certificate; empty without `tls`."""
        if self.ca_path is None:
            return {}
        return dict.fromkeys(("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"), str(self.ca_path))

    @property
    def identity_environment(self) -> dict[str, str]:
        """Return the environment variables that let ManagedIdentityCredential get a token here."""
        return {"IDENTITY_ENDPOINT": f"{self.endpoint}{MANAGED_IDENTITY_PATH}", "IDENTITY_HEADER": "local"}

    @property
    def tables(self) -> dict[str, dict[str, str]]:
        """Return the columns of every table, with their types."""
        return {name: dict(columns) for name, columns in self._running().schema().items()}

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return the rows of a table in order of arrival, including every row acknowledged before the call."""
        store = self._running()
        store.sync()
        schema = store.schema()
        if table not in schema:
            raise LookupError(f"there is no table {table!r}; the tables are {', '.join(schema)}")
        return self._queries.rows(f"['{table}']")

    def query(self, kql: str) -> list[dict[str, Any]]:
        """Run a query over every row acknowledged before the call, and return its rows."""
        self._running().sync()
        return self._queries.rows(kql)

    def wait_for(self, kql: str, rows: int = 1, timeout: float = 10.0) -> list[dict[str, Any]]:
        """Return the result of a query once it has `rows` rows; raise TimeoutError after `timeout` seconds."""
        store = self._running()
        deadline = time.monotonic() + timeout
        version = store.wait_for_change(-1, 0)
        while len(result := self._queries.rows(kql)) < rows:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError(f"{kql!r} has {len(result)} rows after {timeout:g} s, not {rows}")
            version = store.wait_for_change(version, remaining)
        return result

    def problems(self) -> list[dict[str, Any]]:
        """Return what was dropped, cut, replaced, mistyped or refused, newest first."""
        names = ("stream", "column", "kind", "count", "message", "advice")
        self._running().sync()
        return [{name: getattr(each, name) for name in names} for each in self._running().problems.newest()]

    def fault(self, *faults: str) -> None:
        """Apply faults to the next uploads: 503*3, 429*2,retry-after=5, latency=0.5*10, reset, outage=10."""
        for fault in faults:
            self._faults.add(fault)

    def clear_faults(self) -> None:
        """Remove the faults that have not been applied yet."""
        self._faults.clear()

    def _running(self) -> Store:
        if self._store is None:
            raise RuntimeError("the workspace has not started: use it in a `with` block, or call start()")
        return self._store

    def _listen(self, store: Store) -> None:
        context = None
        if self._tls:
            from .http.tls import server_context

            if self._data is None:
                self._scratch = Path(tempfile.mkdtemp(prefix="logging-azmon-"))
            context, self.ca_path = server_context(self._data or self._scratch or Path(), [self._host, *self._names])
        self._queries = Queries(store, self.workspace_id, now=self._now, max_seconds=self._query_seconds)
        try:
            self._server = Server((self._host, self._port), self._answer, context)
        except (OSError, OverflowError) as error:
            reason = "ports go from 0 to 65535" if isinstance(error, OverflowError) else error.strerror or error
            raise ConfigurationError(
                [f"cannot listen on {self._host}:{self._port}: {reason}; try another port, or 0 for any free one"]
            ) from error
        scheme = "https" if self._tls else "http"
        reachable = {"0.0.0.0": LOOPBACK, "::": "::1"}.get(self._host, self._host)  # noqa: S104 - compared, not bound
        self._address = (scheme, reachable, self._server.port)
        self._routes = Routes(
            origins=origin_check(scheme, self._host, self._server.port, self._names),
            uploads=UploadEndpoint(store, self._quota),
            queries=self._queries,
            faults=self._faults,
            tokens=Tokens(self.endpoint),
            management=Management(self._rules, store, self.workspace_id),
            page=PageApi(store),
        )
        self._server.start()

    def _answer(self, request: Request) -> Response:
        return self._routes(request)


def _prepare_directory(path: Path) -> None:
    """Make the data directory private to this user; refuse a directory with other files, and leave it unchanged."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        names = {entry.name for entry in path.iterdir()}
        if names and "workspace.duckdb" not in names:
            raise ConfigurationError([f"data directory {str(path)!r} holds other files: choose an empty one"])
        if os.name == "posix":  # pragma: no branch - Windows has no modes
            path.chmod(0o700)
    except OSError as error:
        raise ConfigurationError([f"data directory {str(path)!r} cannot be used: {error.strerror or error}"]) from error
