"""The handler among the oddities of the standard library, of Celery, and of OpenTelemetry."""

from __future__ import annotations

import itertools
import logging
import logging.handlers
import os
import queue
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from logging_azmon import AzureMonitorHandler, ConfigurationError, Pipeline
from logging_azmon._process import feedback
from logging_azmon.testing import FakeDestination, ManualClock
from support.endpoint import Endpoint, status
from support.lifecycle import LIMIT_SECONDS, assert_each_once, messages, run

RULES = itertools.count()


@pytest.fixture
def destination() -> Iterator[FakeDestination]:
    with FakeDestination() as destination:
        yield destination


@pytest.fixture
def handler(destination: FakeDestination) -> Iterator[AzureMonitorHandler]:
    """Deliver on this thread, when flushed."""
    pipeline = Pipeline(
        "http://127.0.0.1:9",
        f"dcr-handler-{next(RULES)}",
        "Custom-App_CL",
        destination=destination,
        clock=ManualClock(jumps=True),
        background=False,
    )
    yield AzureMonitorHandler(pipeline=pipeline)
    pipeline.close()


@pytest.fixture
def logger(handler: AzureMonitorHandler) -> logging.Logger:
    logger = logging.Logger("app")  # not in the tree, so nobody else hears it
    logger.addHandler(handler)
    return logger


def logged(handler: AzureMonitorHandler, destination: FakeDestination) -> list[str]:
    assert handler.flush()
    return [row["Message"] for row in destination.rows]


class TestFilters:
    """As with any handler."""

    def test_a_filter_refuses_records(
        self, logger: logging.Logger, handler: AzureMonitorHandler, destination: FakeDestination
    ) -> None:
        """A callable, or an object with a filter method."""
        handler.addFilter(lambda record: record.levelno > logging.INFO)
        handler.addFilter(logging.Filter("app"))
        logger.info("refused")
        logger.warning("passed")
        assert logged(handler, destination) == ["passed"]

    def test_a_filter_adds_attributes(
        self, logger: logging.Logger, handler: AzureMonitorHandler, destination: FakeDestination
    ) -> None:
        """They arrive like extras."""

        def enrich(record: logging.LogRecord) -> bool:
            record.user = "ada"
            return True

        handler.addFilter(enrich)
        logger.warning("row")
        assert handler.flush()
        assert destination.rows[0]["Properties"] == {"user": "ada"}

    def test_a_filter_may_replace_the_record(
        self, logger: logging.Logger, handler: AzureMonitorHandler, destination: FakeDestination
    ) -> None:
        """From 3.12 on; before, whatever a filter returns only says yes or no."""
        other = logging.makeLogRecord({"msg": "replaced", "levelname": "ERROR", "name": "other"})
        handler.addFilter(lambda record: other)  # type: ignore[arg-type,return-value]
        logger.warning("row")
        assert logged(handler, destination) == ["replaced" if sys.version_info >= (3, 12) else "row"]

    def test_handle_returns_what_the_filters_say(self, handler: AzureMonitorHandler) -> None:
        """As logging.Handler does."""
        record = logging.makeLogRecord({"msg": "row"})
        assert handler.handle(record)
        handler.addFilter(lambda record: False)
        assert not handler.handle(record)

    @pytest.mark.parametrize("level", ["WARNING", logging.WARNING])
    def test_levels_by_name_and_number(self, level: int | str) -> None:
        """As dictConfig passes them."""
        handler = AzureMonitorHandler("http://127.0.0.1:9", "dcr-1", "Custom-App_CL", level=level)
        assert handler.level == logging.WARNING
        handler.close()


