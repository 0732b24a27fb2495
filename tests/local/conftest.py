"""A workspace, its port and a store, for tests that need no special ones."""

import pytest

from logging_azmon._config.dcr import DEFAULT_RULE
from logging_azmon.local import Workspace
from logging_azmon.local.storage.store import Store
from support.local_client import port_of


@pytest.fixture(scope="module")
def workspace():
    with Workspace() as ws:
        yield ws


@pytest.fixture
def port(workspace):
    return port_of(workspace)


@pytest.fixture
def store():
    store = Store([DEFAULT_RULE])
    yield store
    store.close()
