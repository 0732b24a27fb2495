"""The handler: filters, levels, handlers in front of it, configuration, and peculiarities of other libraries."""

import logging
import logging.handlers
import os
import queue
import sys
import threading

import pytest

from logging_azmon import AzureMonitorHandler, ConfigurationError, Pipeline
from logging_azmon._process import feedback
from logging_azmon.testing import FakeDestination, ManualClock
from support.delivering import a_rule
from support.endpoint import Endpoint, status
from support.lifecycle import assert_each_once, run
from support.pipelines import LIMIT_SECONDS, address, manual_pipeline, messages, sorted_messages


@pytest.fixture
def destination():
    with FakeDestination() as destination:
        yield destination


@pytest.fixture
def handler(destination):
    """Make a pipeline that delivers on this thread, when it is flushed."""
    pipeline = manual_pipeline(destination)
    yield AzureMonitorHandler(pipeline=pipeline)
    pipeline.close()


@pytest.fixture
def logger(handler):
    logger = logging.Logger("app")  # Outside the tree of loggers, so no other handler sees its records.
    logger.addHandler(handler)
    return logger


def logged(handler, destination):
    assert handler.flush()
    return messages(destination.rows)


def test_a_filter_of_the_handler_refuses_records(logger, handler, destination):
    """A filter is a callable, or an object with a filter method."""
    handler.addFilter(lambda record: record.levelno > logging.INFO)
    handler.addFilter(logging.Filter("app"))
    logger.info("refused")
    logger.warning("passed")

    assert logged(handler, destination) == ["passed"]


def test_attributes_that_a_filter_adds_arrive_as_extras(logger, handler, destination):
    def enrich(record):
        record.user = "ada"
        return True

    handler.addFilter(enrich)
    logger.warning("row")

    assert handler.flush()
    assert destination.rows[0]["Properties"] == {"user": "ada"}


def test_a_filter_may_replace_the_record(logger, handler, destination):
    """That is possible from 3.12 on; before, a filter's return value only says whether the record passes."""
    other = logging.makeLogRecord({"msg": "replaced", "levelname": "ERROR", "name": "other"})
    handler.addFilter(lambda record: other)
    logger.warning("row")

    assert logged(handler, destination) == ["replaced" if sys.version_info >= (3, 12) else "row"]


def test_handle_returns_whether_the_filters_let_the_record_pass(handler):
    """logging.Handler does so, too."""
    record = logging.makeLogRecord({"msg": "row"})
    assert handler.handle(record)
    handler.addFilter(lambda record: False)

    assert not handler.handle(record)


@pytest.mark.parametrize("level", ["WARNING", logging.WARNING])
def test_the_level_of_a_handler_is_given_by_name_or_number(level):
    """dictConfig passes either."""
    handler = AzureMonitorHandler(*address(), level=level)
    assert handler.level == logging.WARNING
    handler.close()


def test_a_memory_handler_in_front_passes_its_records_on_when_full_or_closed(logger, handler, destination):
    memory = logging.handlers.MemoryHandler(3, target=handler)
    logger.handlers = [memory]
    for number in range(4):
        logger.warning("%s", number)
    assert logged(handler, destination) == ["0", "1", "2"]
    memory.close()

    assert logged(handler, destination) == ["0", "1", "2", "3"]


def test_a_record_from_a_queue_shows_the_thread_that_logged_it(logger, handler, destination):
    """The listener's thread, which passes records on, does not appear."""
    records = queue.SimpleQueue()
    logger.handlers = [logging.handlers.QueueHandler(records)]
    listener = logging.handlers.QueueListener(records, handler)
    listener.start()
    logger.warning("row %s", 1)
    listener.stop()

    assert logged(handler, destination) == ["row 1"]
    assert destination.rows[0]["Thread"] == "MainThread"


def test_a_record_of_another_process_arrives_even_if_a_delivering_thread_has_its_thread_number(handler, destination):
    """Thread numbers repeat in forked children."""
    mine = logging.makeLogRecord({"msg": "mine", "thread": 1, "process": os.getpid()})
    theirs = logging.makeLogRecord({"msg": "theirs", "thread": 1, "process": 1})
    feedback.depths[1] = 1
    try:
        handler.handle(mine)
        handler.handle(theirs)
    finally:
        del feedback.depths[1]

    assert logged(handler, destination) == ["theirs"]


def test_a_record_without_a_usable_thread_number_arrives(handler, destination):
    """A filter may have deleted the number, or set it to anything."""
    feedback.depths[1] = 1
    try:
        handler.handle(logging.makeLogRecord({"msg": "a list", "thread": []}))
        record = logging.makeLogRecord({"msg": "none at all"})
        del record.thread
        handler.handle(record)
    finally:
        del feedback.depths[1]

    assert logged(handler, destination) == ["a list", "none at all"]


