"""The contenders compared by the cost of a log call: each with its usual settings, and a stub in place of the network.

A contender is a context manager that gives a logger. A stub discards what it receives, so the cost of a contender is
that of its work up to the network, and of nothing beyond it.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import queue
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from logging_azmon import AzureMonitorHandler, Pipeline
from logging_azmon.testing import Answer
from shipping import RULE_ID, STREAM, row_of, sdk_client

# Nothing listens on port 9, and a stub takes the place of the connection.
NOWHERE = "http://127.0.0.1:9"


class Stub:
    """Accept batches and discard them."""

    def send(self, lines: bytes | bytearray, *, seconds: float | None = None) -> Answer:  # noqa: ARG002 - never late
        """Answer that all rows are stored."""
        return Answer(status=204)

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    forget = close


@contextmanager
def _logged_to(handler: logging.Handler) -> Iterator[logging.Logger]:
    logger = logging.getLogger("shop.orders")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield logger
    finally:
        logger.removeHandler(handler)
        handler.close()


# The standard library.


def _nothing(_: str) -> AbstractContextManager[logging.Logger]:
    return _logged_to(logging.NullHandler())


def _queue_handler(_: str) -> AbstractContextManager[logging.Logger]:
    return _logged_to(logging.handlers.QueueHandler(queue.Queue()))


# This library.


@contextmanager
def pipeline(**options: Any) -> Iterator[Pipeline]:
    """Make a pipeline that delivers to a stub."""
    made = Pipeline(NOWHERE, RULE_ID, STREAM, destination=Stub(), **options)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def _ours(_: str) -> Iterator[logging.Logger]:
    with pipeline() as made, _logged_to(AzureMonitorHandler(pipeline=made)) as logger:
        yield logger


@contextmanager
def _ours_with_a_spool(_: str) -> Iterator[logging.Logger]:
    with (
        tempfile.TemporaryDirectory() as directory,
        pipeline(spool=directory) as made,
        _logged_to(AzureMonitorHandler(pipeline=made)) as logger,
    ):
        yield logger


# structlog.


def _structlog(last: Any, *, to: Any = None) -> Any:
    import structlog

    logger = structlog.wrap_logger(
        to,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *last,
        ],
    )
    # Bound once, as by an application that sets `cache_logger_on_first_use`.
    return logger.bind()


def _dropped(*_: Any) -> Any:
    import structlog

    raise structlog.DropEvent


@contextmanager
def _structlog_nothing(_: str) -> Iterator[Any]:
    yield _structlog([_dropped])


@contextmanager
def _structlog_ours(_: str) -> Iterator[Any]:
    import logging_azmon

    processor = getattr(logging_azmon, "AzureMonitorProcessor", None)
    if processor is None:
        raise ModuleNotFoundError(name="logging_azmon.AzureMonitorProcessor")
    with pipeline() as made:
        yield _structlog([processor(pipeline=made, drop=True)])


@contextmanager
def _structlog_json(_: str) -> Iterator[Any]:
    import structlog

    with Path(os.devnull).open("w") as nowhere:
        rendered = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        yield _structlog(rendered, to=structlog.WriteLogger(nowhere))


# Others.


@contextmanager
def _opentelemetry(_: str) -> Iterator[logging.Logger]:
    from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    class StubExporter:
        def export(self, _: Any) -> None:
            pass

        def shutdown(self) -> None:
            pass

    provider = LoggerProvider()
    provider.add_log_record_processor(BatchLogRecordProcessor(StubExporter()))
    with warnings.catch_warnings():
        # It warns that it will move to another package.
        warnings.simplefilter("ignore", DeprecationWarning)
        handler = LoggingHandler(logger_provider=provider)
    # When its queue is full it logs a line for each row.
    logging.getLogger("opentelemetry.sdk").disabled = True
    logging.getLogger("opentelemetry.sdk._shared_internal").disabled = True
    try:
        with _logged_to(handler) as logger:
            yield logger
    finally:
        provider.shutdown()


@contextmanager
def _watchtower(_: str) -> Iterator[logging.Logger]:
    import watchtower

    client = SimpleNamespace(put_log_events=lambda **_: {}, meta=SimpleNamespace(events=SimpleNamespace()))
    handler = watchtower.CloudWatchLogHandler(
        boto3_client=client, create_log_group=False, create_log_stream=False, log_stream_name="app"
    )
    with _logged_to(handler) as logger:
        yield logger


@contextmanager
def _google(_: str) -> Iterator[logging.Logger]:
    import google.auth.credentials
    import google.cloud.logging
    from google.cloud.logging_v2.handlers import CloudLoggingHandler
    from google.cloud.logging_v2.resource import Resource

    client = google.cloud.logging.Client(
        project="app", credentials=google.auth.credentials.AnonymousCredentials(), _use_grpc=False
    )
    client._logging_api = SimpleNamespace(write_entries=lambda *_, **__: None)  # noqa: SLF001 - the only place for a stub
    # Without a resource, the handler asks the network where it runs.
    with _logged_to(CloudLoggingHandler(client, resource=Resource("global", {}))) as logger:
        yield logger


@contextmanager
def _logstash(_: str) -> Iterator[logging.Logger]:
    from logstash_async.handler import AsynchronousLogstashHandler

    transport = SimpleNamespace(send=lambda *_, **__: None, close=lambda: None)
    with _logged_to(AsynchronousLogstashHandler("127.0.0.1", 9, None, transport=transport)) as logger:
        yield logger


@contextmanager
def _sentry(_: str) -> Iterator[logging.Logger]:
    import sentry_sdk
    from sentry_sdk.integrations.logging import LoggingIntegration
    from sentry_sdk.transport import Transport

    class StubTransport(Transport):  # type: ignore[misc]  # its types are not checked
        def capture_envelope(self, _: Any) -> None:
            pass

    sentry_sdk.init(
        dsn="http://key@127.0.0.1:9/1",
        transport=StubTransport,
        enable_logs=True,
        default_integrations=False,
        integrations=[LoggingIntegration(level=None, event_level=None, sentry_logs_level=logging.INFO)],
    )
    # Sentry hooks into every logger; this handler only replaces logging's handler of last resort.
    try:
        with _logged_to(logging.NullHandler()) as logger:
            yield logger
    finally:
        sentry_sdk.get_client().close(timeout=0.1)


class _UploadsOneByOne(logging.Handler):
    """Upload each record in a request of its own, as a first attempt does."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._client = sdk_client(url)

    def emit(self, record: logging.LogRecord) -> None:
        self._client.upload(RULE_ID, STREAM, [row_of(record)], enforce_https=False)


