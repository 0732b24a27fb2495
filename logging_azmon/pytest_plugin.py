"""Provide two pytest fixtures: `azmon_rows`, the rows that a test would have sent, and `azmon_workspace`.

pytest imports this module in every run of every project that has the package installed. It therefore imports nothing
else until a test uses a fixture.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .local import Workspace
    from .testing import CapturedRows


@pytest.fixture
def azmon_rows() -> Iterator[CapturedRows]:
    """Collect the rows of everything logged during the test, as `testing.capture` does; nothing is sent."""
    from .testing import capture

    with capture() as rows:
        yield rows


@pytest.fixture
def azmon_workspace(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """Run a local workspace; the mark ``azmon_workspace(dcr="dcr.json", …)`` takes the arguments of `Workspace`.

    ``DATA_COLLECTION_ENDPOINT`` and the other variables are set during the test, so that a handler made without
    arguments finds the workspace; ``LOGGING_AZMON_DISABLED`` and the like, which would come first, are not.
    """
    from ._config.options import PREFIX
    from .local import Workspace

    mark = request.node.get_closest_marker("azmon_workspace")
    with Workspace(*mark.args, **mark.kwargs) if mark else Workspace() as workspace:
        for name, value in (workspace.environment | workspace.trust_environment).items():
            monkeypatch.setenv(name, value)
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            monkeypatch.delenv(name)
        yield workspace


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark, for --strict-markers."""
    config.addinivalue_line("markers", "azmon_workspace(...): arguments of the Workspace that the fixture runs")
