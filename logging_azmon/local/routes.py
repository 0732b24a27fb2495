"""Route each request to the part that answers it: ingestion, queries, tokens, resources, faults or the page.

Any thread may call in; there is no state.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import orjson

from .azure_fakes.management import Management
from .azure_fakes.tokens import Tokens
from .http.message import Request, Response, answer, failure
from .http.origin_check import OriginCheck
from .http.server import Application
from .ingest.faults import Faults
from .ingest.uploads import PATH as UPLOAD
from .ingest.uploads import UploadEndpoint, too_long
from .page.api import PageApi
from .page.assets import Assets
from .query.queries import Queries

_QUERY = re.compile(r"(?:/v1)?/workspaces/(?P<workspace>[^/]+)/query")


class Routes:
    """Answer requests by passing them on."""

    def __init__(
        self,
        *,
        origins: OriginCheck,
        uploads: UploadEndpoint,
        queries: Queries,
        faults: Faults,
        tokens: Tokens,
        management: Management,
        page: PageApi,
    ) -> None:
        self._origins = origins
        self._uploads = uploads
        self._queries = queries
        self._faults = faults
        self._tokens = tokens
        self._management = management
        self._assets = Assets()
        self._fixed: dict[str, tuple[str, Application]] = {
            "/v1/$batch": ("POST", queries.batch),
            "/$batch": ("POST", queries.batch),
            "/api/tables": ("GET", page.tables),
            "/api/tail": ("GET", page.tail),
            "/api/problems": ("GET", page.problems),
        }

    def __call__(self, request: Request) -> Response:
        """Answer a request."""
        refusal = self._origins.refusal(request)
        if refusal is not None:
            return refusal
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
            return self._only("GET", request, partial(self._assets.get, request.path))
        found = self._tokens.answer(request) or self._management.answer(request)
        return found or failure(404, "NotFound", f"Nothing is at {request.path[:200]}.")

    def _only(self, method: str, request: Request, act: Callable[[], Response]) -> Response:
        if request.method == method or (method == "GET" and request.method == "HEAD"):
            return act()
        return failure(405, "MethodNotAllowed", f"Use {method} here, not {request.method[:20]}.", {"Allow": method})

    def _upload(self, request: Request, rule: str, stream: str) -> Response:
        return self._faults.apply(lambda: self._uploads.upload(request, rule, stream))

    def _fault_control(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._faults.clear()
        elif request.method == "POST":
            try:
                value = orjson.loads(request.body)
                for text in value if isinstance(value, list) else [value]:
                    self._faults.add(text)
            except ValueError as error:  # orjson's errors are ValueErrors too
                return failure(400, "InvalidFault", str(error))
        elif request.method != "GET":
            return failure(405, "MethodNotAllowed", "Use GET, POST or DELETE here.", {"Allow": "GET, POST, DELETE"})
        return answer(self._faults.waiting())
