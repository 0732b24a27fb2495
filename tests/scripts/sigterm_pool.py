"""Log in the workers of a pool, and leave the pool's block, which ends the workers by SIGTERM.

The first argument is the start method; "handled" as the second makes `exit_on_sigterm` the workers' initializer.
"""

import logging
import multiprocessing
import os
import sys
import threading
from pathlib import Path

from logging_azmon import AzureMonitorHandler, exit_on_sigterm

log = logging.getLogger("app")
log.setLevel("INFO")
# In each worker, too. The first row is sent at once, the others wait for the end.
log.addHandler(AzureMonitorHandler(batch_seconds=3600, close_seconds=40))


def work(number):
    log.info("%d begins", number)
    log.handlers[0].flush()
    log.info("%d ends", number)


def stay(number):
    """Work until the end; the worker would otherwise end by itself if it is idle when the pool ends."""
    work(number)
    with Path("ready").open("wb") as fifo:
        fifo.write(b"1")
    while True:
        threading.Event().wait(0.02)


def main():
    method, ending = sys.argv[1:]
    os.mkfifo("ready")
    context = multiprocessing.get_context(method)
    with context.Pool(2, initializer=exit_on_sigterm if ending == "handled" else None) as pool:
        workers = multiprocessing.active_children()
        pool.map(work, range(4), chunksize=1)
        for number in (4, 5):
            pool.apply_async(stay, [number])
        with Path("ready").open("rb") as fifo:
            ready = b""
            while len(ready) < 2:
                ready += fifo.read(1)
    print(*[worker.exitcode for worker in workers])  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main()
