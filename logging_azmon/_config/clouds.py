"""Azure's clouds: the address of each service that this package calls, and the scope of the token for it.

The authorities are those of `azure.identity.AzureAuthorityHosts`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple


class Cloud(NamedTuple):
    """Hold the facts of one cloud."""

    name: str
    """The name that the setting `cloud` takes."""
    authority: str
    """The host where Microsoft Entra ID issues tokens."""
    ingestion_scope: str
    """The scope of a token for the Logs Ingestion API."""
    resource_manager: str
    """The address of Azure Resource Manager, which is also the audience of its tokens."""
    query_endpoint: str
    """The address of the Log Analytics query API."""


PUBLIC = Cloud(
    name="public",
    authority="login.microsoftonline.com",
    ingestion_scope="https://monitor.azure.com/.default",
    resource_manager="https://management.azure.com",
    query_endpoint="https://api.loganalytics.io",
)
CHINA = Cloud(
    name="china",
    authority="login.chinacloudapi.cn",
    ingestion_scope="https://monitor.azure.cn/.default",
    resource_manager="https://management.chinacloudapi.cn",
    query_endpoint="https://api.loganalytics.azure.cn",
)
US_GOVERNMENT = Cloud(
    name="usgov",
    authority="login.microsoftonline.us",
    ingestion_scope="https://monitor.azure.us/.default",
    resource_manager="https://management.usgovcloudapi.net",
    query_endpoint="https://api.loganalytics.us",
)

CLOUDS: Mapping[str, Cloud] = {cloud.name: cloud for cloud in (PUBLIC, CHINA, US_GOVERNMENT)}

# Addresses of Azure Monitor that are often confused with that of logs ingestion.
OTHER_SERVICES: Mapping[str, str] = {
    ".ods.opinsights.": "is the HTTP Data Collector API, whose support has ended",
    ".oms.opinsights.": "is a Log Analytics workspace's address for agents",
    ".handler.control.": "is the DCE's address for agents' configuration",
    ".metrics.ingest.": "is the DCE's address for metrics",
    ".applicationinsights.": "is Application Insights",
    ".api.loganalytics.": "is the address for queries",
}
# A page of the Azure portal, whose address is pasted by mistake.
PORTAL = re.compile(r"https?://(portal|ms\.portal)\.azure\.", re.IGNORECASE)
