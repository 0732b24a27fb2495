"""Measure what a process delivers, from the first log call until the endpoint has acknowledged the last row."""

from __future__ import annotations

import gzip
import http.client
import logging
import random
import threading
import time
from contextlib import closing
from typing import Any

import orjson

import charts
import sink
import tables
import workers
from contenders import pipeline
from logging_azmon import AzureMonitorHandler
from logging_azmon._rows.encoder import Encoder
from sampling import Scale, figures, interleaved, quantiles, ratios
from shipping import PATH, SHIPPERS, shipping

TITLE = "Log call to acknowledged"
ROW_BYTES = 480
# A rule accepts 2 GB a minute.
QUOTA_MB = 2_000 / 60
# Enough rows for about a second each.
ROWS = {"ours": 100_000, "sdk_list": 30_000, "opentelemetry": 15_000}
THREADS = (1, 4)
LATENCIES = (0.0, 0.05)
_WORDS = """
    a about account address after all amount and answer any are asked at bank basket been before bill book box by
    call can card cart cash change check city client closed code come cost country credit customer date day
    delivery did do done door down each early end error euro every failed fast find first five for found four free
    from full gate gift give goods half has have here home hour house in invoice is item keep key last late left
    letter line list long lost made mail many may money more name near new next no not now number of off old on
    once one open order other out over paid parcel part pay place plan post price queue ready rest return room
    sale same sent set shelf ship shop since size some soon state stock store street sum tax ten that the then
    there this three time to today took town truck two under unit until up used van wait was way week were when
    will with word year yes
"""