def test_a_failing_pipeline_drops_the_row_as_internal_and_reports_it(destination):
    """The log call itself does not raise."""

    class Broken(ManualClock):
        def monotonic(self):
            if is_broken:
                raise OSError("no clock")
            return super().monotonic()

    is_broken = []
    reported = []
    pipeline = manual_pipeline(
        destination, clock=Broken(jumps=True), report=lambda trouble: reported.append(str(trouble))
    )
    handler = AzureMonitorHandler(pipeline=pipeline)
    is_broken.append(True)
    handler.handle(logging.makeLogRecord({"msg": "row"}))
    is_broken.clear()
    assert handler.stats().dropped == {"internal": 1}
    assert reported == ["a row could not be made: OSError('no clock')"]
    pipeline.close()


def test_a_recursion_error_in_a_log_call_is_counted_as_internal_later(handler, monkeypatch):
    """When the stack is exhausted, nothing can be called to count the row."""

    def fail(*_):
        raise RecursionError

    monkeypatch.setattr(handler, "emit", fail)
    handler.handle(logging.makeLogRecord({"msg": "row"}))

    assert handler.stats().dropped == {"internal": 1}


def test_values_that_do_not_fit_their_column_are_counted_as_misfits(destination):
    pipeline = manual_pipeline(destination, columns={"TimeGenerated": "time", "Count": "count:int", "Rest": "*"})
    handler = AzureMonitorHandler(pipeline=pipeline)
    handler.handle(logging.makeLogRecord({"msg": "row", "count": "many"}))
    assert handler.stats().misfits == 1
    pipeline.close()


def test_the_handler_has_no_lock_and_acquire_and_release_do_nothing(handler):
    """logging.shutdown calls both around flush and close."""
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
def test_handlers_share_a_pipeline_in_dict_config_in_either_order(owner):
    """dictConfig makes handlers in the order of their names, so the one that shares may be made first."""
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
        assert sorted_messages(endpoint.rows) == ["once", "still open", "still open", "twice", "twice"]
        assert_each_once(endpoint.rows)


def test_closing_an_unused_handler_that_shares_a_pipeline_does_no_harm():
    """The handler has not looked for the shared pipeline yet."""
    source = """
configure({"m": {**SHARES, "pipeline": "cfg://handlers.z"}, "z": AZURE}, ["m", "z"])
root.handlers[0].close()
root.handlers.pop(0)
log.info('row')
"""
    with Endpoint() as endpoint:
        assert run(CONFIG + source, endpoint) == ""
        assert sorted_messages(endpoint.rows) == ["row"]


def test_handlers_share_a_pipeline_through_another_handler_that_shares_it():
    """The first handler names the second, which names the last to be made."""
    source = """
configure({
    "a": {**SHARES, "pipeline": "cfg://handlers.c"}, "b": {**SHARES, "pipeline": "cfg://handlers.a"}, "c": AZURE,
}, ["a", "b", "c"])
log.info('row')
assert len({handler.pipeline for handler in root.handlers}) == 1
"""
    with Endpoint() as endpoint:
        assert run(CONFIG + source, endpoint) == ""
        assert sorted_messages(endpoint.rows) == ["row"] * 3


@pytest.mark.parametrize("name", ["a", "z"], ids=["made before", "made after"])
@pytest.mark.parametrize("other", ['{"class": "logging.StreamHandler"}', '{"()": logging.NullHandler}'])
def test_dict_config_refuses_to_share_the_pipeline_of_a_foreign_handler(name, other):
    """The error is raised by dictConfig itself."""
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
    ("handlers", "complaint"),
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
def test_a_pipeline_argument_that_turns_out_to_be_a_foreign_handler_is_reported_once(handlers, complaint):
    """It is too late to raise an error: log calls go on, and nothing hangs at exit."""
    source = f"configure({handlers}, ['m'])\nlog.info('1')\nlog.info('2')"
    stderr = run(CONFIG + source)

    assert stderr.count("logging_azmon:") == 1
    assert complaint in stderr


def test_file_config_passes_arguments_as_a_tuple_or_a_dict(tmp_path):
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
        assert sorted_messages(endpoint.rows) == ["row"]


def test_a_handler_of_two_loggers_is_closed_once_and_loses_no_row():
    source = """
configure({"azure": AZURE}, [], {"a": {"handlers": ["azure"]}, "b": {"handlers": ["azure"]}})
logging.getLogger('a').info('a')
logging.getLogger('b.c').info('b')
"""
    with Endpoint() as endpoint:
        assert run(CONFIG + source, endpoint) == ""
        assert sorted_messages(endpoint.rows) == ["a", "b"]


