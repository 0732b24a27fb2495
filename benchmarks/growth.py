"""Measure how costs grow with the backlog, the columns of a table and the size of a row, and fit curves to them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import tables
import workers
from contenders import pipeline
from logging_azmon import AzureMonitorHandler, Column, Pipeline
from sampling import CannotRun, Figure, Scale, exponent, figure, line, significant

TITLE = "Growth"
BATCHES = (1, 10, 100, 1_000, 3_000)
COLUMNS = (5, 10, 20, 50, 100, 200)
BYTES = (100, 300, 1_000, 3_000, 10_000, 30_000, 60_000)
BATCH_BYTES = 65_536
# A short series is repeated up to this size; otherwise reading the clock would dominate it.
BACKLOG_BATCHES = 300
CALLS = 20_000
CALLED_BYTES = 40_000_000


def _timed(made: Pipeline, log: Callable[[logging.Logger], None]) -> float:
    logger = logging.getLogger("shop.orders")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    handler = AzureMonitorHandler(pipeline=made)
    logger.addHandler(handler)
    try:
        start = time.perf_counter()
        log(logger)
        return time.perf_counter() - start
    finally:
        logger.removeHandler(handler)


def backlog(batches: int, share: float) -> dict[str, float]:
    """Log until this many batches wait, then deliver them; return the microseconds of a row for each step."""
    text = "x" * 300
    logged = sent = 0.0
    rows = 0
    for _ in range(max(1, round(BACKLOG_BATCHES * share / batches))):
        # Without a listener, no batch is delivered before flush.
        with pipeline(background=False, batch_bytes=BATCH_BYTES, queue_bytes=1024 * 1024 * 1024) as made:
            count = max(1, round(batches * BATCH_BYTES / 560))

            def log(logger: logging.Logger, count: int = count) -> None:
                for number in range(count):
                    logger.info("order %d %s", number, text)

            logged += _timed(made, log)
            start = time.perf_counter()
            if not made.flush(60):
                raise CannotRun("not delivered within a minute")
            sent += time.perf_counter() - start
            rows += count
    return {"log_micros": logged / rows * 1e6, "deliver_micros": sent / rows * 1e6}


def columns(number: int, calls: int) -> dict[str, float]:
    """Log to a table with this many columns, each filled by an extra of its own."""
    names = [f"value_{index}" for index in range(number - 2)]
    table = {"TimeGenerated": "time", "Message": "message"} | {
        f"Value{index}": Column(f"Value{index}", "int", name) for index, name in enumerate(names)
    }
    extra = dict.fromkeys(names, 12_345)
    calls = max(10, calls * 20 // (20 + number))

    def log(logger: logging.Logger) -> None:
        for _ in range(calls):
            logger.info("order paid", extra=extra)

    with pipeline(columns=table) as made:
        _timed(made, log)
        own = _timed(made, log)
    return {"micros": (own - _idle(log)) / calls * 1e6}


def size(number: int, share: float) -> dict[str, float]:
    """Log rows of about this many bytes."""
    text = "order paid " * (number // 11 + 1)
    calls = max(10, round(min(CALLS, CALLED_BYTES / number) * share))

    def log(logger: logging.Logger) -> None:
        for _ in range(calls):
            logger.info("%s", text[:number])

    # Enough room for all rows: the cost of a dropped row is not what is measured.
    with pipeline(columns={"TimeGenerated": "time", "Message": "message"}, queue_bytes=1024 * 1024 * 1024) as made:
        _timed(made, log)
        own = _timed(made, log)
    return {"micros": (own - _idle(log)) / calls * 1e6}


def _idle(log: Callable[[logging.Logger], None]) -> float:
    """Return the cost of logging itself: the same calls to a handler that does nothing."""
    logger = logging.getLogger("shop.idle")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    handler = logging.NullHandler()
    logger.addHandler(handler)
    try:
        log(logger)
        start = time.perf_counter()
        log(logger)
        return time.perf_counter() - start
    finally:
        logger.removeHandler(handler)


def worker(share: float) -> dict[str, dict[str, dict[str, float]]]:
    """Measure every point once."""
    return {
        "backlog": {str(number): backlog(max(1, round(number * share)), share) for number in BATCHES},
        "columns": {str(number): columns(number, max(10, round(CALLS * share))) for number in COLUMNS},
        "size": {str(number): size(number, share) for number in BYTES},
    }


def measure(scale: Scale) -> dict[str, Any]:
    """Measure every point in each round, and fit curves to the medians."""
    runs = [workers.ask("growth:worker", share=scale.share) for _ in range(scale.runs)]

    def points(series: str, key: str) -> dict[str, Figure]:
        return {point: figure(run[series][point][key] for run in runs) for point in runs[0][series]}

    log, deliver = points("backlog", "log_micros"), points("backlog", "deliver_micros")
    by_columns, by_size = points("columns", "micros"), points("size", "micros")
    both = {point: figure(sum(run["backlog"][point].values()) for run in runs) for point in runs[0]["backlog"]}
    return {
        "backlog": {
            "log_micros": log,
            "deliver_micros": deliver,
            "both_micros": both,
            "exponent": exponent(_medians(both)),
            "worst_against_first": figure(
                max(sum(one.values()) for one in run["backlog"].values()) / sum(run["backlog"]["1"].values())
                for run in runs
            ),
        },
        "columns": {"micros": by_columns, "law": line(_medians(by_columns))},
        "size": {"micros": by_size, "law": line(_medians(by_size))},
    }


def _medians(points: dict[str, Figure]) -> dict[float, float]:
    return {float(point): found["median"] for point, found in points.items()}


def describe(result: dict[str, Any]) -> str:
    """Write the section of the results page, with the fitted curves."""
    backlog_, columns_, size_ = result["backlog"], result["columns"], result["size"]
    flat, wide, long = backlog_["exponent"], columns_["law"], size_["law"]
    return "\n\n".join(
        [
            (
                "Microseconds; a stub stands in for the network. The backlog table shows the whole log call, the tables"
                " of columns and size its cost above a handler that does nothing."
            ),
            "### Backlog",
            (
                f"The cost of a row grows with the backlog to the power of {flat:g} (0 means not at all). A row"
                f" with the most expensive backlog costs {tables.ratio(backlog_['worst_against_first'])} as much as"
                " one with a single batch."
            ),
            tables.markdown(
                ["batches waiting", "µs to log a row", "µs to deliver a row", "both"],
                [
                    [
                        f"{int(point):,}",
                        *(
                            tables.spread(backlog_[key][point])
                            for key in ("log_micros", "deliver_micros", "both_micros")
                        ),
                    ]
                    for point in backlog_["log_micros"]
                ],
            ),
            "### Columns",
            (
                f"A call costs {wide['fixed']:g} µs + {significant(wide['each'] * 1_000, 3):g} ns per column,"
                f" each filled by an extra; the points are within {wide['error']:.0%} of that line."
            ),
            _series("columns", columns_["micros"]),
            "### Size",
            (
                f"A call costs {long['fixed']:g} µs + {significant(long['each'] * 1_000, 3):g} ns per byte of message;"
                f" the points are within {long['error']:.0%} of that line."
            ),
            _series("bytes", size_["micros"]),
        ]
    )


def _series(name: str, points: dict[str, Figure]) -> str:
    return tables.markdown(
        [name, "µs a call"], [[f"{int(point):,}", tables.spread(found)] for point, found in points.items()]
    )


def draw(_: dict[str, Any]) -> dict[str, str]:
    """Draw nothing: the fitted curves say the same in fewer words."""
    return {}
