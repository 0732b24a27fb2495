"""Measure what a log call costs the thread that makes it."""

from __future__ import annotations

import asyncio
import logging
import statistics
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import charts
import sink
import tables
import workers
from contenders import CONTENDERS
from sampling import Figure, Scale, figure, figures, interleaved, quantiles, ratios, shown

TITLE = "A log call"
CALLS = 10_000
# Slow contenders make fewer calls, by these factors; so does a slow scenario.
FEWER = {"one_by_one": 50, "google": 4, "logstash": 4, "opentelemetry": 2, "sentry": 4}
HALF = ("exception",)
THREADS = 8
STRETCHES = 10

Call = Callable[[Any, int], None]

SCENARIOS = {
    "plain": "three arguments, three extras",
    "exception": "with an exception",
    "below": "below the level",
    "threads": f"{THREADS} threads at once",
    "asyncio": "in an asyncio loop",
}


# The calls; structlog takes extras as keywords.


def _stdlib(logger: logging.Logger, number: int) -> None:
    logger.info(
        "order %d paid by %s after %.1f s", number, "ada", 1.5, extra={"order": number, "amount": 59.9, "country": "DE"}
    )


def _stdlib_below(logger: logging.Logger, number: int) -> None:
    logger.debug(
        "order %d paid by %s after %.1f s", number, "ada", 1.5, extra={"order": number, "amount": 59.9, "country": "DE"}
    )


def _stdlib_exception(logger: logging.Logger, number: int) -> None:
    try:
        int("seven")
    except ValueError:
        logger.exception("order %d failed", number)


def _structlog(logger: Any, number: int) -> None:
    logger.info("order %d paid by %s after %.1f s", number, "ada", 1.5, order=number, amount=59.9, country="DE")


def _structlog_below(logger: Any, number: int) -> None:
    logger.debug("order %d paid by %s after %.1f s", number, "ada", 1.5, order=number, amount=59.9, country="DE")


def _structlog_exception(logger: Any, number: int) -> None:
    try:
        int("seven")
    except ValueError:
        logger.exception("order %d failed", number)


_CALLS = {
    "stdlib": {"exception": _stdlib_exception, "below": _stdlib_below},
    "structlog": {"exception": _structlog_exception, "below": _structlog_below},
}
_USUAL = {"stdlib": _stdlib, "structlog": _structlog}


# A stretch makes this many calls in a row.

Stretch = Callable[[int], object]


def _together(logger: Any, call: Call, calls: int) -> None:
    for number in range(calls):
        call(logger, number)


def _each(logger: Any, call: Call, spent: list[int], calls: int) -> None:
    now = time.perf_counter_ns
    for number in range(calls):
        start = now()
        call(logger, number)
        spent.append(now() - start)


# Each returns the seconds of a call: the median of ten stretches, because other work on the machine disturbs some.


def _plainly(calls: int, stretch: Stretch) -> float:
    part = calls // STRETCHES
    return statistics.median(_timed(part, stretch) for _ in range(STRETCHES))


def _timed(calls: int, stretch: Stretch) -> float:
    start = time.perf_counter()
    stretch(calls)
    return (time.perf_counter() - start) / calls


