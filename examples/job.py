"""A job for cron or a container: its exit status is 1 if its log did not arrive."""

import logging
import sys

from logging_azmon import AzureMonitorHandler

azure = AzureMonitorHandler()
logging.getLogger().addHandler(logging.StreamHandler())
logging.getLogger().addHandler(azure)
log = logging.getLogger("nightly")
log.setLevel("INFO")

FLUSH_SECONDS = 20.0


def main() -> int:
    """Do the work, and return the exit status."""
    log.info("begins")
    for order in range(1, 4):
        log.info("order %d sent", order, extra={"order": order})
    log.info("ends", extra={"orders": 3})
    # The last rows are delivered at exit in any case; this reports whether they were.
    return 0 if azure.flush(timeout=FLUSH_SECONDS) else 1


if __name__ == "__main__":
    sys.exit(main())
