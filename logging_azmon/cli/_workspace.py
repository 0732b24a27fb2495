"""Asks a workspace: one in Azure, or the local one, through the same official client."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from .._azure.credential import why_none
from .._azure.error_mapping import why_broken
from .._config.clouds import CLOUDS
from .._config.settings import ENVIRONMENT
from .._config.validators import check_credential, check_endpoint, is_loopback, normal_endpoint, shown
from ..errors import AzureMonitorLoggingError, ConfigurationError
from ._configuration import add_options, pipeline_arguments

# The name that Microsoft's samples use.
VARIABLE = "LOGS_WORKSPACE_ID"
LOCAL_ID = "local"
_CONNECT_SECONDS = 10
# The service itself gives up after three minutes.
_READ_SECONDS = 200
_MESSAGE_LENGTH = 2_000

Timespan = dt.timedelta | tuple[dt.datetime, dt.datetime] | None


class QueryError(AzureMonitorLoggingError):
    """Say why there is no answer, and where in the query if that is known; line and position count from 1.

    `may_pass` tells what may be over at the next try from what somebody must mend.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        line: int | None = None,
        pos: int | None = None,
        token: str = "",
        may_pass: bool = False,
    ) -> None:
        super().__init__(message)
        self.may_pass = may_pass
        self.code = code
        self.line = line
        self.pos = pos
        self.token = token


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Hold what came back; `partial` says why that is not all."""

    names: Sequence[str]
    kinds: Sequence[str]
    rows: Sequence[Sequence[Any]]
    partial: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Say which workspace, and as whom it is asked."""

    service: str
    workspace_id: str
    credential: Any = None
    cloud: str = "public"

    @property
    def is_local(self) -> bool:
        """Tell whether it is a local workspace, which asks for no real token."""
        return self.workspace_id == LOCAL_ID


def add_workspace_options(parser: argparse.ArgumentParser, *, sends: bool = False) -> None:
    """Add the options that say which workspace; `sends`: and which columns are sent there."""
    parser.add_argument(
        "--workspace",
        metavar="ID",
        help=f"workspace in Azure, by its id (a GUID, customerId in its JSON), else {VARIABLE}; not needed for a local"
        " one, which --endpoint or the environment names",
    )
    add_options(parser, sends=sends)


def place_of(options: argparse.Namespace, environ: Mapping[str, str] | None = None) -> Place:
    """Find the workspace: one that is named goes before the local one at the endpoint, that before the environment."""
    environ = os.environ if environ is None else environ
    arguments = pipeline_arguments(options)
    endpoint = arguments.get("endpoint") or environ.get(ENVIRONMENT["endpoint"], "").strip()
    credential = arguments.get("credential") or "default"
    problems = [*check_credential(credential)]
    named = options.workspace
    if named in (None, LOCAL_ID) and endpoint and is_local(endpoint, credential):
        problems += check_endpoint(endpoint, credential)
        if problems:
            raise ConfigurationError(problems)
        return Place(service=normal_endpoint(endpoint), workspace_id=LOCAL_ID)
    if named == LOCAL_ID:
        problems.append(
            "--workspace local needs the address of the local workspace, as `logging-azmon serve` prints it: give"
            f" --endpoint, or set the environment variable {ENVIRONMENT['endpoint']}"
        )
    workspace = named or environ.get(VARIABLE, "").strip()
    if not workspace:
        problems.append(
            "workspace is missing: give --workspace with the id that `az monitor log-analytics workspace show --query"
            f" customerId` prints, or set the environment variable {VARIABLE}; for a local workspace give --endpoint"
        )
    elif workspace != LOCAL_ID and not _is_guid(workspace):
        problems.append(
            f"workspace={shown(workspace)} is no workspace id: give the GUID that `az monitor log-analytics workspace"
            " show --query customerId` prints, not the name or the resource id"
        )
    if problems:
        raise ConfigurationError(problems)
    cloud = arguments.get("cloud", "public")
    return Place(service=CLOUDS[cloud].query_endpoint, workspace_id=workspace, credential=credential, cloud=cloud)


def is_local(endpoint: str, credential: Any) -> bool:
    """Tell whether an endpoint is a local workspace's, as far as can be seen."""
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


