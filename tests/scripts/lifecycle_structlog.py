"""Pass a bound logger to workers of multiprocessing with each task."""

import multiprocessing
import sys
from typing import Any

import structlog

from logging_azmon import AzureMonitorProcessor


def work(log: Any, number: int) -> None:
    log.info("in a worker", number=number)


def rendered(*_: object) -> str:
    return "rendered"


def main(method: str, **options: Any) -> None:
    processor = AzureMonitorProcessor(**options)
    log = structlog.wrap_logger(
        structlog.PrintLogger(sys.stdout),
        processors=[processor, rendered],
        wrapper_class=structlog.make_filtering_bound_logger(0),
    ).bind(order=7)
    with multiprocessing.get_context(method).Pool(2) as pool:
        pool.starmap(work, [(log, number) for number in range(20)], chunksize=1)
        pool.close()
        pool.join()
    log.info("in the parent")