def texts() -> list[str]:
    """Return texts that fill a row of the default table up to `ROW_BYTES`, on this machine and in this process.

    They are words in a thousand orders, because a constant text would compress to almost nothing.
    """
    sizes: list[int] = []
    with pipeline(background=False) as made:
        encode = Encoder(made.settings.table, max_line_bytes=1_000_000, on_misfit=lambda: None).record
        handler = AzureMonitorHandler(pipeline=made)
        handler.emit = lambda record: sizes.append(len(encode(record, None)))  # type: ignore[method-assign]
        logger = logging.getLogger("shop.orders")
        logger.propagate = False
        logger.addHandler(handler)
        _log(logger, range(100_000, 100_001), [""])
        logger.removeHandler(handler)
    missing = max(0, ROW_BYTES - sizes[0])
    choose = random.Random(480).choices
    return [" ".join(choose(_WORDS.split(), k=missing // 4 + 1))[:missing] for _ in range(1_000)]


def _log(logger: Any, numbers: range, texts: list[str]) -> None:
    for number in numbers:
        logger.warning(
            "order %d paid by %s after %.1f s %s",
            number,
            "ada",
            1.5,
            texts[number % len(texts)],
            extra={"order": number, "amount": 59.9, "country": "DE"},
        )


def worker(contender: str, rows: int, threads: int, url: str) -> dict[str, float]:
    """Log this many rows and wait until they are delivered."""
    words = texts()
    each = rows // threads
    with shipping(contender, url) as (logger, finish):
        # The first connection and the imports it needs are not part of the measurement.
        _log(logger, range(1), words)
        finish()
        ranges = [range(100_000 + number * each, 100_000 + (number + 1) * each) for number in range(threads)]
        others = [threading.Thread(target=_log, args=(logger, numbers, words)) for numbers in ranges[1:]]
        cpu = time.process_time()
        start = time.perf_counter()
        for thread in others:
            thread.start()
        _log(logger, ranges[0], words)
        for thread in others:
            thread.join()
        finish()
        seconds = time.perf_counter() - start
        cpu = time.process_time() - cpu
    return {"seconds": seconds, "cpu_seconds": cpu, "rows": each * threads + 1}


def ceiling(url: str, seconds: float) -> dict[str, float]:
    """Post prepared bodies as fast as possible: the maximum that the endpoint takes from one connection."""
    row = {"Message": "x" * (ROW_BYTES - 15)}
    plain = orjson.dumps([{**row, "n": number} for number in range(2_000)])
    body = gzip.compress(plain, 1)
    host, _, port = url.removeprefix("http://").partition(":")
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    requests = 0
    spent = []
    with closing(http.client.HTTPConnection(host, int(port), timeout=30)) as connection:
        start = time.perf_counter()
        while time.perf_counter() - start < seconds:
            begun = time.perf_counter()
            connection.request("POST", PATH, body, headers)
            connection.getresponse().read()
            spent.append(time.perf_counter() - begun)
            requests += 1
        seconds = time.perf_counter() - start
    return {
        "requests_a_second": requests / seconds,
        "mb_a_second": requests * len(plain) / seconds / 1e6,
        "p99_ms": quantiles(spent)["p99"] * 1_000,
    }


def _one(name: str, threads: int, endpoint: sink.Sink, rows: int) -> dict[str, float]:
    endpoint.counted()
    spent = workers.ask("to_acknowledged:worker", contender=name, rows=rows, threads=threads, url=endpoint.url)
    arrived = endpoint.counted()
    rate = arrived["rows"] / spent["seconds"]
    return {
        "rows_a_second": rate,
        "mb_a_second": rate * ROW_BYTES / 1e6,
        "cpu_micros_a_row": spent["cpu_seconds"] / spent["rows"] * 1e6,
        "requests": arrived["requests"],
        "rows_a_request": arrived["rows"] / max(1, arrived["requests"]),
        "wire_bytes_a_row": arrived["wire_bytes"] / max(1, arrived["rows"]),
        "bytes_a_row": arrived["bytes"] / max(1, arrived["rows"]),
        "lost": spent["rows"] - arrived["rows"],
    }


def measure(scale: Scale) -> dict[str, Any]:
    """Measure each contender with one thread and with four, and with an endpoint that answers at once or late."""
    cases = []
    unable: dict[str, str] = {}
    tops = []
    for latency in LATENCIES:
        with sink.running(seconds=latency) as endpoint:
            for threads in THREADS:
                runs, why = interleaved(
                    scale.pick(ROWS),
                    scale.runs,
                    lambda name, to=endpoint, by=threads: _one(name, by, to, scale.of(ROWS[name])),  # type: ignore[misc]
                )
                unable |= why
                rates = {name: [run["rows_a_second"] for run in found] for name, found in runs.items()}
                cases.append(
                    {
                        "threads": threads,
                        "latency_ms": latency * 1_000,
                        "found": {name: figures(found) for name, found in runs.items()},
                        "ours_against": {
                            name: ratios(rates["ours"], rates[name])
                            for name in rates
                            if name != "ours" and "ours" in rates
                        },
                    }
                )
            if not latency:
                tops = [
                    workers.ask("to_acknowledged:ceiling", url=endpoint.url, seconds=scale.share)
                    for _ in range(scale.runs)
                ]
    return {"row_bytes": ROW_BYTES, "quota_mb": QUOTA_MB, "cases": cases, "ceiling": figures(tops), "cannot": unable}


def describe(result: dict[str, Any]) -> str:
    """Write the section of the results page."""
    top = result["ceiling"]
    parts = [
        (
            f"Rows of {result['row_bytes']} bytes of JSON from one process, until the last is acknowledged."
            " No queue drops rows here: ours is bounded and makes the logging thread wait, those of the others"
            f" are unbounded. A rule accepts {result['quota_mb']:.1f} MB a second. The endpoint is a process of"
            " its own; a client that only posts prepared bodies over one connection reaches"
            f" {tables.spread(top['requests_a_second'])} requests a second, or {tables.spread(top['mb_a_second'])} MB"
            " a second before compression."
        ),
    ]
    heads = [
        "", "ours is faster by", "rows/s", "MB/s", "of the quota", "CPU µs a row", "rows a request",
        "bytes a row on the wire", "rows lost",
    ]  # fmt: skip
    for case in result["cases"]:
        rows = [
            [
                SHIPPERS[name][0],
                tables.ratio(case["ours_against"].get(name)),
                tables.spread(found["rows_a_second"]),
                tables.spread(found["mb_a_second"]),
                f"{found['mb_a_second']['median'] / result['quota_mb']:.2f} ×",
                tables.spread(found["cpu_micros_a_row"]),
                tables.spread(found["rows_a_request"]),
                tables.spread(found["wire_bytes_a_row"]),
                tables.spread(found["lost"]),
            ]
            for name, found in case["found"].items()
        ]
        parts += [f"### {_case(case)}", tables.markdown(heads, rows)]
    return "\n\n".join([*parts, *tables.cannot({SHIPPERS[name][0]: why for name, why in result["cannot"].items()})])


def _case(case: dict[str, Any]) -> str:
    threads = "one logging thread" if case["threads"] == 1 else f"{case['threads']} logging threads"
    return f"{threads[0].upper()}{threads[1:]}, the endpoint answers after {case['latency_ms']:.0f} ms"


def draw(result: dict[str, Any]) -> dict[str, str]:
    """Draw the first case."""
    case = result["cases"][0]
    found = [
        charts.Bar(tables.plain(SHIPPERS[name][0]), one["mb_a_second"], is_ours=name == "ours")
        for name, one in case["found"].items()
    ]
    return {
        "to-acknowledged": charts.bars(
            "What one process delivers, log call to acknowledged",
            f"MB of JSON a second, rows of {result['row_bytes']} bytes, one logging thread; more is better",
            found,
            unit="MB/s",
            goal=charts.Goal(f"a rule's quota, {result['quota_mb']:.1f} MB/s", result["quota_mb"]),
        )
    }
