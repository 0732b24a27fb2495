"""Log to a queue, as a worker process does. It is a separate module so that a spawned process can import it."""

import logging
import logging.handlers
import os

import structlog


def fail():
    try:
        {}["order"]
    except KeyError as error:
        raise LookupError("lost") from error


def log_to(records):
    """Log to a queue, as workers do if their parent has the handler."""
    logger = logging.getLogger("worker")
    logger.setLevel(1)
    logger.addHandler(logging.handlers.QueueHandler(records))
    logger.info("begun", extra={"user_id": 7, "process_id": os.getpid()})
    try:
        fail()
    except LookupError:
        logger.exception("failed after %d s", 5, extra={"user_id": 8})
    log = structlog.wrap_logger(
        logger,
        processors=[structlog.processors.format_exc_info, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    log.error("event", user_id=9)
