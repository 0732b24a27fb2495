"""Fixtures of the tests of a spool."""

import pytest

from support.spools import Directory


@pytest.fixture
def directory(tmp_path):
    directory = Directory(tmp_path / "spool")
    yield directory
    for bench in directory.benches:
        bench.queue.begin_drain()
        bench.queue.close()
    directory.destination.check()
