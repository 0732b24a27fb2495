"""An application for gunicorn: run `gunicorn app:application` in this directory."""

import logging
from collections.abc import Callable, Iterable
from typing import Any

log = logging.getLogger("shop")
log.info("loaded")


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Log, and fail if the path is /broken."""
    log.info("asked for %s", environ["PATH_INFO"], extra={"agent": environ.get("HTTP_USER_AGENT")})
    if environ["PATH_INFO"] == "/broken":
        raise LookupError("no such order")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
