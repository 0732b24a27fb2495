"""Check arguments one by one; each check yields one sentence for each mistake, with the value and what is accepted.

A value that may be a secret is never shown: messages name only the type of a credential, and omit the login and query
of a URL.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import SplitResult, urlsplit

from .clouds import OTHER_SERVICES, PORTAL

_RULE_ID = re.compile(r"[A-Za-z0-9-]+", re.ASCII)
_STREAM = re.compile(r"(Custom|Microsoft)-[A-Za-z0-9_.-]+", re.ASCII)
_LOOPBACK = ipaddress.ip_network("127.0.0.0/8")
_WANTED_URL = "give the logs ingestion endpoint of the rule or of its DCE, https://…"
_SHOWN_LENGTH = 200


def shown(value: object) -> str:
    """Return a value's repr for a message, cut if it is long; a ``__repr__`` that raises does no harm."""
    try:
        written = repr(value)
    except Exception:  # noqa: BLE001 - a message about a bad value must not fail because of the value
        written = f"(a {type(value).__name__})"
    return written if len(written) <= _SHOWN_LENGTH else f"{written[:_SHOWN_LENGTH]}…"


def check_number(name: str, value: Any, limits: tuple[float, float], *, is_whole: bool) -> Iterator[str]:
    """Check a numeric setting's type and range."""
    low, high = limits
    accepted = int if is_whole else int | float
    # The comparison also refuses NaN.
    if isinstance(value, bool) or not isinstance(value, accepted) or not low <= value <= high:
        kind = "a whole number" if is_whole else "a number"
        yield f"{name}={shown(value)} is not accepted; give {kind} from {low:,} to {high:,}"


def check_choice(name: str, value: Any, accepted: tuple[str, ...]) -> Iterator[str]:
    """Check a setting that accepts only a few words."""
    if not isinstance(value, str) or value not in accepted:
        yield f"{name}={shown(value)} is not accepted; give one of {', '.join(map(repr, accepted))}"


def check_flag(name: str, value: Any) -> Iterator[str]:
    """Check a setting that is on or off."""
    if not isinstance(value, bool):
        yield f"{name}={shown(value)} is not accepted; give True or False"


def check_spool(path: Any) -> Iterator[str]:
    """Check the path of a directory, which need not exist yet; only the first write shows whether it is writable."""
    if not isinstance(path, str | os.PathLike) or not isinstance(written := os.fspath(path), str) or not written:
        yield f"spool={shown(path)} is not accepted; give the path of a directory"
    elif (home := os.path.expanduser(written)).startswith("~"):
        yield f"spool={shown(path)} begins with the home directory of a user who is not known; give an absolute path"
    elif "\0" in (written := home) or (os.path.exists(written) and not os.path.isdir(written)):
        yield f"spool={shown(path)} is not a directory"
    elif not os.path.isabs(written) and not _has_working_directory():
        yield f"spool={shown(path)} is relative to a working directory that was deleted; give an absolute path"


def _has_working_directory() -> bool:
    try:
        os.getcwd()
    except OSError:
        return False
    return True


def check_callable(name: str, value: Any) -> Iterator[str]:
    """Check an argument that must be callable."""
    if not callable(value):
        yield f"{name}={shown(value)} is not callable; give a callable, in dictConfig as 'ext://package.module.name'"


def check_proxy(proxy: Any) -> Iterator[str]:
    """Check the URL of a proxy, which is never shown, because it may hold a password."""
    try:
        parts = urlsplit(proxy) if isinstance(proxy, str) else None
        is_proxy = (
            parts is not None
            and parts.scheme in ("http", "https")
            # An empty host, or an impossible label, raises a UnicodeError, which is a ValueError.
            and bool((parts.hostname or "").encode("idna"))
            and parts.port != 0
            and proxy.isprintable()
            and not (parts.path.rstrip("/") or parts.query or parts.fragment)
        )
    except ValueError:
        is_proxy = False
    if not is_proxy:
        yield (
            "proxy is not the URL of a proxy (not shown, it may hold a password); give http://host:port or"
            " http://user:password@host:port, with %23, %2F, %3F and %40 for #, /, ? and @ in user and password"
        )