class TestInFront:
    """Handlers that pass records on to ours."""

    def test_a_memory_handler(
        self, logger: logging.Logger, handler: AzureMonitorHandler, destination: FakeDestination
    ) -> None:
        """Passes them on when it is full, or closed."""
        memory = logging.handlers.MemoryHandler(3, target=handler)
        logger.handlers = [memory]
        for number in range(4):
            logger.warning("%s", number)
        assert logged(handler, destination) == ["0", "1", "2"]
        memory.close()
        assert logged(handler, destination) == ["0", "1", "2", "3"]

    def test_a_queue(self, logger: logging.Logger, handler: AzureMonitorHandler, destination: FakeDestination) -> None:
        """The row tells of the thread that logged, not of the one that passes records on."""
        records: queue.SimpleQueue[Any] = queue.SimpleQueue()
        logger.handlers = [logging.handlers.QueueHandler(records)]
        listener = logging.handlers.QueueListener(records, handler)
        listener.start()
        logger.warning("row %s", 1)
        listener.stop()
        assert logged(handler, destination) == ["row 1"]
        assert destination.rows[0]["Thread"] == "MainThread"

    def test_a_record_of_another_process_with_the_same_thread_number(
        self, handler: AzureMonitorHandler, destination: FakeDestination
    ) -> None:
        """Thread numbers repeat in forked children: theirs are not mistaken for a delivering thread of ours."""
        mine = logging.makeLogRecord({"msg": "mine", "thread": 1, "process": os.getpid()})
        theirs = logging.makeLogRecord({"msg": "theirs", "thread": 1, "process": 1})
        feedback.depths[1] = 1
        try:
            handler.handle(mine)
            handler.handle(theirs)
        finally:
            del feedback.depths[1]
        assert logged(handler, destination) == ["theirs"]


