"""Measure how logging lowers the throughput of a web application: Flask under gunicorn, loaded by another process."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import charts
import sink
import tables
import workers
from sampling import CannotRun, Scale, figures, interleaved, quantiles, ratios
from shipping import SHIPPERS, shipping

TITLE = "A Flask application under gunicorn"
CONTENDERS = ("nothing", "stdout", "ours", "opentelemetry")
ROWS_A_REQUEST = 3
SECONDS = 1.5
CLIENTS = 4


def application(contender: str, url: str) -> Any:
    """Make the application; gunicorn calls this in its worker."""
    import flask

    app = flask.Flask("shop")
    # Open for the life of the process; rows that wait at its end are delivered when logging shuts down.
    app.extensions["shipping"] = stack = contextlib.ExitStack()
    logger, _ = stack.enter_context(shipping(contender, url))
    logger.setLevel(logging.INFO)

    def order(number: int) -> dict[str, Any]:
        for step in range(ROWS_A_REQUEST):
            logger.info("order %d, step %d", number, step, extra={"order": number, "amount": 59.9, "country": "DE"})
        return {"order": number, "paid": True}

    app.add_url_rule("/orders/<int:number>", view_func=order)
    return app


def load(port: int, seconds: float) -> dict[str, float]:
    """Send requests over a few connections for this many seconds; return the throughput and the latencies."""
    spent: list[float] = []
    failed: list[str] = []
    ends = time.perf_counter() + seconds

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        number = 0
        while not number or time.perf_counter() < ends:
            begun = time.perf_counter()
            connection.request("GET", f"/orders/{number}")
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                failed.append(f"the application answered {answer.status}")
                break
            spent.append((time.perf_counter() - begun) * 1_000)
            number += 1
        connection.close()

    clients = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    start = time.perf_counter()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    taken = time.perf_counter() - start
    if failed or not spent:
        raise CannotRun(failed[0] if failed else "the application answered nothing")
    found = quantiles(spent)
    return {"requests_a_second": len(spent) / taken, "p50_ms": found["p50"], "p99_ms": found["p99"]}


def _one(name: str, seconds: float, endpoint: sink.Sink) -> dict[str, float]:
    if importlib.util.find_spec("gunicorn") is None:
        raise CannotRun("gunicorn is not installed")
    if importlib.util.find_spec("flask") is None:
        raise CannotRun("flask is not installed")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        arguments = [
            sys.executable, "-m", "gunicorn", "--bind", f"fd://{listener.fileno()}", "--pythonpath", str(workers.HERE),
            "--workers", "1", "--worker-class", "gthread", "--threads", str(CLIENTS), "--keep-alive", "30",
            "--graceful-timeout", "2", "--log-level", "error", f"web:application({name!r}, {endpoint.url!r})",
        ]  # fmt: skip
        with workers.background(
            arguments,
            pass_fds=[listener.fileno()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONWARNINGS": "ignore"},
        ):
            port = listener.getsockname()[1]
            # The first requests wait in the listener's backlog until the worker has started.
            workers.ask("web:load", port=port, seconds=min(0.3, seconds))
            found: dict[str, float] = workers.ask("web:load", port=port, seconds=seconds)
    endpoint.counted()
    return found


def measure(scale: Scale) -> dict[str, Any]:
    """Measure all contenders in turn."""
    with sink.running() as endpoint:
        runs, unable = interleaved(
            scale.pick(CONTENDERS), scale.runs, lambda name: _one(name, SECONDS * scale.share, endpoint)
        )
    idle = [one["requests_a_second"] for one in runs.get("nothing", [])]
    return {
        "rows_a_request": ROWS_A_REQUEST,
        "found": {name: figures(found) for name, found in runs.items()},
        "against_nothing": {
            name: ratios([one["requests_a_second"] for one in found], idle)
            for name, found in runs.items()
            if name != "nothing" and idle
        },
        "cannot": unable,
    }


def describe(result: dict[str, Any]) -> str:
    """Write the section of the results page."""
    rows = [
        [
            SHIPPERS[name][0],
            tables.ratio(result["against_nothing"].get(name)),
            tables.spread(found["requests_a_second"]),
            tables.spread(found["p50_ms"]),
            tables.spread(found["p99_ms"]),
        ]
        for name, found in result["found"].items()
    ]
    parts = [
        (
            f"One worker with {CLIENTS} threads logs {result['rows_a_request']} rows a request, which are delivered to"
            f" the endpoint; {CLIENTS} clients in another process send requests without a pause."
        ),
        tables.markdown(["", "vs. no logging", "requests/s", "p50 ms", "p99 ms"], rows),
    ]
    return "\n\n".join([*parts, *tables.cannot({SHIPPERS[name][0]: why for name, why in result["cannot"].items()})])


def draw(result: dict[str, Any]) -> dict[str, str]:
    """Draw the throughput."""
    found = [
        charts.Bar(tables.plain(SHIPPERS[name][0]), one["requests_a_second"], is_ours=name == "ours")
        for name, one in result["found"].items()
    ]
    note = f"requests a second, {result['rows_a_request']} rows each; more is better"
    return {"web": charts.bars(TITLE, note, found, unit="/s")}