def check_authorities(path: Any) -> Iterator[str]:
    """Check the path of the certificate authorities, whose content the delivering thread reads."""
    if not isinstance(path, str | os.PathLike) or not isinstance(written := os.fspath(path), str) or not written:
        yield f"ca_bundle={shown(path)} is not accepted; give the path of a file in PEM format, or of a directory"
    elif "\0" in written or not os.path.exists(os.path.expanduser(written)):
        yield f"ca_bundle={shown(path)} does not exist; give the path of a file in PEM format, or of a directory"


def check_endpoint(endpoint: Any, credential: Any) -> Iterator[str]:
    """Check the URL, and that no token would be sent in clear text."""
    if isinstance(endpoint, str) and PORTAL.match(endpoint):
        yield f"endpoint is a page of the Azure portal; {_WANTED_URL} (the page shows it as 'Logs ingestion')"
        return
    if isinstance(endpoint, str) and "@" in endpoint:
        yield "endpoint contains a user name or password (not shown); remove it: the token comes from credential="
        return
    if isinstance(endpoint, str) and ("?" in endpoint or "#" in endpoint):
        start = shown(re.split("[?#]", endpoint)[0])
        yield f"endpoint={start} is followed by a query or fragment (not shown); remove it"
        return
    parts = _split(endpoint)
    if parts is None or parts.hostname is None:
        yield f"endpoint={shown(endpoint)} is not an http(s) URL; {_WANTED_URL}"
    elif hint := _other_service(parts):
        yield f"endpoint={shown(endpoint)} {hint}; {_WANTED_URL}"
    elif parts.scheme == "http" and credential != "local" and not is_loopback(parts.hostname):
        yield (
            f"endpoint={shown(endpoint)} would send a token in clear text: use https://, or credential='local' for a"
            " local workspace on another host (http:// is accepted for 127.0.0.0/8, [::1] and localhost)"
        )


def _other_service(parts: SplitResult) -> str:
    """Return what else a URL is, if Azure has such addresses beside that of logs ingestion; "" otherwise."""
    host = f".{parts.hostname}"
    for mark, what in OTHER_SERVICES.items():
        if mark in host:
            return what
    if parts.path.rstrip("/") and ".ingest." in host:
        return f"has the path {shown(parts.path)} behind the host, which the library adds itself; remove it"
    return ""


def normal_endpoint(endpoint: str) -> str:
    """Return the canonical form of a checked URL: host in lower case, no slash at the end."""
    parts = urlsplit(endpoint)
    return parts._replace(netloc=parts.netloc.lower()).geturl().rstrip("/")


def is_loopback(host: str) -> bool:
    """Return whether a host is a loopback address; a name that begins like one, '127.0.0.1.example.org', is not."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    # `is_loopback` of the address would also accept IPv4-mapped ones, on some versions of Python.
    return address in _LOOPBACK if address.version == 4 else str(address) == "::1"


def check_rule_id(rule_id: Any) -> Iterator[str]:
    """Check the rule's immutable id, which is often confused with its name or resource id."""
    if not isinstance(rule_id, str) or not _RULE_ID.fullmatch(rule_id):
        yield (
            f"rule_id={shown(rule_id)} is not accepted; give the rule's immutable id, dcr-… (not its name or resource"
            " id: it is 'immutableId' in the rule's JSON)"
        )


def check_stream(stream: Any) -> Iterator[str]:
    """Check the stream's name."""
    if not isinstance(stream, str) or not _STREAM.fullmatch(stream):
        meant = "Custom-" + re.sub("^custom-", "", str(stream), flags=re.IGNORECASE)
        near = f" (did you mean {meant!r}?)" if isinstance(stream, str) and _STREAM.fullmatch(meant) else ""
        yield f"stream={shown(stream)} is not accepted; give the stream's name as the rule declares it, Custom-…{near}"


def _split(endpoint: Any) -> SplitResult | None:
    """Split a URL; return None unless it is an http(s) URL that every library involved parses alike."""
    if not isinstance(endpoint, str) or not endpoint.isprintable() or " " in endpoint or "\\" in endpoint:
        return None
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    written = f"[{host}]" if ":" in host else host
    is_plain = parts.netloc.lower() == (written if port is None else f"{written}:{port}")
    return parts if is_plain and parts.scheme in ("http", "https") else None
