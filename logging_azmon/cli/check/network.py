"""Looks at the way to the endpoint: name, proxy, connection, TLS. What is found is what the handler would meet."""

from __future__ import annotations

import base64
import datetime as dt
import os
import socket
import ssl
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from .steps import Step

# Where requests looks for certificate authorities, in its order.
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_SHORT_DAYS = 14


def connection_steps(endpoint: str, *, is_local: bool, seconds: float) -> Iterator[Step]:
    """Look at one thing after the other, as far as it goes."""
    parts = urlsplit(endpoint)
    proxy = None if is_local else _proxy(parts)
    step = _proxy_step(proxy) if proxy else _name(parts)
    yield step
    # TLS to the proxy itself, or SOCKS: the handler's library speaks them, this does not.
    if step.state != "problem" and (proxy is None or proxy.scheme == "http"):
        yield _connection(parts, proxy, seconds)


def _proxy(parts: SplitResult) -> SplitResult | None:
    host = parts.hostname or ""
    if proxy_bypass(host):
        return None
    proxies = getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all")
    return urlsplit(found if "://" in found else f"http://{found}") if found else None


def _proxy_step(proxy: SplitResult) -> Step:
    # Never its user and password.
    where = f"{proxy.hostname}:{_port(proxy)}"
    seen = f"through the proxy {where}, which looks up the name; from HTTPS_PROXY or the system, see also NO_PROXY"
    return Step(name="proxy", state="ok", seen=seen, details={"proxy": where})


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _name(parts: SplitResult) -> Step:
    host = parts.hostname or ""
    try:
        found = socket.getaddrinfo(host, _port(parts), type=socket.SOCK_STREAM)
    except OSError as error:
        advice = (
            "check the endpoint for a typo, and that this machine can look up names; with private link, that its DNS"
            " zone privatelink.monitor.azure.com is linked to this network"
        )
        said = f"{host} cannot be looked up: {error.strerror or error}"
        return Step(name="name", state="problem", seen=said, advice=(advice,))
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    seen = f"{host} is {', '.join(addresses)}" if addresses != [host] else f"{host} needs no looking up"
    return Step(name="name", state="ok", seen=seen, details={"addresses": addresses})


def _connection(parts: SplitResult, proxy: SplitResult | None, seconds: float) -> Step:
    connection = _connecting(parts, proxy, seconds)
    try:
        connection.connect()
        if parts.scheme == "http":
            return Step(
                name="connection", state="ok", seen="connected, without TLS: on this machine, or allowed as local"
            )
        return _secured(connection.sock)
    except ssl.SSLCertVerificationError as error:
        advice = (
            "if a proxy of yours opens TLS, give its certificate authority in REQUESTS_CA_BUNDLE; else check the"
            " endpoint's name and this machine's clock"
        )
        return Step(
            name="connection",
            state="problem",
            seen=f"the certificate is not trusted: {error.verify_message}",
            advice=(advice,),
        )
    except (ssl.SSLError, HTTPException) as error:
        advice = "something on the way speaks no TLS 1.2: look at proxies and firewalls"
        return Step(name="connection", state="problem", seen=f"TLS fails: {error}", advice=(advice,))
    except OSError as error:
        where = f"the proxy {proxy.hostname}" if proxy else f"{parts.hostname}:{_port(parts)}"
        return Step(
            name="connection",
            state="problem",
            seen=f"{where} cannot be reached: {error.strerror or error}",
            advice=_unreached(parts, proxy),
        )
    finally:
        connection.close()


def _unreached(parts: SplitResult, proxy: SplitResult | None) -> tuple[str, ...]:
    if proxy is not None:
        return ("check HTTPS_PROXY, and the login in it; NO_PROXY names hosts that go directly",)
    if parts.scheme == "http":
        return ("start the local workspace: logging-azmon serve",)
    return (f"let this machine reach {parts.hostname} on port {_port(parts)}, or name a proxy in HTTPS_PROXY",)


def _connecting(parts: SplitResult, proxy: SplitResult | None, seconds: float) -> HTTPConnection:
    host, port = parts.hostname or "", _port(parts)
    if parts.scheme == "http":
        return HTTPConnection(host, port, timeout=seconds)
    if proxy is None:
        return HTTPSConnection(host, port, timeout=seconds, context=_trust())
    connection = HTTPSConnection(proxy.hostname or "", _port(proxy), timeout=seconds, context=_trust())
    headers = {}
    if proxy.username:
        login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    connection.set_tunnel(host, port, headers)
    return connection


def _trust() -> ssl.SSLContext:
    """Trust whom requests trusts."""
    import certifi

    named = next((value for name in _CA_VARIABLES if (value := os.environ.get(name))), None) or certifi.where()
    if Path(named).is_dir():
        return ssl.create_default_context(capath=named)
    return ssl.create_default_context(cafile=named)


def _secured(connected: Any) -> Step:
    certificate = connected.getpeercert() or {}
    issuer = {key: value for part in certificate.get("issuer", ()) for key, value in part}
    by = issuer.get("organizationName") or issuer.get("commonName") or "an unnamed authority"
    until = dt.datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), dt.UTC)
    days = (until - dt.datetime.now(dt.UTC)).days
    details = {"tls": connected.version(), "issuer": by, "until": until.isoformat()}
    seen = f"{connected.version()}, certificate by {by} until {until:%Y-%m-%d}"
    if days < _SHORT_DAYS:
        advice = "see to it that it is renewed in time"
        return Step(name="connection", state="warning", seen=f"{seen}: {days} days", advice=(advice,), details=details)
    return Step(name="connection", state="ok", seen=seen, details=details)
