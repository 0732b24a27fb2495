"""The facts of Azure's clouds are correct, and defined in one module."""

import re
from pathlib import Path

import pytest
from azure.identity import AzureAuthorityHosts

import logging_azmon
from logging_azmon._config.clouds import CLOUDS

PACKAGE = Path(logging_azmon.__file__).parent
HOST = re.compile(
    r"login\.(microsoftonline|chinacloudapi)|management\.\w+cloudapi|monitor\.azure\.\w+/|api\.loganalytics"
)


def test_every_cloud_is_found_by_the_name_that_the_setting_takes():
    assert {name: cloud.name for name, cloud in CLOUDS.items()} == {
        "public": "public",
        "china": "china",
        "usgov": "usgov",
    }


@pytest.mark.parametrize("cloud", CLOUDS.values(), ids=CLOUDS)
def test_every_address_is_an_https_url_without_a_slash_at_its_end(cloud):
    """Paths are appended to them."""
    for address in (cloud.resource_manager, cloud.query_endpoint):
        assert re.fullmatch(r"https://[a-z.]+", address)
    assert re.fullmatch(r"https://[a-z.]+/\.default", cloud.ingestion_scope)
    assert re.fullmatch(r"[a-z.]+", cloud.authority)


def test_authorities_are_those_of_the_sdk():
    known = {
        "public": AzureAuthorityHosts.AZURE_PUBLIC_CLOUD,
        "china": AzureAuthorityHosts.AZURE_CHINA,
        "usgov": AzureAuthorityHosts.AZURE_GOVERNMENT,
    }

    assert {name: cloud.authority for name, cloud in CLOUDS.items()} == known


def test_no_two_clouds_share_an_address():
    """A token of one cloud must never be sent to another."""
    addresses = [
        address
        for cloud in CLOUDS.values()
        for address in (cloud.authority, cloud.ingestion_scope, cloud.resource_manager, cloud.query_endpoint)
    ]

    assert len(set(addresses)) == len(addresses)


def test_no_other_module_names_a_clouds_host():
    """A new cloud, or a host that moves, needs one edit."""
    elsewhere = [
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if path.name != "clouds.py" and HOST.search(path.read_text("utf-8"))
    ]

    assert elsewhere == []
