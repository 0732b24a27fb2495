"""Measure what an outage costs in memory: the endpoint is gone, and the application keeps logging."""

from __future__ import annotations

import logging
import socket
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import charts
import sink
import tables
import workers
from logging_azmon import AzureMonitorHandler
from sampling import CannotRun, Scale, figures, interleaved
from shipping import RULE_ID, STREAM

TITLE = "Memory during an outage"
ROWS = 1_000_000
QUEUE_BYTES = 64 * 1024 * 1024
POLICIES = ("drop_new", "drop_old", "block")
_MIB = 1024 * 1024


def resident(kind: str) -> int:
    """Return the resident memory of this process in bytes: `VmRSS` is the current size, `VmHWM` the peak."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith(kind):
            return int(line.split()[1]) * 1024
    raise CannotRun(f"this system does not report {kind}")


def worker(overflow: str, rows: int, url: str, *, has_spool: bool) -> dict[str, float]:
    """Deliver one row so that everything is loaded; then log into an outage and measure how the process grows."""
    if not Path("/proc/self/clear_refs").exists():
        raise CannotRun("this system has no /proc")
    with tempfile.TemporaryDirectory() as directory:
        options: dict[str, Any] = {"overflow": overflow} | ({"spool": directory} if has_spool else {})
        warm = AzureMonitorHandler(url, RULE_ID, STREAM)
        handler = AzureMonitorHandler(
            _refusing_address(), RULE_ID, STREAM, queue_bytes=QUEUE_BYTES, close_seconds=0.1,
            report=lambda _: None, **options,
        )  # fmt: skip
        logger = logging.getLogger("shop.orders")
        logger.propagate = False
        logger.addHandler(warm)
        _log(logger, 1)
        if not warm.flush(30):
            raise CannotRun("the first row was not delivered")
        logger.removeHandler(warm)
        logger.addHandler(handler)
        # Reset the peak.
        Path("/proc/self/clear_refs").write_text("5", "ascii")
        before = resident("VmRSS")
        _log(logger, rows)
        grown = resident("VmHWM") - before
        stats = handler.stats()
        on_disk = sum(path.stat().st_size for path in Path(directory).rglob("*") if path.is_file())
        logger.removeHandler(handler)
        handler.close()
        warm.close()
    dropped = sum(stats.dropped.values())
    return {
        "grown_mib": grown / _MIB,
        "against_queue_bytes": grown / QUEUE_BYTES,
        "kept": stats.accepted - dropped,
        "dropped": dropped,
        "disk_mib": on_disk / _MIB,
    }


def _log(logger: logging.Logger, rows: int) -> None:
    for number in range(rows):
        logger.warning("order %d paid by %s", number, "ada", extra={"order": number, "amount": 59.9, "country": "DE"})


def _refusing_address() -> str:
    """Return an address that refuses connections."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def measure(scale: Scale) -> dict[str, Any]:
    """Measure each policy with and without a spool; two at a time, which does not affect memory."""
    cases = {
        _name(overflow, has_spool=has_spool): (overflow, has_spool)
        for has_spool in (False, True)
        for overflow in scale.pick(POLICIES)
    }
    with sink.running() as endpoint, ThreadPoolExecutor(2) as pool:

        def run(case: str) -> Any:
            overflow, has_spool = cases[case]
            return workers.ask(
                "outage:worker", overflow=overflow, has_spool=has_spool, rows=scale.of(ROWS), url=endpoint.url
            )

        def all_of(case: str) -> Any:
            return interleaved([case], scale.runs, run)

        each = list(pool.map(all_of, cases))
    return {
        "rows": scale.of(ROWS),
        "queue_bytes": QUEUE_BYTES,
        "found": [{"case": case} | figures(runs) for able, _ in each for case, runs in able.items()],
        "cannot": {case: why for _, unable in each for case, why in unable.items()},
    }


def _name(overflow: str, *, has_spool: bool) -> str:
    return f'overflow="{overflow}"{", with a spool" if has_spool else ""}'


def describe(result: dict[str, Any]) -> str:
    """Write the section of the results page."""
    parts = [
        (
            f"The endpoint refuses connections while {result['rows']:,} rows are logged. Growth is the peak of the"
            " process's resident memory above its size with everything loaded; `queue_bytes` is"
            f" {result['queue_bytes'] // _MIB} MiB."
        )
    ]
    rows = [
        [
            f"`{one['case'].partition(',')[0]}`{one['case'].partition(',')[1]}{one['case'].partition(',')[2]}",
            tables.ratio(one["against_queue_bytes"]),
            tables.spread(one["grown_mib"]),
            tables.spread(one["kept"], 7),
            tables.spread(one["dropped"], 7),
            tables.spread(one["disk_mib"]),
        ]
        for one in result["found"]
    ]
    parts.append(
        tables.markdown(["", "growth / `queue_bytes`", "MiB", "rows kept", "rows dropped", "MiB on disk"], rows)
    )
    return "\n\n".join([*parts, *tables.cannot({f"`{name}`": why for name, why in result["cannot"].items()})])


def draw(result: dict[str, Any]) -> dict[str, str]:
    """Draw the growth in each case."""
    return {
        "outage": charts.bars(
            f"Memory during an outage of {result['rows']:,} rows",
            "growth of the process; less is better",
            [charts.Bar(one["case"], one["grown_mib"], is_ours=True) for one in result["found"]],
            unit="MiB",
            goal=charts.Goal("1.5 × queue_bytes", 1.5 * result["queue_bytes"] / _MIB),
        )
    }
