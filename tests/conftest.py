"""Keeps tests apart: whatever a test has left open is closed behind it."""

from collections.abc import Iterator

import pytest

from logging_azmon._pipeline import registry


@pytest.fixture(autouse=True)
def _closed_behind() -> Iterator[None]:
    yield
    for pipeline in registry.alive():
        if not pipeline._has_ended:
            pipeline.close(0)
