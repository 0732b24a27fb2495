"""What a log call costs the thread that makes it."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import charts
import sink
import tables
import workers
from contenders import CONTENDERS
from sampling import Figure, Scale, figures, interleaved, quantiles, ratios, significant

TITLE = "A log call"
CALLS = 20_000
# Whoever takes a hundred times as long is asked for a hundredth.
FEWER = {"one_by_one": 100}
THREADS = 8

Call = Callable[[Any, int], None]
# Runs a call so many times and returns the seconds of each, or of all together where single ones are not asked for.
Loop = Callable[[Any, Call, int], float]

SCENARIOS = {
    "plain": "three arguments, three extras",
    "exception": "with an exception",
    "below": "below the level",
    "threads": f"{THREADS} threads at once",
    "asyncio": "in an asyncio loop",
}


# What is called. structlog takes extras as keywords.


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


# How it is called.


def _together(logger: Any, call: Call, calls: int) -> float:
    start = time.perf_counter()
    for number in range(calls):
        call(logger, number)
    return time.perf_counter() - start


def _each(logger: Any, call: Call, calls: int, spent: list[int]) -> None:
    now = time.perf_counter_ns
    for number in range(calls):
        start = now()
        call(logger, number)
        spent.append(now() - start)


def _in_threads(calls: int, loop: Callable[[int], Any]) -> float:
    barrier = threading.Barrier(THREADS + 1)

    def run() -> None:
        barrier.wait()
        loop(calls // THREADS or 1)

    threads = [threading.Thread(target=run) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    barrier.wait()
    start = time.perf_counter()
    for thread in threads:
        thread.join()
    return time.perf_counter() - start


async def _in_a_loop(calls: int, loop: Callable[[int], Any]) -> float:
    start = time.perf_counter()
    for _ in range(10):
        loop(calls // 10 or 1)
        await asyncio.sleep(0)  # noqa: TID251 - lets the loop turn, and waits for nothing
    return time.perf_counter() - start


def worker(contender: str, scenarios: list[str], calls: int, url: str) -> dict[str, dict[str, float]]:
    """Measure one contender in this process: microseconds of a call, in each scenario."""
    family = "structlog" if contender.startswith("structlog") else "stdlib"
    calls = max(10, calls // FEWER.get(contender, 1))
    found = {}
    with CONTENDERS[contender][1](url) as logger:
        for scenario in scenarios:
            call = _CALLS[family].get(scenario, _USUAL[family])
            _together(logger, call, calls // 10)
            spent: list[int] = []
            if scenario == "threads":
                seconds = _in_threads(calls, lambda part, call=call: _together(logger, call, part))  # type: ignore[misc]
                _in_threads(calls, lambda part, call=call, spent=spent: _each(logger, call, part, spent))  # type: ignore[misc]
            elif scenario == "asyncio":
                seconds = asyncio.run(_in_a_loop(calls, lambda part, call=call: _together(logger, call, part)))  # type: ignore[misc]
                asyncio.run(_in_a_loop(calls, lambda part, call=call, spent=spent: _each(logger, call, part, spent)))  # type: ignore[misc]
            else:
                seconds = _together(logger, call, calls)
                _each(logger, call, calls, spent)
            micros = {name: nanos / 1_000 for name, nanos in quantiles(spent).items()}
            found[scenario] = {"mean": seconds / len(spent) * 1e6} | micros
    return found


def measure(scale: Scale) -> dict[str, Any]:
    """Measure everyone, in turn."""
    scenarios = list(SCENARIOS)
    with sink.running() as endpoint:

        def run(name: str) -> Any:
            answer = workers.ask(
                "log_call:worker", contender=name, scenarios=scenarios, calls=scale.of(CALLS), url=endpoint.url
            )
            endpoint.counted()
            return answer

        able, unable = workers.each_that_can(
            scale.pick(CONTENDERS),
            lambda name: workers.ask(
                "log_call:worker", contender=name, scenarios=scenarios, calls=10, url=endpoint.url
            ),
        )
        runs = interleaved(able, scale.runs, run)
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
    """Compare, round by round, what a contender and `QueueHandler` cost above nothing, each above its own."""

    def costs(contender: str, nothing: str) -> list[float]:
        both = zip(runs[contender], runs[nothing], strict=True)
        return [own[scenario]["mean"] - idle[scenario]["mean"] for own, idle in both]

    return ratios(costs(name, _nothing_of(name)), costs("queue_handler", "nothing"))


def _nothing_of(name: str) -> str:
    return "structlog_nothing" if name.startswith("structlog") else "nothing"


def _is_comparable(runs: dict[str, list[Any]], name: str) -> bool:
    return name != _nothing_of(name) and {_nothing_of(name), "nothing", "queue_handler"} <= runs.keys()


def tell(result: dict[str, Any]) -> str:
    """Write the results' section."""
    parts = [
        (
            "Microseconds on the calling thread, medians of the runs. *Against `QueueHandler`*: the cost above"
            " a handler that does nothing (for structlog: above a chain that ends by dropping the event), as a"
            " ratio to what the standard library's `QueueHandler` costs above nothing, with the lowest and the"
            " highest run."
        ),
    ]
    for scenario, title in SCENARIOS.items():
        against = result["against_queue_handler"].get(scenario, {})
        rows = []
        for name, scenarios in result["micros"].items():
            found = scenarios[scenario]
            values = [f"{significant(found[key]['median'], 3):g}" for key in ("mean", "p50", "p99", "p99.9", "worst")]
            rows.append([CONTENDERS[name][0], tables.ratio(against.get(name)), *values])
        parts += [
            f"### {title[0].upper()}{title[1:]}",
            tables.markdown(["", "against `QueueHandler`", "mean", "p50", "p99", "p99.9", "worst"], rows),
        ]
    parts += tables.cannot({CONTENDERS[name][0]: why for name, why in result["cannot"].items()})
    return "\n\n".join(parts)


def draw(result: dict[str, Any]) -> dict[str, str]:
    """Draw the plain call."""
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
