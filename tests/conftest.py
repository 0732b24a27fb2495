"""Keeps tests apart: whatever a test has left open is closed behind it."""

from collections.abc import Iterator

import pytest

from logging_azmon.pipeline import pipelines


@pytest.fixture(autouse=True)
def _closed_behind() -> Iterator[None]:
    yield
    for pipeline in pipelines.alive():
        if not pipeline._has_ended:
            pipeline.close(0)