ROOT_AT_DEBUG = """
import requests
# Import them first, because the records of the import belong to the application.
import azure.monitor.ingestion, azure.identity
def facts():
    loggers = [logging.getLogger(name) for name in sorted(logging.Logger.manager.loggerDict)] + [root]
    return [(l.name, l.level, list(l.filters), l.propagate, l.disabled, list(l.handlers)) for l in loggers]
"""


def test_uploads_with_root_at_debug_make_no_rows_and_change_no_logger():
    """The library's own records stay out; the application's records from the same loggers arrive."""
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


def test_a_queued_record_arrives_even_if_a_delivering_thread_now_has_its_thread_number(monkeypatch):
    """Thread numbers are reused once a thread has ended."""
    with FakeDestination() as destination:
        pipeline = manual_pipeline(destination)
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
        assert messages(destination.rows) == ["early"]


def test_basic_config_sets_a_formatter_whose_output_is_the_message():
    """docs/configuration.md warns of this."""
    root = logging.getLogger()
    before = root.handlers[:]
    with FakeDestination() as destination:
        handler = AzureMonitorHandler(pipeline=manual_pipeline(destination))
        root.handlers[:] = []
        try:
            logging.basicConfig(handlers=[handler])
            logging.getLogger("shop").warning("slow")
        finally:
            root.handlers[:] = before

        assert handler.flush()
        assert messages(destination.rows) == ["WARNING:shop:slow"]


class Raising(logging.LogRecord):
    """A record with a property that raises, as a subclass may have."""

    @property
    def thread(self):
        raise ValueError

    @thread.setter
    def thread(self, _):
        """Take what the base class sets."""


def test_a_record_whose_properties_raise_still_arrives(monkeypatch):
    """The log call raises nothing, even while another thread delivers."""
    with FakeDestination() as destination:
        handler = AzureMonitorHandler(pipeline=manual_pipeline(destination))
        monkeypatch.setitem(feedback.depths, -1, 1)
        handler.handle(Raising("app", logging.ERROR, __file__, 1, "odd", None, None))

        assert handler.flush()
        assert len(destination.rows) == 1


def test_uploads_make_no_rows_even_through_a_queue_handler():
    """A QueueHandler passes the records of delivering threads to another thread; they still make no rows."""
    source = """
import logging.handlers, queue
handler = AzureMonitorHandler()
records = queue.SimpleQueue()
root.addHandler(logging.handlers.QueueHandler(records))
listener = logging.handlers.QueueListener(records, handler)
listener.start()
log.info('row')
# Until the listener has passed on the records of the first upload.
while handler.stats().delivered < 1: handler.flush(0.1)
listener.stop()
assert handler.flush()
assert handler.stats().accepted == 1, handler.stats()
"""
    with Endpoint() as endpoint:
        assert run(ROOT_AT_DEBUG + source, endpoint) == ""
        assert sorted_messages(endpoint.rows) == ["row"]


def test_a_report_to_a_stderr_that_logs_makes_no_row():
    """Celery replaces sys.stderr by such an object: reports go to the process's own stderr."""
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
        assert sorted_messages(endpoint.rows) == ["row"]


def test_an_upload_makes_no_opentelemetry_span():
    """That holds even if requests is instrumented after the first row."""
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

        assert "after" in sorted_messages(endpoint.rows)


def test_a_pipeline_argument_of_another_type_is_refused_with_the_accepted_ones():
    with pytest.raises(ConfigurationError, match="give a Pipeline, an AzureMonitorHandler"):
        AzureMonitorHandler(pipeline="azure")


def test_the_repr_of_a_handler_shows_its_level_and_pipeline():
    """As in the list of a logger's handlers."""
    with FakeDestination() as destination:
        pipeline = Pipeline(**a_rule(), destination=destination, background=False)
        handler = AzureMonitorHandler(pipeline=pipeline, level="INFO")
        assert repr(handler) == f"<AzureMonitorHandler level=INFO {pipeline!r}>"
        handler.close()
        pipeline.close()


def test_a_pipeline_is_closed_at_the_end_of_its_with_block():
    """Rows are delivered before."""
    with FakeDestination() as destination:
        with Pipeline(**a_rule(), columns={"Message": "message"}, destination=destination) as pipeline:
            handler = AzureMonitorHandler(pipeline=pipeline)
            handler.handle(logging.makeLogRecord({"msg": "hello"}))
        assert [row["Message"] for row in destination.rows] == ["hello"]
        assert repr(pipeline).startswith("<Pipeline")
        assert " closed " in repr(pipeline)