class Workspace:
    """Ask one workspace; used by one thread."""

    def __init__(self, place: Place) -> None:
        from azure.core.pipeline import policies
        from azure.core.pipeline.transport import RequestsTransport
        from azure.monitor.query import LogsQueryClient

        from .._azure.credential import make_credential

        self.place = place
        options: dict[str, Any] = {}
        credential: Any = object()  # asked for nothing: the policy has the token
        if place.is_local:
            options["authentication_policy"] = policies.HeadersPolicy({"Authorization": "Bearer local"})
            # What is local goes there directly, whatever proxy the environment names; but that names the certificate.
            options["transport"] = RequestsTransport(use_env_settings=place.service.startswith("https://"))
        else:
            credential = make_credential(place.credential, place.cloud)
        self._client = LogsQueryClient(credential, endpoint=place.service, **options)

    def query(self, kql: str, timespan: Timespan = None) -> Result:
        """Return the first table of the answer, or raise a QueryError."""
        from azure.core.exceptions import AzureError

        try:
            answer: Any = self._client.query_workspace(
                self.place.workspace_id,
                kql,
                timespan=timespan,
                connection_timeout=_CONNECT_SECONDS,
                read_timeout=_READ_SECONDS,
            )
        except AzureError as error:
            raise _translated(error, self.place) from error
        except ValueError as error:  # no JSON, which the client takes for granted
            raise QueryError(_STRANGER.format(place=self.place)) from error
        partial = getattr(answer, "partial_error", None)
        tables = answer.tables if partial is None else answer.partial_data
        first = tables[0]
        said = "" if partial is None else _partial(partial)
        return Result(
            names=first.columns, kinds=first.columns_types, rows=[list(row) for row in first.rows], partial=said
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _partial(error: Any) -> str:
    details = [
        str(each.get("message", "")) for each in getattr(error, "details", None) or () if isinstance(each, Mapping)
    ]
    return " ".join(filter(None, details)) or str(getattr(error, "message", error))


def _translated(error: Any, place: Place) -> QueryError:
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if response is None or status is None:
        return QueryError(_unreached(error, place), may_pass=True)
    try:
        said = response.json()["error"]
        code, message = str(said["code"]), str(said["message"])
    except (ValueError, LookupError, TypeError):
        return QueryError(f"{status} from {_STRANGER.format(place=place)}")
    if status == 400:
        return _mistake(said)
    hint = _HINTS.get(status, "").format(place=place)
    return QueryError(
        f"{status} from {place.service}: {code}: {message[:_MESSAGE_LENGTH]}{hint}",
        code=code,
        may_pass=status == 429 or status >= 500,
    )


_STRANGER = "{place.service}, which is not how a workspace answers: check the address"
_HINTS = {
    401: " - the token is not accepted: check --credential and --cloud",
    403: " - the identity may not read workspace {place.workspace_id}: assign it the role Log Analytics Reader there;"
    " once assigned, it can take a few minutes",
    404: " - check --workspace: it is the id, not the name",
    429: " - too many queries at once: wait a moment",
    504: " - the query takes too long: ask for a shorter --timespan",
}


def _unreached(error: Any, place: Place) -> str:
    from azure.core.exceptions import ClientAuthenticationError

    if isinstance(error, ClientAuthenticationError):
        said = " ".join(why_none(error).split())[:_MESSAGE_LENGTH]
        hint = "check --credential; `az login` helps on your own machine"
        return f"no token could be had for {place.service} ({said}): {hint}"
    said = why_broken(error)
    if place.is_local:
        return f"{place.service} cannot be reached ({said}): is `logging-azmon serve` running there?"
    return f"{place.service} cannot be reached ({said}): check the network, and HTTPS_PROXY if there is a proxy"


def _mistake(said: Mapping[str, Any]) -> QueryError:
    """Read what is wrong with a query from the innermost error, which knows best."""
    code, message = str(said["code"]), str(said["message"])
    place: dict[str, Any] = {}
    inner: Any = said.get("innererror")
    while isinstance(inner, Mapping):
        code, message = str(inner.get("code", code)), str(inner.get("message", message))
        place |= {name: inner[name] for name in ("line", "pos", "token") if inner.get(name) not in (None, "")}
        inner = inner.get("innererror")
    token = str(place.get("token", "")) or _named(message)
    line, pos = (value if isinstance(value := place.get(name), int) else None for name in ("line", "pos"))
    return QueryError(message[:_MESSAGE_LENGTH], code=code, line=line, pos=pos, token=token)


def _named(message: str) -> str:
    """Return the name that a message puts into quotes: the thing that could not be resolved or parsed."""
    found = re.search(r"(?:named|at|function) '([^']+)'", message) or re.search(r"'([^']+)'", message)
    return found[1] if found else ""
