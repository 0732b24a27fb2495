"""A job, for cron or a container: it ends with status 1 if its log did not arrive, so that somebody looks."""

import logging
import sys

from logging_azmon import AzureMonitorHandler

azure = AzureMonitorHandler()
logging.getLogger().addHandler(azure)
log = logging.getLogger("nightly")
log.setLevel("INFO")

FLUSH_SECONDS = 20.0


def main() -> int:
    """Work, and tell how it went."""
    log.info("begins")
    for order in range(1, 4):
        log.info("order %d sent", order, extra={"order": order})
    log.info("ends", extra={"orders": 3})
    # At exit the tail is delivered in any case; this is for knowing whether it was.
    return 0 if azure.flush(timeout=FLUSH_SECONDS) else 1


if __name__ == "__main__":
    sys.exit(main())
