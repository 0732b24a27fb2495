"""Close the pipelines that a test has left open, so that no test disturbs the next."""

from collections.abc import Iterator

import pytest

from logging_azmon._pipeline.lifecycle import pipelines
from logging_azmon._pipeline.state import State


@pytest.fixture(autouse=True)
def _closed_behind() -> Iterator[None]:
    yield
    for pipeline in pipelines.alive():
        if pipeline.state is not State.CLOSED:
            pipeline.close(0)
