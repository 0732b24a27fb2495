"""structlog through the standard library: its events and the records of libraries, on the console and in your table.

DATA_COLLECTION_ENDPOINT, LOGS_DCR_RULE_ID and LOGS_DCR_STREAM_NAME say where rows go.
"""

import logging
import logging.config

import structlog
from structlog.stdlib import ProcessorFormatter

SHARED = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.TimeStamper(fmt="iso"),
]

logging.config.dictConfig(
    {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "console": {
                "()": ProcessorFormatter,
                "foreign_pre_chain": SHARED,
                "processors": [
                    ProcessorFormatter.remove_processors_meta,
                    # A plain traceback: with rich installed, the default one shows local variables.
                    structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
                ],
            }
        },
        "handlers": {
            "console": {"class": "logging.StreamHandler", "formatter": "console"},
            "azure": {"class": "logging_azmon.AzureMonitorHandler"},  # no formatter: it reads the event itself
        },
        "root": {"handlers": ["console", "azure"], "level": "INFO"},
    }
)

structlog.configure(
    processors=[structlog.stdlib.filter_by_level, *SHARED, ProcessorFormatter.wrap_for_formatter],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)

log = structlog.get_logger("shop")
structlog.contextvars.bind_contextvars(request="r-17")

log.info("order paid", order=1001, amount=59.9)
log.debug("below the level")
try:
    {"1001": "paid"}["1003"]
except KeyError:
    log.exception("order %s is unknown", "1003", order=1003)
logging.getLogger("library").warning("%d retries left", 2, extra={"host_name": "db-1"})