def _in_a_loop(calls: int, stretch: Stretch) -> float:
    async def run() -> float:
        found = []
        for _ in range(STRETCHES):
            found.append(_timed(calls // STRETCHES, stretch))
            await asyncio.sleep(0)  # noqa: TID251 - lets the loop turn without waiting
        return statistics.median(found)

    return asyncio.run(run())


def _in_threads(calls: int, stretch: Stretch) -> float:
    part = max(1, calls // THREADS)
    starts: list[float] = []
    # The last thread to arrive starts the clock, because this thread would first have to be scheduled.
    barrier = threading.Barrier(THREADS, lambda: starts.append(time.perf_counter()))

    def run() -> None:
        barrier.wait()
        stretch(part)

    threads = [threading.Thread(target=run) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (time.perf_counter() - starts[0]) / (part * THREADS)


def worker(contender: str, scenarios: list[str], calls: int, url: str) -> dict[str, dict[str, float]]:
    """Measure one contender in this process: the microseconds of a call in each scenario."""
    family = "structlog" if contender.startswith("structlog") else "stdlib"
    found = {}
    with CONTENDERS[contender][1](url) as logger:
        for scenario in scenarios:
            run = {"threads": _in_threads, "asyncio": _in_a_loop}.get(scenario, _plainly)
            call = _CALLS[family].get(scenario, _USUAL[family])
            count = max(STRETCHES, calls // FEWER.get(contender, 1) // (2 if scenario in HALF else 1))
            spent: list[int] = []
            _together(logger, call, count // 10)
            mean = run(count, partial(_together, logger, call))
            run(count, partial(_each, logger, call, spent))
            micros = {name: nanos / 1_000 for name, nanos in quantiles(spent).items()}
            found[scenario] = {"mean": mean * 1e6} | micros
    return found


def measure(scale: Scale) -> dict[str, Any]:
    """Measure all contenders in turn."""
    scenarios = list(SCENARIOS)
    with sink.running() as endpoint:

        def run(name: str) -> Any:
            answer = workers.ask(
                "log_call:worker", contender=name, scenarios=scenarios, calls=scale.of(CALLS), url=endpoint.url
            )
            endpoint.counted()
            return answer

        runs, unable = interleaved(scale.pick(CONTENDERS), scale.runs, run)
    return {
        "micros": {
            name: {scenario: figures([one[scenario] for one in found]) for scenario in scenarios}
            for name, found in runs.items()
        },
        "against_queue_handler": {
            scenario: {name: above(runs, name, scenario) for name in runs if _is_comparable(runs, name)}
            for scenario in scenarios
            if scenario != "below"
        },
        "cannot": unable,
    }


def above(runs: dict[str, list[Any]], name: str, scenario: str) -> Figure:
    """Compare the cost of a contender with that of `QueueHandler`, each above its own handler that does nothing.

    The ratio is that of the medians, because the difference of two single runs is noisy; the spread is the rounds'.
    """

    def costs(contender: str, nothing: str) -> list[float]:
        both = zip(runs[contender], runs[nothing], strict=True)
        return [own[scenario]["mean"] - idle[scenario]["mean"] for own, idle in both]

    def median(contender: str) -> float:
        means: list[float] = [run[scenario]["mean"] for run in runs[contender]]
        return statistics.median(means)

    rounds = ratios(costs(name, _nothing_of(name)), costs("queue_handler", "nothing"))
    whole = (median(name) - median(_nothing_of(name))) / (median("queue_handler") - median("nothing"))
    return figure([rounds["low"], whole, rounds["high"]])


def _nothing_of(name: str) -> str:
    return "structlog_nothing" if name.startswith("structlog") else "nothing"


def _is_comparable(runs: dict[str, list[Any]], name: str) -> bool:
    return name != _nothing_of(name) and {_nothing_of(name), "nothing", "queue_handler"} <= runs.keys()


def describe(result: dict[str, Any]) -> str:
    """Write the section of the results page."""
    parts = [
        (
            "Microseconds on the calling thread. *vs. `QueueHandler`* is the cost above a handler that does nothing"
            " (for structlog, above a chain that ends by dropping the event), as a ratio to the cost of the standard"
            " library's `QueueHandler` above nothing."
        ),
    ]
    for scenario, title in SCENARIOS.items():
        against = result["against_queue_handler"].get(scenario, {})
        rows = []
        for name, scenarios in result["micros"].items():
            found = scenarios[scenario]
            values = [shown(found[key]["median"]) for key in ("mean", "p50", "p99", "p99.9", "worst")]
            rows.append([CONTENDERS[name][0], tables.ratio(against.get(name)), *values])
        parts += [
            f"### {title[0].upper()}{title[1:]}",
            tables.markdown(["", "vs. `QueueHandler`", "mean", "p50", "p99", "p99.9", "worst"], rows),
        ]
    parts += tables.cannot({CONTENDERS[name][0]: why for name, why in result["cannot"].items()})
    return "\n\n".join(parts)


def draw(result: dict[str, Any]) -> dict[str, str]:
    """Draw the ratios of the plain call."""
    bars = [
        charts.Bar(tables.plain(CONTENDERS[name][0]), found, is_ours="ours" in name)
        for name, found in result["against_queue_handler"]["plain"].items()
    ]
    return {
        "log-call": charts.bars(
            "What a log call costs, above a handler that does nothing",
            "1 = stdlib QueueHandler; less is better; three arguments, three extras",
            bars,
            unit="×",
            logarithmic=True,
        )
    }
