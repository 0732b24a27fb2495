"""Remove tokens and proxy passwords from texts that other libraries wrote, before a report shows them.

An error of an HTTP library may quote the header or the URL that it could not use.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

_REMOVED = "(not shown)"
# The value of an Authorization header, and a JSON Web Token wherever it stands.
_TOKEN = re.compile(r"(?i)\bbearer\s+[^\s'\"]+|\beyJ[\w-]{8,}(?:\.[\w-]+)*")
# The login of any URL.
_LOGIN = re.compile(r"(?<=//)[^/\s'\"]*@")
# What urllib3 says of a URL; the endpoint was checked before, so it is a proxy's, and quotes pieces of its password.
_UNPARSED = re.compile(r"Failed to parse: .*")
_PROXY_VARIABLES = ("https_proxy", "http_proxy", "all_proxy")
# Removing a shorter piece of a password would tear apart the words of the message.
_SHORTEST_PIECE = 3


# The proxies that handlers name, each once.
_named: dict[str, None] = {}


def hide_login_of(proxy: str) -> None:
    """Hide the password of this proxy from now on."""
    _named[proxy] = None


def without_secrets(text: str) -> str:
    """Return a text without tokens, without the logins of URLs, and without the passwords of the proxies in use."""
    text = _LOGIN.sub("", _TOKEN.sub(_REMOVED, _UNPARSED.sub(f"a proxy's URL cannot be parsed {_REMOVED}", text)))
    for piece in sorted(_password_pieces(), key=len, reverse=True):
        text = text.replace(piece, _REMOVED)
    return text


def _password_pieces() -> Iterator[str]:
    """Yield the pieces into which a URL parser may cut the passwords of the proxies that are named.

    An unescaped ``#``, ``/`` or ``?`` ends the host for a parser, which then quotes a piece of it as host or port.
    """
    variables = (each for name in _PROXY_VARIABLES for each in (name, name.upper()))
    for proxy in (*_named, *(os.environ.get(name, "") for name in variables)):
        login, at, _ = proxy.rpartition("@")
        if at:
            password = login.rpartition("//")[2].partition(":")[2] or login
            yield from (piece for piece in re.split("[:/?#@]", password) if len(piece) >= _SHORTEST_PIECE)