class TestTrouble:
    """A log call does not raise, whatever happens."""

    def test_records_without_a_thread(self, handler: AzureMonitorHandler, destination: FakeDestination) -> None:
        """Filters may have deleted it, or set it to anything."""
        feedback.depths[1] = 1
        try:
            handler.handle(logging.makeLogRecord({"msg": "a list", "thread": []}))
            record = logging.makeLogRecord({"msg": "none at all"})
            del record.thread
            handler.handle(record)
        finally:
            del feedback.depths[1]
        assert logged(handler, destination) == ["a list", "none at all"]

    def test_a_failure_of_the_pipeline_costs_the_row_and_is_told(self, destination: FakeDestination) -> None:
        """Counted as `internal`."""

        class Broken(ManualClock):
            def monotonic(self) -> float:
                if is_broken:
                    raise OSError("no clock")
                return super().monotonic()

        is_broken: list[bool] = []
        told: list[str] = []
        pipeline = Pipeline(
            "http://127.0.0.1:9",
            f"dcr-handler-{next(RULES)}",
            "Custom-App_CL",
            destination=destination,
            clock=Broken(jumps=True),
            background=False,
            report=lambda trouble: told.append(str(trouble)),
        )
        handler = AzureMonitorHandler(pipeline=pipeline)
        is_broken.append(True)
        handler.handle(logging.makeLogRecord({"msg": "row"}))
        is_broken.clear()
        assert handler.stats().dropped == {"internal": 1}
        assert told == ["a row could not be made: OSError('no clock')"]
        pipeline.close()

    def test_a_failure_at_the_end_of_the_stack_is_counted_later(
        self, handler: AzureMonitorHandler, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where nothing can be called any more."""

        def fail(*_: object) -> None:
            raise RecursionError

        monkeypatch.setattr(handler, "emit", fail)
        handler.handle(logging.makeLogRecord({"msg": "row"}))
        assert handler.stats().dropped == {"internal": 1}

    def test_values_that_do_not_fit_are_counted(self, destination: FakeDestination) -> None:
        """`misfits` says that a column's type is not what is logged."""
        pipeline = Pipeline(
            "http://127.0.0.1:9",
            f"dcr-handler-{next(RULES)}",
            "Custom-App_CL",
            columns={"TimeGenerated": "time", "Count": "count:int", "Rest": "*"},
            destination=destination,
            background=False,
        )
        handler = AzureMonitorHandler(pipeline=pipeline)
        handler.handle(logging.makeLogRecord({"msg": "row", "count": "many"}))
        assert handler.stats().misfits == 1
        pipeline.close()


class TestLock:
    """There is none."""

    def test_acquire_and_release_do_nothing(self, handler: AzureMonitorHandler) -> None:
        """logging.shutdown calls them around flush and close."""
        handler.acquire()
        handler.release()
        assert handler.lock is None


CONFIG = """
import logging.config
def configure(handlers, root, loggers=()):
    logging.config.dictConfig({
        "version": 1, "disable_existing_loggers": False, "handlers": handlers, "loggers": dict(loggers),
        "root": {"level": "DEBUG", "handlers": root},
    })
SHARES = {"class": "logging_azmon.AzureMonitorHandler"}
AZURE = {**SHARES, **OPTIONS}
"""


@pytest.mark.parametrize("owner", ["azure_a", "azure_z"], ids=["made before", "made after"])
def test_a_pipeline_shared_in_dict_config(owner: str) -> None:
    """dictConfig makes handlers in the order of their names; the one that shares may come first."""
    source = f"""
configure({{{owner!r}: AZURE, "azure_m": {{**SHARES, "pipeline": "cfg://handlers.{owner}", "level": "ERROR"}}}},
          [{owner!r}, "azure_m"])
log.info('once')
log.error('twice')
first, second = root.handlers
assert first.pipeline is second.pipeline
first.close()
log.error('still open')
assert second.stats().accepted == 5
"""
    with Endpoint() as endpoint:
        assert run(CONFIG + source, endpoint) == ""
        assert messages(endpoint.rows) == ["once", "still open", "still open", "twice", "twice"]
        assert_each_once(endpoint.rows)


def test_closing_a_handler_that_was_never_used() -> None:
    """It has not even looked for the pipeline that it would have shared."""
    source = """
configure({"m": {**SHARES, "pipeline": "cfg://handlers.z"}, "z": AZURE}, ["m", "z"])
root.handlers[0].close()
root.handlers.pop(0)
log.info('row')
"""
    with Endpoint() as endpoint:
        assert run(CONFIG + source, endpoint) == ""
        assert messages(endpoint.rows) == ["row"]


def test_a_pipeline_shared_by_way_of_another_handler() -> None:
    """One names one that names one that is made last."""
    source = """
configure({
    "a": {**SHARES, "pipeline": "cfg://handlers.c"}, "b": {**SHARES, "pipeline": "cfg://handlers.a"}, "c": AZURE,
}, ["a", "b", "c"])
log.info('row')
assert len({handler.pipeline for handler in root.handlers}) == 1
"""
    with Endpoint() as endpoint:
        assert run(CONFIG + source, endpoint) == ""
        assert messages(endpoint.rows) == ["row"] * 3


@pytest.mark.parametrize("name", ["a", "z"], ids=["made before", "made after"])
@pytest.mark.parametrize("other", ['{"class": "logging.StreamHandler"}', '{"()": logging.NullHandler}'])
def test_a_shared_pipeline_must_be_that_of_a_handler_of_ours(name: str, other: str) -> None:
    """Noticed while it is configured."""
    source = f"""
try:
    configure({{{name!r}: {other}, "m": {{**SHARES, "pipeline": "cfg://handlers.{name}"}}}}, ["m"])
except ValueError as error:
    assert "give a Pipeline, an AzureMonitorHandler, or in dictConfig" in str(error.__cause__), error.__cause__
else:
    raise AssertionError
"""
    assert run(CONFIG + source) == ""


@pytest.mark.parametrize(
    ("handlers", "said"),
    [
        (
            '{"z": {"()": lambda: logging.NullHandler()}, "m": {**SHARES, "pipeline": "cfg://handlers.z"}}',
            "rows are lost: pipeline='cfg://handlers.z' is not an AzureMonitorHandler",
        ),
        (
            '{"z": {**SHARES, "pipeline": "cfg://handlers.m"}, "m": {**SHARES, "pipeline": "cfg://handlers.z"}}',
            "rows are lost: pipeline: these handlers name each other, and none has a pipeline",
        ),
    ],
    ids=["a factory's surprise", "each other"],
)
def test_what_turns_out_not_to_be_a_handler_is_told_once(handlers: str, said: str) -> None:
    """Too late to raise: log calls go on, and nothing hangs at exit."""
    source = f"configure({handlers}, ['m'])\nlog.info('1')\nlog.info('2')"
    stderr = run(CONFIG + source)
    assert stderr.count("logging_azmon:") == 1
    assert said in stderr


def test_file_config(tmp_path: Any) -> None:
    """The arguments come as a tuple, and as a dict."""
    path = tmp_path / "logging.ini"
    path.write_text(
        """
[loggers]
keys=root
[handlers]
keys=azure
[formatters]
keys=
[logger_root]
level=DEBUG
handlers=azure
[handler_azure]
class=logging_azmon.AzureMonitorHandler
level=INFO
args=(__import__('os').environ['DATA_COLLECTION_ENDPOINT'], 'dcr-1', 'Custom-App_CL', 'local')
kwargs={'batch_seconds': 1, 'columns': 'lean'}
"""
    )
    source = f"""
import logging.config
logging.config.fileConfig({str(path)!r}, disable_existing_loggers=False)
log.info('row')
log.debug('below the level')
"""
    with Endpoint() as endpoint:
        assert run(source, endpoint) == ""
        assert messages(endpoint.rows) == ["row"]


def test_a_handler_named_by_two_loggers() -> None:
    """Two branches share it; it is closed once."""
    source = """
configure({"azure": AZURE}, [], {"a": {"handlers": ["azure"]}, "b": {"handlers": ["azure"]}})
logging.getLogger('a').info('a')
logging.getLogger('b.c').info('b')
"""
    with Endpoint() as endpoint:
        assert run(CONFIG + source, endpoint) == ""
        assert messages(endpoint.rows) == ["a", "b"]


ROOT_AT_DEBUG = """
import requests
# Imported beforehand, because what they log while they are imported is the application's.
import azure.monitor.ingestion, azure.identity
def facts():
    loggers = [logging.getLogger(name) for name in sorted(logging.Logger.manager.loggerDict)] + [root]
    return [(l.name, l.level, list(l.filters), l.propagate, l.disabled, list(l.handlers)) for l in loggers]
"""


def test_one_row_breeds_no_others_with_root_at_debug() -> None:
    """The library's own records stay out, the application's from the same loggers come in; nobody's loggers change."""
    source = """
before = facts()
handler = handle()
known = {name for name, *_ in before}
log.info('row')
assert handler.flush()
log.info('second row')
assert handler.flush()
assert handler.stats().accepted == 2
requests.get(os.environ["DATA_COLLECTION_ENDPOINT"] + "/mine")
logging.getLogger("azure.core").info("mine")
after = [fact for fact in facts() if fact[0] in known]
root.removeHandler(handler)
assert [fact for fact in facts() if fact[0] in known] == before
handler.flush()
"""
    with Endpoint() as endpoint:
        assert run(ROOT_AT_DEBUG + source, endpoint) == ""
        rows = {(row["Logger"], row["Message"].partition(" HTTP")[0][-12:]) for row in endpoint.rows}
        loggers = [row["Logger"] for row in endpoint.rows]
        assert loggers.count("app") == 2
        assert loggers.count("azure.core") == 1
        assert {name.partition(".")[0] for name in loggers} == {"app", "azure", "urllib3"}
        assert any("/mine" in row["Message"] for row in endpoint.rows)
        assert not any("dataCollectionRules" in row["Message"] for row in endpoint.rows), rows


def test_a_listener_may_have_the_number_of_a_thread_that_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records that wait in a queue are their thread's, although a delivering one has its number by now."""
    with FakeDestination() as destination:
        pipeline = Pipeline("http://127.0.0.1:9", "dcr-1", "Custom-App", destination=destination, background=False)
        handler = AzureMonitorHandler(pipeline=pipeline)
        early = logging.LogRecord("app", logging.ERROR, __file__, 1, "early", None, None)
        monkeypatch.setitem(feedback.depths, early.thread, 1)
        monkeypatch.setitem(feedback.since, early.thread, early.created + 1)
        thread = threading.Thread(target=handler.handle, args=(early,))
        thread.start()
        thread.join(LIMIT_SECONDS)
        late = logging.LogRecord("app", logging.ERROR, __file__, 1, "late", None, None)
        late.created += 2
        thread = threading.Thread(target=handler.handle, args=(late,))
        thread.start()
        thread.join(LIMIT_SECONDS)
        monkeypatch.undo()
        assert handler.flush()
        assert [row["Message"] for row in destination.rows] == ["early"]


def test_basic_config_gives_a_formatter() -> None:
    """And with a formatter its output is the message, as README warns."""
    root = logging.getLogger()
    before = root.handlers[:]
    with FakeDestination() as destination:
        handler = AzureMonitorHandler(
            pipeline=Pipeline("http://127.0.0.1:9", "dcr-1", "Custom-App", destination=destination, background=False)
        )
        root.handlers[:] = []
        try:
            logging.basicConfig(handlers=[handler])
            logging.getLogger("shop").warning("slow")
        finally:
            root.handlers[:] = before
        assert handler.flush()
        assert [row["Message"] for row in destination.rows] == ["WARNING:shop:slow"]


class Raising(logging.LogRecord):
    """Raise where a property of a subclass may."""

    @property
    def thread(self) -> int:
        raise ValueError

    @thread.setter
    def thread(self, _: int) -> None:
        """Take what the base class sets."""


def test_a_record_whose_properties_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is raised into the application, and the row arrives, also while another thread delivers."""
    with FakeDestination() as destination:
        handler = AzureMonitorHandler(
            pipeline=Pipeline("http://127.0.0.1:9", "dcr-1", "Custom-App", destination=destination, background=False)
        )
        monkeypatch.setitem(feedback.depths, -1, 1)
        handler.handle(Raising("app", logging.ERROR, __file__, 1, "odd", None, None))
        assert handler.flush()
        assert len(destination.rows) == 1


def test_one_row_breeds_no_others_with_a_queue_in_between() -> None:
    """A QueueHandler hears the listener's records and hands them to another thread: they stay out all the same."""
    source = """
import logging.handlers, queue
handler = AzureMonitorHandler()
records = queue.SimpleQueue()
root.addHandler(logging.handlers.QueueHandler(records))
listener = logging.handlers.QueueListener(records, handler)
listener.start()
log.info('row')
# Until the listener has come round with what the first upload logged.
while handler.stats().delivered < 1: handler.flush(0.1)
listener.stop()
assert handler.flush()
assert handler.stats().accepted == 1, handler.stats()
"""
    with Endpoint() as endpoint:
        assert run(ROOT_AT_DEBUG + source, endpoint) == ""
        assert messages(endpoint.rows) == ["row"]


def test_a_stderr_that_logs() -> None:
    """As Celery's does: what is reported goes to the process's own stderr, and makes no row."""
    source = """
class Logging:
    def write(self, text): logging.getLogger('stderr').warning(text)
    def flush(self): pass
handler = handle(retry_seconds=0.05)
sys.stderr = Logging()
log.info('row')
assert handler.flush()
assert handler.stats().accepted == 1
"""
    with Endpoint(status(503)) as endpoint:
        stderr = run(source, endpoint)
        assert "503" in stderr
        assert messages(endpoint.rows) == ["row"]


def test_no_span_of_an_upload() -> None:
    """With OpenTelemetry's instrumentation of requests, also when it comes after the first row."""
    source = """
handler = handle()
log.info('before')
assert handler.flush()
from opentelemetry import trace
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
RequestsInstrumentor().instrument()
log.info('after')
assert handler.flush()
assert handler.stats().delivered == 2
assert spans.get_finished_spans() == ()
import requests
requests.get(os.environ["DATA_COLLECTION_ENDPOINT"])
assert len(spans.get_finished_spans()) == 1
"""
    with Endpoint() as endpoint:
        run(source, endpoint)
        assert "after" in messages(endpoint.rows)


def test_an_unknown_pipeline_is_refused() -> None:
    """Named with what is accepted."""
    with pytest.raises(ConfigurationError, match="give a Pipeline, an AzureMonitorHandler"):
        AzureMonitorHandler(pipeline="azure")