def _one_by_one(url: str) -> AbstractContextManager[logging.Logger]:
    return _logged_to(_UploadsOneByOne(url))


Open = Callable[[str], AbstractContextManager[Any]]

# The name in the results, and how to open it. Contenders of structlog have a "nothing" and log calls of their own.
CONTENDERS: dict[str, tuple[str, Open]] = {
    "nothing": ("a handler that does nothing", _nothing),
    "queue_handler": ("stdlib `QueueHandler`, queue only", _queue_handler),
    "ours": ("**logging_azmon**", _ours),
    "ours_spool": ("**logging_azmon** with a spool", _ours_with_a_spool),
    "structlog_nothing": ("structlog, event dropped", _structlog_nothing),
    "structlog_ours": ("structlog, **`AzureMonitorProcessor`**", _structlog_ours),
    "structlog_json": ("structlog, `JSONRenderer` to a null file", _structlog_json),
    "opentelemetry": ("OpenTelemetry, batch processor, stub exporter", _opentelemetry),
    "watchtower": ("watchtower, stub client", _watchtower),
    "google": ("google-cloud-logging, stub client", _google),
    "logstash": ("python-logstash-async, stub transport", _logstash),
    "sentry": ("sentry-sdk logs, stub transport", _sentry),
    "one_by_one": ("hand-written: `upload([row])` for each record", _one_by_one),
}
