"""Query a workspace, in Azure or local, through the official client."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ..._azure.credential import http_options, make_credential, token_error_text
from ..._azure.redaction import without_secrets
from ..._azure.sdk_errors import causes_of, connection_error_text
from ..._config.clouds import CLOUDS, PUBLIC
from ..._config.credential_checks import check_credential
from ..._config.environment import setting
from ..._config.settings import ENVIRONMENT
from ..._config.validators import (
    check_authorities,
    check_choice,
    check_endpoint,
    check_proxy,
    is_loopback,
    normal_endpoint,
    shown,
)
from ...errors import AzureMonitorLoggingError, ConfigurationError
from .options import add_options, pipeline_arguments

# The variable that Microsoft's samples use.
VARIABLE = "LOGS_WORKSPACE_ID"
LOCAL_ID = "local"
_CONNECT_SECONDS = 10
# The service itself gives up on a query after three minutes.
_READ_SECONDS = 200
_MESSAGE_LENGTH = 2_000

Timespan = dt.timedelta | tuple[dt.datetime, dt.datetime] | None


class WorkspaceQueryError(AzureMonitorLoggingError):
    """Report why a query has no answer and, if known, which part of it is at fault; `line` and `pos` count from 1.

    `is_transient` is true if the next try may succeed, and false if something has to be corrected first.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        line: int | None = None,
        pos: int | None = None,
        token: str = "",
        is_transient: bool = False,
    ) -> None:
        super().__init__(message)
        self.is_transient = is_transient
        self.code = code
        self.line = line
        self.pos = pos
        self.token = token


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Hold the answer to a query: column names, their types, and the rows.

    `partial` says why rows are missing; it is empty if none are.
    """

    names: Sequence[str]
    kinds: Sequence[str]
    rows: Sequence[Sequence[Any]]
    partial: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceAddress:
    """Hold the workspace to query, and the credential to query it with."""

    service: str
    workspace_id: str
    credential: Any = None
    cloud: str = "public"
    proxy: str | None = field(default=None, repr=False)
    ca_bundle: str | None = None

    @property
    def is_local(self) -> bool:
        """Return whether it is a local workspace, which needs no real token."""
        return self.workspace_id == LOCAL_ID


def add_workspace_options(parser: argparse.ArgumentParser, *, sends: bool = False) -> None:
    """Add the options that choose the workspace; with `sends`, also those for the columns sent to it."""
    parser.add_argument(
        "--workspace",
        metavar="ID",
        help=f"id of the workspace in Azure (a GUID, customerId in its JSON); default: {VARIABLE}; a local workspace"
        " is found by --endpoint or its variable instead",
    )
    add_options(parser, sends=sends)


def find_workspace(options: argparse.Namespace, environ: Mapping[str, str] | None = None) -> WorkspaceAddress:
    """Find the workspace to query.

    The option --workspace comes first, then a local workspace at the endpoint, then the environment.
    """
    environ = os.environ if environ is None else environ
    arguments = pipeline_arguments(options)
    endpoint = setting("endpoint", arguments, environ) or ""
    credential = setting("credential", arguments, environ) or "default"
    cloud = setting("cloud", arguments, environ) or PUBLIC.name
    proxy, ca_bundle = (setting(name, arguments, environ) for name in ("proxy", "ca_bundle"))
    problems = [*check_credential(credential), *check_choice("cloud", cloud, tuple(CLOUDS))]
    problems += () if proxy is None else check_proxy(proxy)
    problems += () if ca_bundle is None else check_authorities(ca_bundle)
    option = options.workspace
    if option in (None, LOCAL_ID) and endpoint and is_local(endpoint, credential):
        problems += check_endpoint(endpoint, credential)
        if problems:
            raise ConfigurationError(problems)
        return WorkspaceAddress(service=normal_endpoint(endpoint), workspace_id=LOCAL_ID, ca_bundle=ca_bundle)
    if option == LOCAL_ID:
        problems.append(
            "--workspace local needs the address of the local workspace, as `logging-azmon serve` prints it: give"
            f" --endpoint, or set the environment variable {ENVIRONMENT['endpoint']}"
        )
    workspace = option or environ.get(VARIABLE, "").strip()
    if not workspace:
        problems.append(
            "workspace is missing: give --workspace with the id that `az monitor log-analytics workspace show --query"
            f" customerId` prints, or set the environment variable {VARIABLE}; for a local workspace give --endpoint"
        )
    elif workspace != LOCAL_ID and not _is_guid(workspace):
        problems.append(
            f"workspace={shown(workspace)} is not a workspace id: give the GUID that `az monitor log-analytics"
            " workspace show --query customerId` prints, not the name or the resource id"
        )
    if problems:
        raise ConfigurationError(problems)
    return WorkspaceAddress(
        service=CLOUDS[cloud].query_endpoint,
        workspace_id=workspace,
        credential=credential,
        cloud=cloud,
        proxy=proxy,
        ca_bundle=ca_bundle,
    )


def is_local(endpoint: str, credential: Any) -> bool:
    """Return whether an endpoint appears to be a local workspace's."""
    try:
        host = urlsplit(endpoint).hostname or ""
    except ValueError:
        host = ""
    return credential == "local" or endpoint.startswith("http://") or is_loopback(host)


