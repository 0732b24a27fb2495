"""Check the network path to the endpoint as the handler would take it: name or proxy, connection, TLS."""

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

# The variables in which requests looks for certificate authorities, in its order.
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_SHORT_DAYS = 14


def connection_steps(
    endpoint: str, *, is_local: bool, seconds: float, proxy: str | None = None, ca_bundle: str | None = None
) -> Iterator[Step]:
    """Yield one step after another, up to the first that fails; `proxy` and `ca_bundle` are the handler's own."""
    parts = urlsplit(endpoint)
    if not _is_host_name(parts.hostname):
        yield _bad_name(parts)
        return
    try:
        used = None if is_local else _proxy(parts, proxy)
    except ValueError:
        yield _bad_proxy()
        return
    step = _proxy_step(used, is_own=proxy is not None) if used else _name(parts)
    yield step
    # A proxy reached through TLS or SOCKS works for the handler, but cannot be checked with http.client.
    if step.state != "problem" and (used is None or used.scheme == "http"):
        yield _connection(parts, used, seconds, ca_bundle)


def _proxy(parts: SplitResult, own: str | None) -> SplitResult | None:
    host = parts.hostname or ""
    if own is not None:
        return urlsplit(own)
    if proxy_bypass(host):
        return None
    proxies = getproxies()
    written = proxies.get(parts.scheme) or proxies.get("all")
    if not written:
        return None
    proxy = urlsplit(written if "://" in written else f"http://{written}")
    # Reading the port raises a ValueError if it is not a number up to 65535.
    if proxy.port == 0 or not _is_host_name(proxy.hostname):
        raise ValueError("no host, or port 0")
    return proxy


def _bad_proxy() -> Step:
    advice = (
        "write it as http://user:password@host:port, with %23, %2F, %3F and %40 for #, /, ? and @ in user and password"
    )
    seen = "HTTPS_PROXY, or the system's setting, is not the URL of a proxy (not shown: it may hold a password)"
    return Step(name="proxy", state="problem", seen=seen, advice=(advice,))


def _is_host_name(host: str | None) -> bool:
    try:
        return bool((host or "").encode("idna"))
    except UnicodeError:
        return False


def _bad_name(parts: SplitResult) -> Step:
    advice = "copy the endpoint from the rule's JSON, or from the portal, where it is called 'Logs ingestion'"
    seen = f"{parts.hostname} is not a host name: between two dots it needs 1 to 63 characters"
    return Step(name="name", state="problem", seen=seen, advice=(advice,))


def _proxy_step(proxy: SplitResult, *, is_own: bool) -> Step:
    # Never show its user name and password.
    address = f"{proxy.hostname}:{_port(proxy)}"
    origin = "proxy=" if is_own else "HTTPS_PROXY or the system, see also NO_PROXY"
    seen = f"through the proxy {address}, which looks up the name; set by {origin}"
    return Step(name="proxy", state="ok", seen=seen, details={"proxy": address})


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _name(parts: SplitResult) -> Step:
    host = parts.hostname or ""
    try:
        resolved = socket.getaddrinfo(host, _port(parts), type=socket.SOCK_STREAM)
    except OSError as error:
        advice = (
            "check the endpoint for a typo, and whether this machine can look up names; with private link, whether the"
            " DNS zone privatelink.monitor.azure.com is linked to this network"
        )
        seen = f"{host} cannot be looked up: {error.strerror or error}"
        return Step(name="name", state="problem", seen=seen, advice=(advice,))
    addresses = list(dict.fromkeys(str(each[4][0]) for each in resolved))
    seen = f"{host} is {', '.join(addresses)}" if addresses != [host] else f"{host} needs no lookup"
    return Step(name="name", state="ok", seen=seen, details={"addresses": addresses})


