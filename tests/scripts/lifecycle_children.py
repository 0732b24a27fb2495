"""Log in children of multiprocessing; the argument is the start method."""

import logging
import multiprocessing
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from logging_azmon import AzureMonitorHandler

log = logging.getLogger("app")


def set_up() -> None:
    """Log to Azure, unless the handler was inherited by fork."""
    root = logging.getLogger()
    if not root.handlers:
        root.setLevel("DEBUG")
        root.addHandler(AzureMonitorHandler(close_seconds=40))


def grandchild(method: str) -> None:
    set_up()
    log.info("%s grandchild", method)


def child(method: str) -> None:
    """Log, start a child that logs, and leave threads running that log after the end."""
    set_up()
    log.info("%s child", method)
    process = multiprocessing.get_context(method).Process(target=grandchild, args=(method,))
    process.start()
    process.join()

    def after_the_end() -> None:
        threading.main_thread().join(0.3)
        log.info("%s thread", method)

    threading.Thread(target=after_the_end).start()
    # The idle worker of the pool must not keep this child from ending.
    ThreadPoolExecutor(1).submit(log.info, "%s pool", method).result()
    sys.exit(7)


def main() -> None:
    method = sys.argv[1]
    set_up()
    log.info("%s parent before", method)
    context = multiprocessing.get_context(method)
    process = context.Process(target=child, args=(method,))
    process.start()
    log.info("%s parent after", method)
    process.join(50)
    assert process.exitcode == 7, process.exitcode


if __name__ == "__main__":
    main()
