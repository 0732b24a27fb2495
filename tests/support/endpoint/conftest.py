"""An endpoint and a client for each test."""

import pytest
import requests

from support.endpoint import Endpoint


@pytest.fixture
def endpoint():
    with Endpoint() as running:
        yield running


@pytest.fixture
def session():
    """Give a client that keeps connections alive and ignores the environment's proxies."""
    with requests.Session() as client:
        client.trust_env = False
        yield client
