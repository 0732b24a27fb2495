"""Decide who answers a request: ingestion, queries, tokens, what is deployed, faults or the page.

Called from any thread; keeps no state of its own. Before anything else a request has to come from this machine's own
programs or from the page: the Host header is checked (a web site can point a name of its own at 127.0.0.1), and so is
Origin (a web page can send requests to any address).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from importlib.resources.abc import Traversable

import orjson

from .azure_fakes.management import Management
from .azure_fakes.tokens import Tokens
from .http.message import Request, Response, answer, failure
from .http.server import Application
from .ingest.faults import Faults
from .ingest.intake import PATH as UPLOAD
from .ingest.intake import Intake, too_long
from .page.event_stream import Tail
from .query.queries import Queries
from .storage.store import Store

_QUERY = re.compile(r"(?:/v1)?/workspaces/(?P<workspace>[^/]+)/query")
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
    "ico": "image/x-icon",
    "woff2": "font/woff2",
    "json": "application/json",
}
# The page shows what others logged: nothing in it may run, and nothing may leave for another host.
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True)
class Places:
    """Say under which names the workspace may be called."""

    scheme: str
    port: int
    names: frozenset[str]
    any_address: bool

    def knows(self, host: str) -> bool:
        """Tell whether a Host header names this workspace."""
        name, port = _split(host)
        default = 443 if self.scheme == "https" else 80
        if (port or default) != self.port:
            return False
        return name in self.names or (self.any_address and _is_address(name))


def places(scheme: str, host: str, port: int, more: Iterable[str] = ()) -> Places:
    """Accept the loopback names, the address that is listened on, and what was named besides."""
    names = {"127.0.0.1", "localhost", "[::1]", f"[{host}]" if ":" in host else host, *more}
    # Every address of the machine: a foreign web site cannot make a browser send a bare address it does not know.
    return Places(scheme, port, frozenset(name.lower() for name in names), host in ("0.0.0.0", "::"))  # noqa: S104 - compared, not bound


class App:
    """Pass each request to the part that answers it."""

    def __init__(
        self,
        *,
        places: Places,
        store: Store,
        intake: Intake,
        queries: Queries,
        faults: Faults,
        tokens: Tokens,
        management: Management,
    ) -> None:
        self._places = places
        self._store = store
        self._intake = intake
        self._queries = queries
        self._faults = faults
        self._tokens = tokens
        self._management = management
        self._tail = Tail(store)
        self._page = dict(_read(files(__package__) / "page"))

        self._fixed: dict[str, tuple[str, Application]] = {
            "/v1/$batch": ("POST", queries.batch),
            "/$batch": ("POST", queries.batch),
            "/api/tables": ("GET", self._tables),
            "/api/tail": ("GET", self._open_tail),
            "/api/problems": ("GET", self._problems),
        }

    def __call__(self, request: Request) -> Response:
        """Answer a request."""
        refused = self._refuse(request)
        if refused is not None:
            return refused
        if upload := UPLOAD.fullmatch(request.path):
            return self._only("POST", request, partial(self._upload, request, *upload.group("rule", "stream")))
        if request.too_long is not None:
            return too_long(request.too_long)
        if query := _QUERY.fullmatch(request.path):
            return self._only("POST", request, partial(self._queries.post, request, query["workspace"]))
        if request.path in self._fixed:
            method, act = self._fixed[request.path]
            return self._only(method, request, partial(act, request))
        if request.path == "/api/faults":
            return self._fault_control(request)
        if request.path == "/" or request.path.startswith("/page/"):
            return self._only("GET", request, lambda: self._file(request.path))
        found = self._tokens.answer(request) or self._management.answer(request)
        return found or failure(404, "NotFound", f"Nothing is at {request.path[:200]}.")

    def _refuse(self, request: Request) -> Response | None:
        host = request.headers.get("host", "").lower()
        if not self._places.knows(host):
            return failure(
                421,
                "MisdirectedRequest",
                f"This workspace is not called '{host[:100]}': use its address as it was printed.",
            )
        origin = request.headers.get("origin")
        site = request.headers.get("sec-fetch-site", "none")
        if (origin is not None and origin.lower() != f"{self._places.scheme}://{host}") or (
            site not in ("none", "same-origin") and request.path != "/"
        ):
            return failure(403, "CrossOriginRequest", "Web pages of other origins may not use this workspace.")
        return None

    def _only(self, method: str, request: Request, act: Callable[[], Response]) -> Response:
        if request.method == method or (method == "GET" and request.method == "HEAD"):
            return act()
        return failure(405, "MethodNotAllowed", f"Use {method} here, not {request.method[:20]}.", {"Allow": method})

    def _upload(self, request: Request, rule: str, stream: str) -> Response:
        return self._faults.play(lambda: self._intake.upload(request, rule, stream))

    def _fault_control(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._faults.clear()
        elif request.method == "POST":
            try:
                value = orjson.loads(request.body)
                for text in value if isinstance(value, list) else [value]:
                    self._faults.add(text)
            except ValueError as error:  # JSON's is one, too
                return failure(400, "InvalidFault", str(error))
        elif request.method != "GET":
            return failure(405, "MethodNotAllowed", "Use GET, POST or DELETE here.", {"Allow": "GET, POST, DELETE"})
        return answer(self._faults.waiting())

    def _tables(self, _: Request) -> Response:
        return answer(
            [
                {
                    "name": name,
                    "rows": self._store.count(name),
                    "columns": [{"name": column, "type": kind} for column, kind in columns.items()],
                }
                for name, columns in self._store.schema().items()
            ]
        )

    def _open_tail(self, request: Request) -> Response:
        return self._tail.open(request.query.get("table", ""), every=request.query.get("every") == "1")

    def _problems(self, _: Request) -> Response:
        return answer(
            [
                {
                    "time": problem.time.isoformat().replace("+00:00", "Z"),
                    "stream": problem.stream,
                    "column": problem.column,
                    "kind": problem.kind,
                    "count": problem.count,
                    "message": problem.message,
                    "advice": problem.advice,
                }
                for problem in self._store.problems.newest()
            ]
        )

    def _file(self, path: str) -> Response:
        name = "index.html" if path == "/" else path.removeprefix("/page/")
        content = self._page.get(name)
        if content is None:
            return failure(404, "NotFound", f"The page has no file {name[:100]!r}.")
        return Response(200, content, _PAGE_HEADERS, _TYPES[name.rpartition(".")[2]])


def _read(directory: Traversable, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    """Read the page's files, once: a request can name nothing but what was read."""
    for entry in directory.iterdir():
        if entry.is_dir():
            yield from _read(entry, f"{prefix}{entry.name}/")
        elif entry.name.rpartition(".")[2] in _TYPES:
            yield prefix + entry.name, entry.read_bytes()


def _split(host: str) -> tuple[str, int | None]:
    found = re.fullmatch(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(?::([0-9]{1,5}))?", host)
    if found is None:
        return "", None
    return found[1], int(found[2]) if found[2] else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
