"""Build the Azure SDK clients that commands use; no other module of the commands imports the SDK.

Import this module inside functions: loading the SDK takes a noticeable part of a second.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from azure.core import PipelineClient
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.core.pipeline.policies import BearerTokenCredentialPolicy, HeadersPolicy, ProxyPolicy, UserAgentPolicy
from azure.core.pipeline.transport import RequestsTransport
from azure.core.rest import HttpRequest

if TYPE_CHECKING:
    from azure.monitor.query import LogsQueryClient

__all__ = ["AzureError", "ClientAuthenticationError", "HttpRequest", "query_client", "resource_manager_client"]


def query_client(address: str, credential: Any, http: Mapping[str, Any]) -> LogsQueryClient:
    """Return a client that queries workspaces; a credential of None is for a local workspace, which needs no token."""
    from azure.monitor.query import LogsQueryClient

    # The command reports errors itself; without this, the SDK's warnings would also go to standard error.
    logging.getLogger("azure").addHandler(logging.NullHandler())
    if credential is not None:
        return LogsQueryClient(credential, endpoint=address, **http)
    unused: Any = object()  # the client insists on a credential, and the policy replaces it
    # Over http, ignore the environment, which may set a proxy; over https, it names the certificate authority.
    verify = http.get("connection_verify", True)
    transport = RequestsTransport(use_env_settings=address.startswith("https://"), connection_verify=verify)
    return LogsQueryClient(unused, endpoint=address, authentication_policy=_local_token(), transport=transport)


def resource_manager_client(address: str, credential: Any, http: Mapping[str, Any]) -> PipelineClient[Any, Any]:
    """Return a client for Azure Resource Manager; a credential of None is for a local workspace, as above."""
    authentication: Any = (
        _local_token() if credential is None else BearerTokenCredentialPolicy(credential, f"{address}/.default")
    )
    return PipelineClient(
        address,
        policies=[
            UserAgentPolicy(sdk_moniker="logging-azmon-check"),
            ProxyPolicy(proxies=None if credential is None else http.get("proxies")),
            authentication,
        ],
        transport=RequestsTransport(
            use_env_settings=credential is not None, connection_verify=http.get("connection_verify", True)
        ),
    )


def _local_token() -> HeadersPolicy:
    return HeadersPolicy({"Authorization": "Bearer local"})
