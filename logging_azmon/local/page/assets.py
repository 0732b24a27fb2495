"""Serve the files of the page."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

from ..http.message import Response, failure

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
# The page shows untrusted rows: nothing in them may run, and nothing may be sent to another host.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class Assets:
    """Hold the files of the page, read once, so that a request cannot name any other file."""

    def __init__(self) -> None:
        self._files = dict(_read(files(__package__)))

    def get(self, path: str) -> Response:
        """Answer with the file of a path, ``/`` or ``/page/<name>``."""
        name = "index.html" if path == "/" else path.removeprefix("/page/")
        content = self._files.get(name)
        if content is None:
            return failure(404, "NotFound", f"The page has no file {name[:100]!r}.")
        return Response(200, content, _HEADERS, _TYPES[name.rpartition(".")[2]])


def _read(directory: Traversable, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    for entry in directory.iterdir():
        if entry.is_dir():
            yield from _read(entry, f"{prefix}{entry.name}/")
        elif entry.name.rpartition(".")[2] in _TYPES:
            yield prefix + entry.name, entry.read_bytes()
