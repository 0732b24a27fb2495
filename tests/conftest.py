"""Close the pipelines that a test has left open, and let the programs under test hear Ctrl-C.

A shell starts background jobs with SIGINT ignored, and every child inherits that.
"""

import signal
from collections.abc import Iterator
from contextlib import suppress

import pytest

from logging_azmon._pipeline.all_pipelines import pipelines
from logging_azmon._queue.pipeline_state import State

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Where the documentation is tested, there is no Hypothesis.
with suppress(ImportError):
    from hypothesis import settings

    # On a machine under load, any example may be slow.
    settings.register_profile("logging_azmon", deadline=None)
    settings.load_profile("logging_azmon")


@pytest.fixture(autouse=True)
def _closed_behind() -> Iterator[None]:
    yield
    for pipeline in pipelines.alive():
        if pipeline.state is not State.CLOSED:
            pipeline.close(0)
