"""structlog on its own: each event becomes a row of your table, and a line of JSON on stdout.

DATA_COLLECTION_ENDPOINT, LOGS_DCR_RULE_ID and LOGS_DCR_STREAM_NAME say where rows go.
"""

import logging
import sys

import structlog

from logging_azmon import AzureMonitorProcessor

azure = AzureMonitorProcessor()

structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.TimeStamper(fmt="iso"),
        azure,  # after processors that add to the event, before those that render it; passes the event on unchanged
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ],
    wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    logger_factory=structlog.PrintLoggerFactory(sys.stdout),
)

log = structlog.get_logger().bind(logger="shop")
structlog.contextvars.bind_contextvars(request="r-17")

log.info("order paid", order=1001, amount=59.9)
log.debug("below the level")
try:
    {"1001": "paid"}["1003"]
except KeyError:
    log.exception("order is unknown", order=1003)

azure.flush(timeout=30)  # not needed at exit; here, so that all rows are counted
print(f"{azure.stats().delivered} rows delivered", file=sys.stderr)