def _connection(parts: SplitResult, proxy: SplitResult | None, seconds: float, ca_bundle: str | None) -> Step:
    try:
        connection = _connecting(parts, proxy, seconds, ca_bundle)
    except OSError as error:  # an SSLError is one, too
        variable, path = _authorities(ca_bundle)
        reason = error.strerror or error
        advice = f"let {variable} name a file of certificates in PEM format, or unset it"
        seen = f"no certificate authorities can be read from {variable}={path}: {reason}"
        return Step(name="connection", state="problem", seen=seen, advice=(advice,))
    try:
        connection.connect()
        if parts.scheme == "http":
            return Step(name="connection", state="ok", seen="connected without TLS, as only a local workspace may be")
        return _secured(connection.sock)
    except ssl.SSLCertVerificationError as error:
        advice = (
            "if a proxy inspects TLS, name its certificate authority in ca_bundle= or REQUESTS_CA_BUNDLE; else check"
            " the endpoint's name and this machine's clock"
        )
        return Step(
            name="connection",
            state="problem",
            seen=f"the certificate is not trusted: {error.verify_message}",
            advice=(advice,),
        )
    except (ssl.SSLError, HTTPException) as error:
        advice = "something on the way does not speak TLS 1.2: check proxies and firewalls"
        return Step(name="connection", state="problem", seen=f"TLS failed: {error}", advice=(advice,))
    except OSError as error:
        peer = f"the proxy {proxy.hostname}" if proxy else f"{parts.hostname}:{_port(parts)}"
        return Step(
            name="connection",
            state="problem",
            seen=f"{peer} cannot be reached: {error.strerror or error}",
            advice=_unreached(parts, proxy),
        )
    finally:
        connection.close()


def _unreached(parts: SplitResult, proxy: SplitResult | None) -> tuple[str, ...]:
    if proxy is not None:
        return ("check HTTPS_PROXY or proxy=, and the login in it; NO_PROXY names hosts to reach directly",)
    if parts.scheme == "http":
        return ("start the local workspace: logging-azmon serve",)
    return (f"let this machine reach {parts.hostname} on port {_port(parts)}, or name a proxy: proxy= or HTTPS_PROXY",)


def _connecting(parts: SplitResult, proxy: SplitResult | None, seconds: float, ca_bundle: str | None) -> HTTPConnection:
    host, port = parts.hostname or "", _port(parts)
    if parts.scheme == "http":
        return HTTPConnection(host, port, timeout=seconds)
    if proxy is None:
        return HTTPSConnection(host, port, timeout=seconds, context=_trust(ca_bundle))
    connection = HTTPSConnection(proxy.hostname or "", _port(proxy), timeout=seconds, context=_trust(ca_bundle))
    headers = {}
    if proxy.username:
        login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    connection.set_tunnel(host, port, headers)
    return connection


def _trust(ca_bundle: str | None) -> ssl.SSLContext:
    """Trust the certificate authorities that the handler trusts."""
    _, path = _authorities(ca_bundle)
    if Path(path).is_dir():
        return ssl.create_default_context(capath=path)
    return ssl.create_default_context(cafile=path)


def _authorities(ca_bundle: str | None) -> tuple[str, str]:
    """Return the argument or variable that names the certificate authorities, and their path."""
    import certifi

    if ca_bundle is not None:
        return "ca_bundle", ca_bundle
    named = ((name, value) for name in _CA_VARIABLES if (value := os.environ.get(name)))
    return next(named, ("certifi", certifi.where()))


def _secured(connected: Any) -> Step:
    certificate = connected.getpeercert() or {}
    issuer = {key: value for part in certificate.get("issuer", ()) for key, value in part}
    authority = issuer.get("organizationName") or issuer.get("commonName") or "an unnamed authority"
    until = dt.datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), dt.UTC)
    days = (until - dt.datetime.now(dt.UTC)).days
    details = {"tls": connected.version(), "issuer": authority, "until": until.isoformat()}
    seen = f"{connected.version()}, certificate by {authority}, valid until {until:%Y-%m-%d}"
    if days < _SHORT_DAYS:
        advice = "make sure that it is renewed in time"
        seen = f"{seen}: {days} days"
        return Step(name="connection", state="warning", seen=seen, advice=(advice,), details=details)
    return Step(name="connection", state="ok", seen=seen, details=details)
