"""Answer as Azure Resource Manager and Log Analytics do, on 127.0.0.1 over real HTTP, with the data of a test.

The server appends to `requests` before it answers, and tests read them after an answer, so no lock is needed.
"""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.OperationalInsights/workspaces/w"
CUSTOMER_ID = "00000000-0000-0000-0000-0000000000cc"


class ResourceManager:
    """Hold rules by immutable id and tables by name; `answers` replaces the answers of paths."""

    def __init__(self, context: Any = None) -> None:
        """Serve https if a TLS context is given."""
        self.rules: dict[str, dict[str, Any]] = {}
        self.tables: dict[str, list[dict[str, str]]] = {}
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.customer_id = CUSTOMER_ID
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._scheme = "http" if context is None else "https"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """Return the status and the content with which Azure would answer."""
        for start, (status, content) in self.answers.items():
            if path.startswith(start):
                return status, content
        if method == "POST" and path == "/providers/Microsoft.ResourceGraph/resources":
            asked = re.search(r"immutableId =~ '([^']+)'", body["query"])
            found = [self.rules[asked[1]]] if asked and asked[1] in self.rules else []
            return 200, {"totalRecords": len(found), "count": len(found), "data": found}
        if path == WORKSPACE:
            return 200, {"id": WORKSPACE, "properties": {"customerId": self.customer_id}}
        table = path.removeprefix(f"{WORKSPACE}/tables/")
        if table in self.tables:
            standard = [{"name": "TenantId", "type": "guid"}, {"name": "_ResourceId", "type": "string"}]
            schema = {"name": table, "columns": self.tables[table], "standardColumns": standard}
            return 200, {"name": table, "properties": {"schema": schema}}
        return 404, {"error": {"code": "ResourceNotFound", "message": f"{path} was not found"}}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        manager = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                raw = self.rfile.read(length)
                body = json.loads(raw) if raw else None
                path = self.path.partition("?")[0]
                headers = {name.lower(): value for name, value in self.headers.items()}
                manager.requests.append((self.command, self.path, headers, body))
                status, content = manager.answer(self.command, path, body)
                sent = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        return Handler
