"""Log in both kinds of pools of concurrent.futures; the argument is the start method of the processes."""

import logging
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

from logging_azmon import AzureMonitorHandler

log = logging.getLogger("app")
log.setLevel("INFO")
# In each worker process, too. The first row is sent at once, the others wait for the end.
log.addHandler(AzureMonitorHandler(batch_seconds=3600, close_seconds=40))


def work(kind, number):
    log.info("%s %d begins", kind, number)
    log.handlers[0].flush()
    log.info("%s %d ends", kind, number)


def main():
    context = multiprocessing.get_context(sys.argv[1])
    # The second pair is not shut down: the interpreter does that at its exit.
    with ProcessPoolExecutor(2, context) as processes, ThreadPoolExecutor(2) as threads:
        list(processes.map(work, ["process"] * 4, range(4)))
        list(threads.map(work, ["thread"] * 4, range(4)))
    processes, threads = ProcessPoolExecutor(2, context), ThreadPoolExecutor(2)
    processes.submit(work, "process", 4).result()
    threads.submit(work, "thread", 4)


if __name__ == "__main__":
    main()
