"""Pools of concurrent.futures, and event loops that follow each other: all rows arrive."""

from __future__ import annotations

import subprocess
import sys

import pytest

from support.endpoint import Endpoint
from support.lifecycle import SCRIPTS, assert_each_once, environment, messages, run
from support.pipelines import LIMIT_SECONDS


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_the_workers_of_both_kinds_of_executors_deliver_all_their_rows(method: str) -> None:
    """Whether the program shuts an executor down or the interpreter does."""
    with Endpoint() as endpoint:
        done = subprocess.run(
            [sys.executable, "-W", "ignore::DeprecationWarning", SCRIPTS / "lifecycle_futures.py", method],
            env=environment(endpoint, {}),
            stderr=subprocess.PIPE,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert messages(endpoint.rows) == [
            f"{kind} {number} {what}"
            for kind in ("process", "thread")
            for number in range(5)
            for what in ("begins", "ends")
        ]
        assert_each_once(endpoint.rows)


def test_rows_of_one_event_loop_after_another_are_delivered() -> None:
    """Neither loop is blocked by an upload, and the handler does not depend on either."""
    source = """
import asyncio
logging.getLogger('asyncio').setLevel('WARNING')
handle(batch_seconds=3600)
async def main(name):
    log.info('%s loop', name)
    await asyncio.to_thread(root.handlers[0].flush)
    await asyncio.gather(*[asyncio.to_thread(log.info, '%s thread', name) for _ in range(3)])
    log.info('%s loop ends', name)
asyncio.run(main('first'))
log.info('between')
asyncio.run(main('second'))
"""
    with Endpoint() as endpoint:
        assert run(source, endpoint) == ""
        assert messages(endpoint.rows) == sorted(
            ["between"]
            + [f"{name} {what}" for name in ("first", "second") for what in ("loop", "loop ends", *["thread"] * 3)]
        )
        assert_each_once(endpoint.rows)
