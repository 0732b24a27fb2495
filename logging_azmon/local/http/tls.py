"""Make a certificate authority and a certificate for the loopback names.

The authority is kept in the data directory, so that clients need to trust it only once; each start issues a new
certificate. Only its owner can read the private key.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable
from pathlib import Path

import trustme

from ...errors import ConfigurationError

NAMES = ("127.0.0.1", "localhost", "::1")
CA_NAME, KEY_NAME = "ca.pem", "ca-key.pem"


def server_context(directory: Path, names: Iterable[str]) -> tuple[ssl.SSLContext, Path]:
    """Return a context for the server, and the path of the certificate that clients have to trust."""
    authority = _authority(directory)
    wanted = dict.fromkeys([*NAMES, *(name for name in names if name not in ("0.0.0.0", "::"))])  # noqa: S104 - compared, not bound
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # as the service requires
    try:
        certificate = authority.issue_cert(*wanted, common_name="localhost")
    except ValueError as error:
        given = ", ".join(repr(name) for name in wanted if name not in NAMES)
        raise ConfigurationError(
            [f"{given}: a name cannot be in a certificate ({error}); give host names of letters, digits and hyphens"]
        ) from error
    certificate.configure_cert(context)
    return context, directory / CA_NAME


def _authority(directory: Path) -> trustme.CA:
    certificate, key = directory / CA_NAME, directory / KEY_NAME
    if certificate.exists() and key.exists():
        return trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
    authority = trustme.CA(organization_name="logging-azmon local workspace")
    descriptor = os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(authority.private_key_pem.bytes())
    certificate.write_bytes(authority.cert_pem.bytes())
    return authority
