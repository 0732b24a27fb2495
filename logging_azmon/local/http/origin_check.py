"""Refuse requests that come neither from this machine's own programs nor from the page.

The Host header is checked because a web site can resolve its own name to 127.0.0.1 (DNS rebinding); Origin and
Sec-Fetch-Site, because a web page can send requests to any address.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from .message import Request, Response, failure


@dataclass(frozen=True)
class OriginCheck:
    """Hold the scheme, port and host names by which the workspace may be called."""

    scheme: str
    port: int
    names: frozenset[str]
    any_address: bool

    def refusal(self, request: Request) -> Response | None:
        """Return the answer to a request that is refused, else None."""
        host = request.headers.get("host", "").lower()
        if not self._allows(host):
            return failure(
                421,
                "MisdirectedRequest",
                f"This workspace is not called '{host[:100]}': use the address that it printed.",
            )
        origin = request.headers.get("origin")
        site = request.headers.get("sec-fetch-site", "none")
        if (origin is not None and origin.lower() != f"{self.scheme}://{host}") or (
            site not in ("none", "same-origin") and request.path != "/"
        ):
            return failure(403, "CrossOriginRequest", "Web pages of other origins may not use this workspace.")
        return None

    def _allows(self, host: str) -> bool:
        name, port = _split(host)
        default = 443 if self.scheme == "https" else 80
        if (port or default) != self.port:
            return False
        return name in self.names or (self.any_address and _is_address(name))


def origin_check(scheme: str, host: str, port: int, more: Iterable[str] = ()) -> OriginCheck:
    """Allow the loopback names, the address that the server listens on, and `more` names."""
    names = {"127.0.0.1", "localhost", "[::1]", f"[{host}]" if ":" in host else host, *more}
    # A server on all addresses accepts any bare address: DNS rebinding sends a name, never an address.
    return OriginCheck(scheme, port, frozenset(name.lower() for name in names), host in ("0.0.0.0", "::"))  # noqa: S104 - compared, not bound


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