def _is_guid(value: str) -> bool:
    try:
        uuid.UUID(value)
    except ValueError:
        return False
    return True


class WorkspaceClient:
    """Query one workspace; used by one thread."""

    def __init__(self, address: WorkspaceAddress) -> None:
        from .azure import query_client

        self.address = address
        http = http_options(address.proxy, address.ca_bundle)
        credential = None if address.is_local else make_credential(address.credential, address.cloud, http)
        self._client = query_client(address.service, credential, http)

    def query(self, kql: str, timespan: Timespan = None) -> Result:
        """Return the first table of the answer, or raise a WorkspaceQueryError."""
        from .azure import AzureError

        try:
            answer: Any = self._client.query_workspace(
                self.address.workspace_id,
                kql,
                timespan=timespan,
                connection_timeout=_CONNECT_SECONDS,
                read_timeout=_READ_SECONDS,
            )
        except AzureError as error:
            raise _translated(error, self.address) from error
        except OSError as error:  # the HTTP library cannot read the certificate authorities
            reason = without_secrets(str(error))
            raise WorkspaceQueryError(
                f"{self.address.service} was not asked ({reason}): check REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE"
            ) from error
        except ValueError as error:  # the client expects JSON
            raise WorkspaceQueryError(f"{self.address.service} {_NOT_A_WORKSPACE}") from error
        shortfall = getattr(answer, "partial_error", None)
        tables = answer.tables if shortfall is None else answer.partial_data
        first = tables[0]
        return Result(
            names=first.columns,
            kinds=first.columns_types,
            rows=[list(row) for row in first.rows],
            partial="" if shortfall is None else _partial(shortfall),
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _partial(error: Any) -> str:
    details = [
        str(each.get("message", "")) for each in getattr(error, "details", None) or () if isinstance(each, Mapping)
    ]
    return " ".join(filter(None, details)) or str(getattr(error, "message", error))


def _translated(error: Any, address: WorkspaceAddress) -> WorkspaceQueryError:
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if response is None or status is None:
        return WorkspaceQueryError(_unreached(error, address), is_transient=True)
    try:
        details = response.json()["error"]
        code, message = str(details["code"]), str(details["message"])
    except (ValueError, LookupError, TypeError):
        return WorkspaceQueryError(f"{status} from {address.service}, which {_NOT_A_WORKSPACE}")
    if status == 400:
        return _mistake(details)
    hint = _HINTS.get(status, "").format(address=address)
    return WorkspaceQueryError(
        f"{status} from {address.service}: {code}: {message[:_MESSAGE_LENGTH]}{hint}",
        code=code,
        is_transient=status == 429 or status >= 500,
    )


_NOT_A_WORKSPACE = "does not answer as a workspace does: check the address"
_HINTS = {
    401: " - the token was not accepted: check --credential and --cloud",
    403: " - the identity is not allowed to read workspace {address.workspace_id}: assign it the role Log Analytics"
    " Reader there; an assignment can take a few minutes to take effect",
    404: " - check --workspace: it takes the id, not the name",
    429: " - too many queries at once: wait a moment",
    504: " - the query takes too long: try a shorter --timespan",
}


def _unreached(error: Any, address: WorkspaceAddress) -> str:
    from .azure import ClientAuthenticationError

    # The client wraps the credential's error in one of its own.
    refusal = next((cause for cause in causes_of(error) if isinstance(cause, ClientAuthenticationError)), None)
    if refusal is not None:
        reason = " ".join(without_secrets(token_error_text(refusal)).split())[:_MESSAGE_LENGTH]
        hint = "check --credential; `az login` helps on your own machine"
        return f"no token for {address.service} ({reason}): {hint}"
    reason = connection_error_text(error)
    if address.is_local:
        return f"{address.service} cannot be reached ({reason}): is `logging-azmon serve` running there?"
    return f"{address.service} cannot be reached ({reason}): check the network, and HTTPS_PROXY if there is a proxy"


def _mistake(details: Mapping[str, Any]) -> WorkspaceQueryError:
    """Read the mistake in a query from the innermost error, which is the most specific."""
    code, message = str(details["code"]), str(details["message"])
    position: dict[str, Any] = {}
    inner: Any = details.get("innererror")
    while isinstance(inner, Mapping):
        code, message = str(inner.get("code", code)), str(inner.get("message", message))
        position |= {name: inner[name] for name in ("line", "pos", "token") if inner.get(name) not in (None, "")}
        inner = inner.get("innererror")
    token = str(position.get("token", "")) or _quoted_name(message)
    line, pos = (value if isinstance(value := position.get(name), int) else None for name in ("line", "pos"))
    return WorkspaceQueryError(message[:_MESSAGE_LENGTH], code=code, line=line, pos=pos, token=token)


def _quoted_name(message: str) -> str:
    """Return the quoted name in a message, which the service could not resolve or parse."""
    found = re.search(r"(?:named|at|function) '([^']+)'", message) or re.search(r"'([^']+)'", message)
    return found[1] if found else ""
