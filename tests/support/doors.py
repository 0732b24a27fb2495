"""Every front door, set up as users set it up, with the same way to log.

A door has a logger whose methods take keywords as extras, as structlog's do, and returns the rows of its calls.
"""

import contextlib
import io
import logging
import logging.handlers
import pickle

import structlog

from logging_azmon import AzureMonitorHandler, AzureMonitorProcessor
from logging_azmon.table import FIELD_TYPES
from logging_azmon.testing import FakeDestination
from support.pipelines import manual_pipeline

NAME = "shop.orders"
COLUMNS = {f"The_{name}": name for name in FIELD_TYPES if name != "*"} | {
    "Properties": "*",
    "UserId": "user_id:int",
    "Amount": "amount:real",
    "Paid": "paid:boolean",
    "Due": "due:datetime",
    "Basket": "basket:dynamic",
    "Region": "cloud.region",
    "Release": {"value": "1.4.2"},
}


class Keywords(logging.LoggerAdapter):
    """Take keywords as extras, as structlog does."""

    def process(self, msg, kwargs):
        own = {name: kwargs.pop(name) for name in ("exc_info", "stack_info", "stacklevel") if name in kwargs}
        return msg, own | {"extra": kwargs}


class Door:
    """Log through one front door, and read the rows behind it."""

    def __init__(self, open_door, **options):
        self.destination = FakeDestination()
        pipeline = manual_pipeline(self.destination, columns=options.pop("columns", COLUMNS))
        self.pipeline = pipeline
        self.front, self.log, self.bound = open_door(pipeline, options)

    def rows(self):
        """Return the rows of all calls so far."""
        assert self.pipeline.flush()
        return self.destination.rows

    def row(self):
        (row,) = self.rows()
        return row

    def close(self):
        self.front.close()
        self.pipeline.close()


def stdlib_logger(*handlers):
    """Make a logger outside the tree of loggers that passes every record to these handlers."""
    logger = logging.Logger(NAME)
    for handler in handlers:
        logger.addHandler(handler)
    return logger


def rendered(logger, method_name, event_dict):
    """End a chain with a text, whatever the event holds."""
    return "rendered"


@contextlib.contextmanager
def enriched(logger, context):
    """Add attributes to a logger's records, as filters do."""

    def enrich(record):
        record.__dict__.update(context)
        return True

    logger.addFilter(enrich)
    yield
    logger.removeFilter(enrich)


def the_handler(pipeline, options):
    handler = AzureMonitorHandler(pipeline=pipeline, **options)
    logger = stdlib_logger(handler)
    return handler, Keywords(logger, {}), lambda **context: enriched(logger, context)


class Printer(structlog.PrintLogger):
    """A native logger with a name."""

    name = NAME


ALL_OF_THE_CALL = structlog.processors.CallsiteParameterAdder(
    [
        structlog.processors.CallsiteParameter(key)
        for key in ("pathname", "module", "func_name", "lineno", "thread", "thread_name", "process", "process_name")
    ]
)


def the_processor(pipeline, options):
    processor = AzureMonitorProcessor(pipeline=pipeline, **options)
    log = structlog.wrap_logger(
        Printer(io.StringIO()),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.StackInfoRenderer(),
            structlog.processors.TimeStamper(fmt="iso"),
            ALL_OF_THE_CALL,
            processor,
            structlog.processors.format_exc_info,
            rendered,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(0),
    )
    return processor, log, structlog.contextvars.bound_contextvars


def structlog_through_stdlib(pipeline, options):
    handler = AzureMonitorHandler(pipeline=pipeline, **options)
    log = structlog.wrap_logger(
        stdlib_logger(handler),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.add_log_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.StackInfoRenderer(),
            structlog.processors.TimeStamper(fmt="iso"),
            ALL_OF_THE_CALL,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    return handler, log, structlog.contextvars.bound_contextvars


def the_processor_over_stdlib(pipeline, options):
    """Process events on their way to the standard library, whose logger has none of our handlers."""
    processor = AzureMonitorProcessor(pipeline=pipeline, **options)
    log = structlog.wrap_logger(
        stdlib_logger(logging.NullHandler()),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.processors.StackInfoRenderer(),
            ALL_OF_THE_CALL,
            processor,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    return processor, log, structlog.contextvars.bound_contextvars


def the_processor_in_a_formatter(pipeline, options):
    """Process records of the standard library in the chain of another handler's formatter."""
    processor = AzureMonitorProcessor(pipeline=pipeline, **options)
    other = logging.StreamHandler(io.StringIO())
    other.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_log_level, structlog.stdlib.ExtraAdder()],
            processors=[processor, rendered],
        )
    )
    logger = stdlib_logger(other)
    return processor, Keywords(logger, {}), lambda **context: enriched(logger, context)


DOORS = {
    "the handler": the_handler,
    "the processor": the_processor,
    "structlog through the standard library": structlog_through_stdlib,
    "the processor before the standard library": the_processor_over_stdlib,
    "the processor in another handler's formatter": the_processor_in_a_formatter,
}


class Crossing(logging.handlers.QueueHandler):
    """Pickle each record, as the standard library's handler does on the way to another process."""

    def __init__(self, handler):
        super().__init__(None)
        self._handler = handler

    def enqueue(self, record):
        self._handler.handle(pickle.loads(pickle.dumps(record)))
