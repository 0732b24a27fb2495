"""Connect through the system's own sockets where gevent or eventlet has patched `socket`.

Theirs resolve names on further threads, which can no longer be started at the exit of the process, and let the other
greenlets of a thread run, of which a listener's thread has none.
"""

from __future__ import annotations

from socket import SOCK_STREAM
from typing import Any

from .._process import at_exit, feedback, real_threads


def blocks_nobody() -> bool:
    """Return whether `socket` is patched, and this thread may wait without it."""
    return real_threads.is_patched() and (feedback.is_listener() or at_exit.seconds_left() is not None)


def connect(host: str, port: int, *, timeout: float | None, options: Any) -> Any:
    """Return a socket that is connected to the first address that answers, or raise the last error."""
    make, resolve = real_threads.original("socket", "socket"), real_threads.original("socket", "getaddrinfo")
    failure = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in resolve(host.strip("[]"), port, 0, SOCK_STREAM):
        connection = make(family, kind, protocol)
        try:
            for option in options or ():
                connection.setsockopt(*option)
            connection.settimeout(timeout)
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure
