"""Measure what background delivery does to an application: the lag of its event loop, and its slowest log calls."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import charts
import sink
import tables
import workers
from sampling import Scale, figures, interleaved, quantiles, ratios
from shipping import SHIPPERS, shipping

TITLE = "Interference"
ROWS_A_SECOND = 5_000
TICK_SECONDS = 0.001
SECONDS = 2.0
CONTENDERS = ("nothing", "ours", "sdk_list", "opentelemetry")
TEXT = "x" * 200


async def _run(logger: Any, seconds: float) -> tuple[list[float], list[float]]:
    """Log a few rows at each tick; return how late the ticks came and how long the calls took, in microseconds."""
    each = round(ROWS_A_SECOND * TICK_SECONDS)
    ticks = max(2, round(seconds / TICK_SECONDS))
    late: list[float] = []
    spent: list[float] = []
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    start = loop.time() + TICK_SECONDS

    def tick(number: int) -> None:
        late.append((loop.time() - start - number * TICK_SECONDS) * 1e6)
        for index in range(each):
            begun = time.perf_counter_ns()
            logger.info("order %d paid by %s %s", number, "ada", TEXT, extra={"order": number, "index": index})
            spent.append((time.perf_counter_ns() - begun) / 1_000)
        if number + 1 < ticks:
            loop.call_at(start + (number + 1) * TICK_SECONDS, tick, number + 1)
        else:
            done.set_result(None)

    loop.call_at(start, tick, 0)
    await done
    return late, spent


def worker(contender: str, seconds: float, url: str) -> dict[str, float]:
    """Run an event loop that logs while its rows are delivered."""
    with shipping(contender, url) as (logger, finish):
        asyncio.run(_run(logger, min(0.3, seconds)))
        late, spent = asyncio.run(_run(logger, seconds))
        finish()
    found = {f"call_{name}": value for name, value in quantiles(spent).items()}
    return found | {f"lag_{name}": value for name, value in quantiles(late).items()}


def measure(scale: Scale) -> dict[str, Any]:
    """Measure all contenders in turn, at the same pace."""
    with sink.running() as endpoint:

        def run(name: str, seconds: float) -> Any:
            found = workers.ask("interference:worker", contender=name, seconds=seconds, url=endpoint.url)
            endpoint.counted()
            return found

        runs, unable = interleaved(scale.pick(CONTENDERS), scale.runs, lambda name: run(name, SECONDS * scale.share))

    def against(key: str) -> dict[str, Any]:
        idle = [one[key] for one in runs.get("nothing", [])]
        return {
            name: ratios([one[key] for one in found], idle)
            for name, found in runs.items()
            if idle and name != "nothing"
        }

    return {
        "rows_a_second": ROWS_A_SECOND,
        "micros": {name: figures(found) for name, found in runs.items()},
        "against_nothing": {key: against(key) for key in ("call_p99.9", "lag_p99", "lag_p99.9")},
        "cannot": unable,
    }


def describe(result: dict[str, Any]) -> str:
    """Write the section of the results page."""
    against = result["against_nothing"]
    heads = [
        "", "call p99.9 vs. no logging", "call p50", "p99", "p99.9", "worst",
        "lag p99 vs. no logging", "lag p50", "p99", "p99.9", "worst",
    ]  # fmt: skip
    rows = []
    for name, found in result["micros"].items():
        calls, lags = (
            [tables.spread(found[f"{kind}_{key}"]) for key in ("p50", "p99", "p99.9", "worst")]
            for kind in ("call", "lag")
        )
        rows.append(
            [
                SHIPPERS[name][0],
                tables.ratio(against["call_p99.9"].get(name)),
                *calls,
                tables.ratio(against["lag_p99"].get(name)),
                *lags,
            ]
        )
    parts = [
        (
            f"An asyncio loop logs {result['rows_a_second']:,} rows a second, a few every millisecond, while they"
            " are delivered to the endpoint. *Call* is the duration of a log call, *lag* the delay of a callback of"
            " the loop; both in microseconds."
        ),
        tables.markdown(heads, rows),
    ]
    return "\n\n".join([*parts, *tables.cannot({SHIPPERS[name][0]: why for name, why in result["cannot"].items()})])


def draw(result: dict[str, Any]) -> dict[str, str]:
    """Draw the slowest calls."""
    found = [
        charts.Bar(tables.plain(SHIPPERS[name][0]), one["call_p99.9"], is_ours=name == "ours")
        for name, one in result["micros"].items()
    ]
    title = f"The slowest of a thousand log calls while {result['rows_a_second']:,} rows a second flow"
    return {
        "interference": charts.bars(title, "p99.9, microseconds; less is better", found, unit="µs", logarithmic=True)
    }
