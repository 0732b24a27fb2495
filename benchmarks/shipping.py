"""The contenders compared by delivery: each maps a record to the same columns and sends it to the same endpoint."""

from __future__ import annotations

import gzip
import json
import logging
import os
import queue
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from logging_azmon import AzureMonitorHandler

RULE_ID, STREAM = "dcr-benchmark", "Custom-App"
PATH = f"/dataCollectionRules/{RULE_ID}/streams/{STREAM}?api-version=2023-01-01"
# As many rows as fit into a request of 1 MB, for contenders that need a number.
BATCH_ROWS = 2_000
_HOST = socket.gethostname()
_STANDARD = {*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName"}
_LIMIT_SECONDS = 120.0

# Wait until all that was logged is acknowledged.
Finish = Callable[[], object]
Opened = tuple[logging.Handler, Finish]


def row_of(record: logging.LogRecord) -> dict[str, Any]:
    """Map a record to the default table as hand-written code would."""
    row = {
        "TimeGenerated": datetime.fromtimestamp(record.created, UTC).isoformat(),
        "Level": record.levelname,
        "Logger": record.name,
        "Message": record.getMessage(),
        "Properties": {name: value for name, value in record.__dict__.items() if name not in _STANDARD},
        "Module": record.module,
        "Function": record.funcName,
        "Line": record.lineno,
        "ProcessId": record.process,
        "Thread": record.threadName,
        "Host": _HOST,
        "Instance": "a1b2c3d4e5f6",
        "Sequence": 0,
    }
    if record.exc_info:
        row["Exception"] = logging.Formatter().formatException(record.exc_info)
    return row


@contextmanager
def _ours(url: str) -> Iterator[Opened]:
    # The logging thread waits when the network is slower, so that no row is lost.
    handler = AzureMonitorHandler(url, RULE_ID, STREAM, overflow="block", block_seconds=60.0, close_seconds=60.0)
    try:
        yield handler, lambda: handler.flush(_LIMIT_SECONDS)
    finally:
        handler.close()


def sdk_client(url: str) -> Any:
    """Make the official client, for an endpoint on this machine."""
    from azure.core.credentials import AccessToken
    from azure.monitor.ingestion import LogsIngestionClient

    class Token:
        def get_token(self, *_: str, **__: Any) -> AccessToken:
            return AccessToken("local", 2**40)

    return LogsIngestionClient(url, Token())


class _QueuedUploads(logging.Handler):
    """Queue rows without bounds and upload them from a thread, as a second attempt does."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._client = sdk_client(url)
        self._rows: queue.Queue[Any] = queue.Queue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        self._rows.put(row_of(record))

    def finish(self) -> None:
        """Wait until everything logged so far is uploaded."""
        finished = threading.Event()
        self._rows.put(finished)
        finished.wait(_LIMIT_SECONDS)

    def close(self) -> None:
        """End the thread."""
        self._rows.put(None)
        self._thread.join(_LIMIT_SECONDS)
        self._client.close()
        super().close()

    def _run(self) -> None:
        item: Any = ...
        while item is not None:
            rows: list[Any] = []
            item = self._rows.get()
            while isinstance(item, dict):
                rows.append(item)
                if len(rows) == 10 * BATCH_ROWS:
                    break
                try:
                    item = self._rows.get(timeout=0.05)
                except queue.Empty:
                    break
            if rows:
                self._client.upload(RULE_ID, STREAM, rows, enforce_https=False)
            if isinstance(item, threading.Event):
                item.set()


@contextmanager
def _sdk_list(url: str) -> Iterator[Opened]:
    handler = _QueuedUploads(url)
    try:
        yield handler, handler.finish
    finally:
        handler.close()


@contextmanager
def _opentelemetry(url: str) -> Iterator[Opened]:
    import requests
    from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExportResult

    class Exporter:
        """Post gzipped JSON, as the service expects it."""

        def __init__(self) -> None:
            self._session = requests.Session()
            self._session.trust_env = False
            self._session.headers.update({"Content-Type": "application/json", "Content-Encoding": "gzip"})

        def export(self, batch: Any) -> Any:
            body = gzip.compress(json.dumps([_otel_row(item) for item in batch]).encode(), 6)
            answer = self._session.post(url + PATH, data=body, timeout=30)
            return LogRecordExportResult.SUCCESS if answer.status_code == 204 else LogRecordExportResult.FAILURE

        def shutdown(self) -> None:
            self._session.close()

    # The default queue of 2,048 drops most of a burst; an unbounded one loses nothing.
    processor = BatchLogRecordProcessor(Exporter(), max_queue_size=10**9, max_export_batch_size=BATCH_ROWS)
    provider = LoggerProvider()
    provider.add_log_record_processor(processor)
    with warnings.catch_warnings():
        # It warns that it will move to another package.
        warnings.simplefilter("ignore", DeprecationWarning)
        handler = LoggingHandler(logger_provider=provider)
    try:
        yield handler, provider.force_flush
    finally:
        provider.shutdown()


def _otel_row(item: Any) -> dict[str, Any]:
    record = item.log_record
    attributes = dict(record.attributes or {})
    return {
        "TimeGenerated": datetime.fromtimestamp(record.timestamp / 1e9, UTC).isoformat(),
        "Level": record.severity_text,
        "Logger": item.instrumentation_scope.name,
        "Message": record.body,
        "Module": attributes.pop("code.file.path", None),
        "Function": attributes.pop("code.function.name", None),
        "Line": attributes.pop("code.line.number", None),
        "Properties": attributes,
        "ProcessId": os.getpid(),
        "Thread": "MainThread",
        "Host": _HOST,
        "Instance": "a1b2c3d4e5f6",
        "Sequence": 0,
    }


@contextmanager
def _nothing(_: str) -> Iterator[Opened]:
    yield logging.NullHandler(), lambda: None


@contextmanager
def _stdout(_: str) -> Iterator[Opened]:
    handler = logging.StreamHandler(Path(os.devnull).open("w"))  # noqa: SIM115 - open for the life of the process
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    yield handler, handler.flush


SHIPPERS: dict[str, tuple[str, Callable[[str], AbstractContextManager[Opened]]]] = {
    "nothing": ("no logging", _nothing),
    "stdout": ("stdout", _stdout),
    "ours": ("**logging_azmon**", _ours),
    "sdk_list": ("queue and `LogsIngestionClient.upload(list)`", _sdk_list),
    "opentelemetry": ("OpenTelemetry and an HTTP exporter", _opentelemetry),
}


@contextmanager
def shipping(name: str, url: str) -> Iterator[tuple[logging.Logger, Finish]]:
    """Give a logger whose records are delivered, and a function that waits until they are."""
    with SHIPPERS[name][1](url) as (handler, finish):
        logger = logging.getLogger("shop.orders")
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.addHandler(handler)
        try:
            yield logger, finish
        finally:
            logger.removeHandler(handler)
