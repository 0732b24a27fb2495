"""The processor in structlog's chains: its rows, the events that it passes on, and its lifecycle."""

import asyncio
import copy
import datetime as dt
import gc
import io
import json
import logging
import logging.config
import pickle
import re
import sys
import time

import orjson
import pytest
import structlog

from logging_azmon import AzureMonitorHandler, AzureMonitorProcessor, ConfigurationError, Pipeline
from logging_azmon._process import feedback
from logging_azmon._queue.pipeline_state import State
from logging_azmon.pipeline import lifecycle_of
from logging_azmon.testing import FakeDestination, ManualClock, capture
from support.delivering import a_rule
from support.doors import stdlib_logger
from support.endpoint import Endpoint
from support.lifecycle import assert_each_once, run
from support.odd_values import ODD_VALUES, AttributesRaise, ClassRaises, MappingRaises
from support.pipelines import manual_pipeline, messages, sorted_messages

ADDRESS = ("http://127.0.0.1:9", "dcr-processor", "Custom-App")
COLUMNS = {
    "Time": "time",
    "Level": "level",
    "Logger": "logger",
    "Message": "message",
    "Exception": "exception",
    "Kind": "exception_type",
    "Words": "exception_message",
    "Exceptions": "exceptions",
    "Stack": "stack",
    "Thread": "thread_name",
    "Function": "function",
    "Rest": "*",
}


@pytest.fixture(scope="module")
def processor():
    processor = AzureMonitorProcessor(*ADDRESS, columns=COLUMNS)
    yield processor
    processor.close()


@pytest.fixture
def rows():
    with capture() as rows:
        yield rows


def chain(*processors, logger=None, wrapper=None):
    """Configure a logger as `structlog.configure` does."""
    return structlog.wrap_logger(
        structlog.PrintLogger(io.StringIO()) if logger is None else logger,
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(0) if wrapper is None else wrapper,
    )


def through_stdlib(*processors, logger):
    return chain(*processors, logger=logger, wrapper=structlog.stdlib.BoundLogger)


def end(logger, method_name, event_dict):
    """End a chain, for any event."""
    return "rendered"


def raise_it():
    try:
        {}["order"]
    except KeyError as error:
        raise LookupError("lost") from error


def test_an_event_dict_is_returned_unchanged_as_the_same_object(processor, rows):
    """Later processors may rely on its contents and their order."""
    event = {"event": "hello %s", "positional_args": ("you",), "level": "warn", "exc_info": True, "a": {"b": [1]}}
    before = copy.deepcopy(event)

    assert processor(None, "info", event) is event
    assert event == before
    assert list(event) == list(before)
    assert len(rows) == 1


def test_an_event_dict_goes_on_to_the_renderer_and_makes_a_row(processor, rows):
    out = io.StringIO()
    log = chain(processor, structlog.processors.JSONRenderer(sort_keys=True), logger=structlog.PrintLogger(out))

    log.info("hello", order=7)

    assert out.getvalue() == '{"event": "hello", "order": 7}\n'
    assert (rows[0]["Message"], rows[0]["Rest"]) == ("hello", {"order": 7})


def test_with_drop_an_event_makes_a_row_and_ends_the_chain(rows):
    """Nothing is printed, and nothing is raised into the application."""
    out = io.StringIO()
    processor = AzureMonitorProcessor(*ADDRESS, drop=True)

    chain(processor, logger=structlog.PrintLogger(out)).info("hello")

    assert messages(rows) == ["hello"]
    assert out.getvalue() == ""
    with pytest.raises(structlog.DropEvent):
        processor(None, "info", {"event": "hello"})


def test_with_drop_an_event_that_makes_no_row_ends_the_chain_too(rows):
    """That concerns events below the level, and those on delivering threads: there may be no renderer after it."""
    log = chain(AzureMonitorProcessor(*ADDRESS, drop=True, level="ERROR"))
    log.info("below")
    with feedback.delivering():
        log.error("of the library's own")
    log.error("above")

    assert messages(rows) == ["above"]


@pytest.mark.parametrize("odd", [make for _, make in ODD_VALUES], ids=[name for name, _ in ODD_VALUES])
def test_any_object_in_place_of_an_event_dict_or_its_message_makes_a_row(processor, rows, odd):
    """The processor may be placed after a renderer by mistake."""
    event = odd()
    assert processor(None, "info", event) is event
    message = {"event": odd()}

    assert processor(None, "info", message) is message

    assert len([row for row in rows if row.get("Logger") != "odd.repr"]) == 2


def test_behind_a_renderer_the_text_is_the_message_and_the_level_keeps_its_column(processor, rows):
    chain(structlog.processors.JSONRenderer(), processor).warning("hello")

    assert (rows[0]["Message"], rows[0]["Level"]) == ('{"event": "hello"}', "WARNING")


@pytest.mark.parametrize("odd", [MappingRaises, AttributesRaise, ClassRaises, lambda: 50, lambda: None])
def test_an_event_with_an_odd_logger_or_method_makes_a_row(rows, odd):
    """structlog does not check the arguments of a chain."""
    processor = AzureMonitorProcessor(*ADDRESS, columns=COLUMNS, level=10)
    processor(odd(), odd(), {"event": "hello"})
    processor(odd(), "info", odd())

    assert rows[0]["Message"] == "hello"
    assert len(rows) == 2


def test_an_event_of_a_delivering_thread_makes_no_row_even_if_another_thread_processes_it(processor, rows):
    """The record may have reached a formatter's chain through a queue."""
    record = logging.makeLogRecord({"msg": "x", "thread": 1})
    feedback.depths[1] = 1
    try:
        processor(None, "info", {"event": "the library's", "_record": record})
        processor(None, "info", {"event": "the application's"})
    finally:
        del feedback.depths[1]

    assert messages(rows) == ["the application's"]


def test_a_bytes_logger_with_orjson_as_its_renderer_works(processor, rows):
    """structlog's page on performance recommends this."""
    out = io.BytesIO()
    log = chain(processor, structlog.processors.JSONRenderer(orjson.dumps), logger=structlog.BytesLogger(out))

    log.bind(user=7).info("hello %s", "you")

    assert (rows[0]["Message"], rows[0]["Rest"]) == ("hello you", {"user": 7})
    assert json.loads(out.getvalue()) == {"user": 7, "event": "hello you"}


@pytest.mark.parametrize("method", ["msg", "info", "log"])
def test_an_unknown_method_of_the_generic_bound_logger_is_information(processor, rows, method):
    """The generic bound logger accepts any method name as a level."""
    getattr(chain(processor, end, wrapper=structlog.BoundLogger), method)("hello")

    assert rows[0]["Level"] == "INFO"


def test_a_logger_without_a_name_leaves_the_column_empty_unless_a_name_is_bound(processor, rows):
    log = chain(processor, end)
    log.info("hello")
    log.info("hello", logger="mine")

    assert [row.get("Logger") for row in rows] == [None, "mine"]


@pytest.mark.parametrize("wrapper", [None, structlog.stdlib.BoundLogger], ids=["filtering", "stdlib"])
def test_asynchronous_methods_keep_context_exception_and_call_site(processor, rows, wrapper):
    """Asynchronous methods log on another thread."""
    add = structlog.processors.CallsiteParameterAdder([structlog.processors.CallsiteParameter.FUNC_NAME])
    logger = None if wrapper is None else stdlib_logger(logging.NullHandler())
    log = chain(structlog.contextvars.merge_contextvars, add, processor, end, logger=logger, wrapper=wrapper)

    async def main():
        with structlog.contextvars.bound_contextvars(request="r-17"):
            await log.ainfo("hello", order=7)
            try:
                raise_it()
            except LookupError:
                await log.aexception("failed")

    asyncio.run(main())

    assert [(row["Message"], row["Level"]) for row in rows] == [("hello", "INFO"), ("failed", "ERROR")]
    assert rows[0]["Rest"] == {"request": "r-17", "order": 7}
    assert (rows[1]["Kind"], rows[1]["Words"]) == ("LookupError", "lost")


def test_the_asynchronous_bound_logger_makes_rows(processor, rows):
    """AsyncBoundLogger is deprecated, but still in use."""

    async def main():
        log = structlog.stdlib.AsyncBoundLogger(stdlib_logger(logging.NullHandler()), [processor, end], {})
        await log.bind(user=7).warning("hello")

    asyncio.run(main())

    assert [(row["Message"], row["Level"], row["Rest"]) for row in rows] == [("hello", "WARNING", {"user": 7})]


def test_an_event_that_the_bound_logger_filters_out_makes_no_row(processor, rows):
    log = structlog.wrap_logger(
        structlog.PrintLogger(io.StringIO()),
        processors=[processor, end],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
    )
    log.info("below")
    log.warning("above")

    assert messages(rows) == ["above"]


ZONES = {"utc": True, "local": False}


class TestTime:
    @pytest.fixture(autouse=True)
    def _far_away(self, monkeypatch):
        """Use a zone far from UTC, so that a mistaken zone shows."""
        if hasattr(time, "tzset"):  # pragma: no branch - everywhere but on Windows
            monkeypatch.setenv("TZ", "Asia/Kathmandu")
            time.tzset()
        yield
        monkeypatch.undo()
        if hasattr(time, "tzset"):  # pragma: no branch - see above
            time.tzset()

    @pytest.mark.parametrize(
        ("fmt", "utc"),
        [
            ("iso", True),
            ("iso", False),
            (None, True),
            ("%Y-%m-%dT%H:%M:%S.%fZ", True),
            ("%Y-%m-%d %H:%M:%S.%f%z", True),
            ("%Y-%m-%d %H:%M:%S.%f%z", False),
            ("%Y-%m-%d %H:%M:%S.%f", False),
            ("%Y-%m-%d %H:%M:%S.%f", True),
        ],
    )
    def test_time_stamps_of_every_format_are_read_as_the_same_moment(self, processor, rows, fmt, utc):
        """ISO with and without a zone, UNIX time, and custom formats, which may be UTC without saying so."""
        before = time.time()
        chain(structlog.processors.TimeStamper(fmt=fmt, utc=utc), processor, end).info("hello")

        stamped = dt.datetime.fromisoformat(rows[0]["Time"]).timestamp()

        assert before - 1e-5 <= stamped <= time.time() + 1e-5
        assert rows[0]["Time"].endswith("Z")
        assert "Rest" not in rows[0]

    @pytest.mark.parametrize("kind", [str, dt.datetime.fromisoformat])
    def test_a_naive_time_that_no_time_stamper_made_is_local(self, processor, rows, kind):
        """Examples are an imported time, and one at the ends of the calendar."""
        for stamp in ("2026-01-02T03:04:05", "0001-01-01T00:00:00"):
            processor(None, "info", {"event": "hello", "timestamp": kind(stamp)})

        assert rows[0]["Time"] == "2026-01-01T21:19:05.000000Z"
        assert rows[1]["Rest"]["time"].startswith("0001-01-01T00:00:00")

    @pytest.mark.parametrize("fmt", ["%H:%M", "%d.%m.%Y %H:%M", "%A"])
    def test_an_unreadable_time_stamp_is_kept_as_an_extra_and_counted_as_a_misfit(self, processor, rows, fmt):
        """The row has the time of the call."""
        misfits = processor.stats().misfits
        before = time.time()
        chain(structlog.processors.TimeStamper(fmt=fmt), processor, end).info("hello")

        assert before - 1e-5 <= dt.datetime.fromisoformat(rows[0]["Time"]).timestamp() <= time.time() + 1e-5
        assert rows[0]["Rest"]["time"]
        assert processor.stats().misfits == misfits + 1

    def test_an_event_without_a_time_stamp_has_the_time_of_the_call(self, processor, rows):
        """The processor may stand in front of the TimeStamper."""
        before = time.time()
        chain(processor, structlog.processors.TimeStamper(fmt="iso"), end).info("hello")

        assert before - 1e-5 <= dt.datetime.fromisoformat(rows[0]["Time"]).timestamp() <= time.time() + 1e-5


@pytest.mark.parametrize(
    ("renderers", "has_structure"),
    [
        ([], True),
        ([structlog.processors.format_exc_info], False),
        ([structlog.processors.dict_tracebacks], True),
        ([structlog.processors.ExceptionRenderer()], False),
        (
            [structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))],
            True,
        ),
    ],
    ids=["none", "format_exc_info", "dict_tracebacks", "text", "structured"],
)
def test_an_exception_arrives_as_text_and_structured_unless_rendered_as_text(processor, rows, renderers, has_structure):
    log = chain(*renderers, processor, end)
    try:
        raise_it()
    except LookupError:
        log.exception("failed")

    assert re.search(
        r"^Traceback \(most recent call last\):\n.*KeyError: .*order.*\n\n"
        r"The above exception was the direct cause of the following exception:\n\n"
        r"Traceback \(most recent call last\):\n.*, in raise_it.*\nLookupError: lost$",
        rows[0]["Exception"],
        re.DOTALL,
    )
    assert "Rest" not in rows[0]
    assert (rows[0].get("Words") == "lost") == has_structure
    assert [stack["exc_type"] for stack in rows[0].get("Exceptions", ())] == (
        ["LookupError", "KeyError"] if has_structure else []
    )


@pytest.mark.parametrize("renderers", [[], [structlog.processors.format_exc_info]], ids=["none", "text"])
def test_exc_info_without_an_exception_leaves_the_exception_columns_empty(processor, rows, renderers):
    """Older versions of structlog render "NoneType: None" in that case."""
    chain(*renderers, processor, end).info("hello", exc_info=True)

    assert "Exception" not in rows[0]
    assert "Rest" not in rows[0]


def test_positional_arguments_are_formatted_even_before_structlog_formats_them(processor, rows):
    """The processor may stand before PositionalArgumentsFormatter, or before the standard library formats them."""
    log = through_stdlib(
        processor, structlog.stdlib.PositionalArgumentsFormatter(), end, logger=stdlib_logger(logging.NullHandler())
    )
    log.info("%s of %d", "one", 2)
    log.info("%(a)s", {"a": 1})

    assert messages(rows) == ["one of 2", "1"]
    assert [row.get("Rest") for row in rows] == [None, {"a": 1}]


def test_positional_arguments_that_structlog_has_already_formatted_are_extras(processor, rows):
    """They must not be formatted into the message a second time."""
    log = through_stdlib(
        structlog.stdlib.PositionalArgumentsFormatter(remove_positional_args=False),
        processor,
        end,
        logger=stdlib_logger(logging.NullHandler()),
    )
    log.info("%s of %d", "one", 2)

    assert (rows[0]["Message"], rows[0]["Rest"]) == ("one of 2", {"positional_args": ["one", 2]})


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"event": 5, "positional_args": ("x",)}, ("5", {"positional_args": ["x"]})),
        ({"event": "x", "positional_args": "text"}, ("x", {"positional_args": "text"})),
        ({"event": "100 %", "positional_args": ()}, ("100 %", None)),
    ],
)
def test_positional_arguments_that_do_not_fit_the_message_are_kept_as_extras(processor, rows, event, expected):
    """Any processor may have put them into the event."""
    processor(None, "info", event)

    assert (rows[0]["Message"], rows[0].get("Rest")) == expected


@pytest.mark.parametrize("to", ["message", "msg"])
def test_an_event_renamed_by_event_renamer_is_the_message(processor, rows, to):
    """That holds for the names that EventRenamer is commonly used with."""
    log = chain(structlog.processors.EventRenamer(to), processor, end)
    log.info("hello", order=7)

    assert (rows[0]["Message"], rows[0]["Rest"]) == ("hello", {"order": 7})


def test_a_key_named_message_or_msg_beside_an_event_is_an_extra(processor, rows):
    chain(processor, end).bind(message="one", msg="two").info("hello")

    assert (rows[0]["Message"], rows[0]["Rest"]) == ("hello", {"message": "one", "msg": "two"})


def test_an_event_renamed_to_any_other_key_can_be_mapped_to_a_column(rows):
    processor = AzureMonitorProcessor(*ADDRESS, columns={"Text": "what"})
    chain(structlog.processors.EventRenamer("what", "event_"), processor, end).info("hello", event_="mine")

    assert rows[0]["Text"] == "hello"


def test_an_event_that_an_earlier_processor_drops_makes_no_row(processor, rows):
    """filter_by_level does so, according to the level of the standard library's logger."""
    logger = stdlib_logger(logging.NullHandler())
    logger.setLevel("WARNING")
    log = through_stdlib(structlog.stdlib.filter_by_level, processor, end, logger=logger)
    log.info("below")
    log.warning("above")

    assert messages(rows) == ["above"]


def test_the_private_keys_of_processor_formatter_are_not_extras(processor, rows):
    processor(None, "info", {"event": "x", "_record": 1, "_from_structlog": True, "_logger": 2, "_name": "n"})

    assert "Rest" not in rows[0]


class TestWithTheStandardLibrary:
    def formatter(self, *processors):
        return structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_log_level, structlog.stdlib.ExtraAdder()],
            processors=[
                *processors,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(sort_keys=True),
            ],
        )

    def console(self, *processors):
        handler = logging.StreamHandler(io.StringIO())
        handler.setFormatter(self.formatter(*processors))
        return handler

    @pytest.mark.parametrize("order", [1, -1], ids=["ours first", "ours last"])
    def test_the_output_of_other_handlers_is_the_same_with_and_without_ours(self, processor, rows, order):
        printed = []
        for others in ([], [AzureMonitorHandler(pipeline=processor)]):
            console = self.console()
            logger = stdlib_logger(*[console, *others][::order])
            through_stdlib(structlog.stdlib.ProcessorFormatter.wrap_for_formatter, logger=logger).info("hello", order=7)
            logger.warning("foreign %s", "record", extra={"order": 8})
            printed.append(console.stream.getvalue())

        assert printed[0] == printed[1] != ""
        assert [(row["Message"], row["Rest"]) for row in rows] == [
            ("hello", {"order": 7}),
            ("foreign record", {"order": 8}),
        ]

    @pytest.mark.parametrize("has_adder", [True, False])
    def test_a_foreign_record_in_a_formatters_chain_keeps_its_name_place_and_extras(self, processor, rows, has_adder):
        """Each extra arrives once."""
        console = self.console(processor)
        if not has_adder:
            console.formatter.foreign_pre_chain = None
        logger = stdlib_logger(console)
        try:
            raise_it()
        except LookupError:
            logger.error("foreign %s", "record", extra={"order": 8}, exc_info=True, stack_info=True)

        row = rows[0]

        assert (row["Message"], row["Level"], row["Logger"], row["Rest"]) == (
            "foreign record",
            "ERROR",
            "shop.orders",
            {"order": 8},
        )
        assert (row["Function"], row["Kind"]) == (
            "test_a_foreign_record_in_a_formatters_chain_keeps_its_name_place_and_extras",
            "LookupError",
        )
        assert row["Stack"].startswith("Stack (most recent call last):")

    def test_a_processor_in_the_pre_chain_sees_foreign_records_only(self, processor, rows):
        """structlog's own events do not pass through it."""
        console = self.console()
        console.formatter.foreign_pre_chain = [structlog.stdlib.add_log_level, processor]
        logger = stdlib_logger(console)
        logger.log(15, "foreign")
        through_stdlib(structlog.stdlib.ProcessorFormatter.wrap_for_formatter, logger=logger).info("hello")

        assert [(row["Message"], row["Logger"]) for row in rows] == [("foreign", "shop.orders")]

    def test_the_level_number_of_an_event_counts_if_the_methods_name_is_not_a_level(self, rows):
        """structlog's add_log_level_number adds the number."""
        processor = AzureMonitorProcessor(*ADDRESS, level=30)
        for number in (29, 30):
            processor(None, "audit", {"event": str(number), "level_number": number})

        assert messages(rows) == ["30"]

    def test_a_foreign_record_has_its_own_level_even_without_a_name(self, rows):
        """No processor needs to add the level."""
        processor = AzureMonitorProcessor(*ADDRESS, level=14)
        console = self.console(processor)
        console.formatter.foreign_pre_chain = None
        logger = stdlib_logger(console)
        logger.log(13, "below")
        logger.log(15, "above")

        assert [(row["Message"], row["Level"]) for row in rows] == [("above", "Level 15")]

    def test_structlogs_own_event_in_a_formatters_chain_has_only_its_own_keys(self, processor, rows):
        """Keys that structlog adds for itself stay out."""
        console = self.console(processor)
        log = through_stdlib(
            structlog.stdlib.add_log_level,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
            logger=stdlib_logger(console),
        )
        log.warning("hello", order=7)

        assert (rows[0]["Message"], rows[0]["Level"], rows[0]["Rest"]) == ("hello", "WARNING", {"order": 7})
        assert json.loads(console.stream.getvalue()) == {"event": "hello", "level": "warning", "order": 7}

    @pytest.mark.parametrize("render", ["render_to_log_kwargs", "render_to_log_args_and_kwargs"])
    def test_an_event_rendered_as_arguments_of_a_log_call_makes_the_same_row_either_way(self, processor, rows, render):
        if not hasattr(structlog.stdlib, render):
            pytest.skip(f"this version of structlog has no {render}")
        both = {}
        for where, logger, before in (
            ("handler", stdlib_logger(AzureMonitorHandler(pipeline=processor)), []),
            ("processor", stdlib_logger(logging.NullHandler()), [processor]),
        ):
            log = through_stdlib(*before, getattr(structlog.stdlib, render), logger=logger)
            args = ("one", 2) if "args_and" in render else ()
            try:
                raise_it()
            except LookupError:
                log.error("%s of %d", *args, order=7, exc_info=True)
            both[where] = {name: rows[-1][name] for name in ("Message", "Level", "Logger", "Kind", "Words", "Rest")}

        assert both["handler"] == both["processor"]
        assert both["handler"]["Rest"] == {"order": 7}

    def test_extras_named_as_attributes_of_a_record_do_not_clash(self, processor, rows):
        """The standard library refuses them: "Attempt to overwrite 'name' in LogRecord"."""
        names = [*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName"]
        keys = {name: f"my {name}" for name in names if name not in ("exc_info", "stack_info", "exc_text")}
        handler = AzureMonitorHandler(pipeline=processor)
        wrap = structlog.stdlib.ProcessorFormatter.wrap_for_formatter
        through_stdlib(wrap, logger=stdlib_logger(handler)).info("hello", **keys)
        through_stdlib(processor, wrap, logger=stdlib_logger(logging.NullHandler())).info("hello", **keys)

        assert messages(rows) == ["hello", "hello"]
        assert {"name", "args", "msg", "asctime", "message", "taskName"} <= set(rows[0]["Rest"])
        assert rows[0]["Rest"] == rows[1]["Rest"]

    def test_an_event_through_handler_and_processor_fills_the_same_columns(self, processor, rows):
        """One query therefore finds both rows."""
        wrap = structlog.stdlib.ProcessorFormatter.wrap_for_formatter
        log = through_stdlib(
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            processor,
            wrap,
            logger=stdlib_logger(AzureMonitorHandler(pipeline=processor)),
        )
        try:
            raise_it()
        except LookupError:
            log.exception("failed", order=7)

        first, second = rows

        # Without a CallsiteParameterAdder, an event does not have the name of its function.
        assert first.pop("Function", None) != second.pop("Function")
        assert first == second


def a_factory():
    return logging.NullHandler()


@pytest.mark.parametrize(
    "share",
    [
        lambda handler: handler,
        lambda handler: handler.pipeline,
        lambda handler: AzureMonitorProcessor(pipeline=handler),
    ],
    ids=["a handler", "a pipeline", "a processor"],
)
def test_rows_of_front_doors_that_share_a_pipeline_are_numbered_as_one_instance(rows, share):
    handler = AzureMonitorHandler(*ADDRESS)
    log = chain(AzureMonitorProcessor(pipeline=share(handler)), end)
    log.info("event")
    stdlib_logger(handler).info("record")
    log.info("event")

    assert [row["Sequence"] for row in rows] == [0, 1, 2]
    assert len({row["Instance"] for row in rows}) == 1


def test_a_handler_can_share_the_pipeline_of_a_processor(rows):
    processor = AzureMonitorProcessor(*ADDRESS)

    assert AzureMonitorHandler(pipeline=processor).pipeline is processor.pipeline


def test_only_level_and_drop_can_be_combined_with_a_shared_pipeline():
    """All mistakes are reported together."""
    with pytest.raises(ConfigurationError) as caught:
        AzureMonitorProcessor("https://x", pipeline=object(), level="LOUD", drop="no", uploads=3)

    assert [problem.partition(" ")[0].partition("=")[0] for problem in caught.value.problems] == [
        "level",
        "drop",
        "endpoint",
        "uploads",
        "pipeline",
    ]
    assert "drop='no' is not accepted; give True or False" in str(caught.value)


def test_a_processor_shares_the_pipeline_of_a_handler_that_dict_config_makes_later(rows):
    """Formatters are made first, so the processor in one of them exists before the handler it names."""
    made = []

    def formatter(azure):
        made.append(AzureMonitorProcessor(pipeline=azure, level="WARNING"))
        return structlog.stdlib.ProcessorFormatter(processors=[made[0], end])

    logging.config.dictConfig(
        {
            "version": 1,
            "formatters": {"rendered": {"()": formatter, "azure": "cfg://handlers.azure"}},
            "handlers": {
                "azure": {
                    "class": "logging_azmon.AzureMonitorHandler",
                    **dict(zip(("endpoint", "rule_id", "stream"), ADDRESS, strict=True)),
                },
                "console": {"class": "logging.StreamHandler", "formatter": "rendered"},
            },
            "loggers": {"test.sharing": {"handlers": ["console", "azure"], "propagate": False}},
            "disable_existing_loggers": False,
        }
    )
    logger = logging.getLogger("test.sharing")
    logger.warning("hello")

    assert messages(rows) == ["hello", "hello"]
    assert made[0].pipeline is logger.handlers[1].pipeline


def test_a_pipeline_argument_that_turns_out_to_be_a_foreign_handler_is_reported_once(monkeypatch):
    """It is too late to raise an error: the events go on."""
    made = []

    def formatter(azure):
        made.append(AzureMonitorProcessor(pipeline=azure))
        return logging.Formatter()

    logging.config.dictConfig(
        {
            "version": 1,
            "formatters": {"rendered": {"()": formatter, "azure": "cfg://handlers.azure"}},
            "handlers": {"azure": {"()": a_factory}},
            "disable_existing_loggers": False,
        }
    )
    monkeypatch.setattr(sys, "__stderr__", io.StringIO())
    assert [made[0](None, "info", {"event": "hello"}) for _ in range(2)] == [{"event": "hello"}] * 2
    made[0]._stand_in.take_over()  # noqa: SLF001 - as at exit
    made[0].close()

    reported = sys.__stderr__.getvalue()

    assert reported.count("logging_azmon:") == 1
    assert "rows are lost: pipeline='cfg://handlers.azure' is not an AzureMonitorHandler" in reported


class TestLifecycle:
    """Every order of calls is legal."""

    @pytest.fixture
    def own(self):
        """Return a processor whose pipeline delivers in `flush`, and its destination."""
        with FakeDestination() as destination:
            pipeline = manual_pipeline(destination, report=print)
            yield AzureMonitorProcessor(pipeline=pipeline), destination
            pipeline.close()

    def test_flush_of_a_processor_delivers_and_stats_count_the_row(self, own):
        processor, destination = own
        chain(processor, end).info("hello")

        assert processor.stats().queued == 1

        assert processor.flush(timeout=5)
        assert messages(destination.rows) == ["hello"]
        assert processor.stats().delivered == 1

    def test_a_processor_may_be_closed_twice_and_a_later_event_is_counted_and_reported(self, processor):
        """The call after close raises nothing."""
        troubles = []
        own = AzureMonitorProcessor(*ADDRESS, report=troubles.append)
        log = chain(own, end)
        own.close()
        own.close()
        log.info("late")

        assert own.stats().dropped == {"after_close": 1}
        assert [str(trouble) for trouble in troubles] == ["1 row logged after close dropped: after_close"]
        assert own.flush(timeout=0)

    def test_a_shared_pipeline_stays_open_until_its_last_front_door_is_closed(self, rows):
        """It does not matter which of them made the pipeline."""
        processor = AzureMonitorProcessor(*ADDRESS)
        other = AzureMonitorHandler(pipeline=processor)
        processor.close()
        stdlib_logger(other).info("still open")
        assert lifecycle_of(processor.pipeline).state is not State.CLOSED
        other.close()

        assert messages(rows) == ["still open"]
        assert lifecycle_of(processor.pipeline).state is State.CLOSED

    def test_a_processor_that_is_garbage_collected_delivers_its_queued_rows(self):
        """structlog.configure may have replaced it; nothing waits for the delivery."""
        with Endpoint() as endpoint:
            processor = AzureMonitorProcessor(endpoint.url, *ADDRESS[1:])
            chain(processor, end).info("hello")
            pipeline = processor.pipeline
            del processor
            gc.collect()

            assert pipeline.flush()
            assert sorted_messages(endpoint.rows) == ["hello"]
            assert pipeline.stats().delivered == 1

    def test_a_dict_config_does_not_close_a_processor(self):
        """dictConfig closes all handlers, and a processor is not one."""
        processor = AzureMonitorProcessor(*ADDRESS, report=print)
        logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
        with capture() as rows:
            chain(processor, end).info("hello")

        assert messages(rows) == ["hello"]
        assert lifecycle_of(processor.pipeline).state is not State.CLOSED
        processor.close()

    def test_a_handler_replaces_the_processor_at_exit_until_logging_closes_it(self, own):
        """Closing the processor closes both."""
        processor, destination = own
        for _ in range(2):
            processor._stand_in.take_over()  # noqa: SLF001 - as at exit
        chain(processor, end).info("late")
        processor.close()

        assert processor.flush()
        assert messages(destination.rows) == ["late"]
        assert lifecycle_of(processor.pipeline).state is not State.CLOSED  # Neither of the two made the pipeline.

    def test_a_failing_pipeline_drops_the_row_as_internal_and_the_event_goes_on(self):
        """The failure is reported."""

        class Broken(ManualClock):
            def monotonic(self):
                if is_broken:
                    raise OSError("no clock")
                return super().monotonic()

        is_broken, troubles = [], []
        pipeline = manual_pipeline(FakeDestination(), clock=Broken(), report=troubles.append)
        processor = AzureMonitorProcessor(pipeline=pipeline)
        is_broken.append(True)
        event = {"event": "hello"}
        assert processor(None, "info", event) is event
        is_broken.clear()

        assert processor.stats().dropped == {"internal": 1}
        assert [str(trouble) for trouble in troubles] == ["a row could not be made: OSError('no clock')"]
        pipeline.close(0)

    def test_a_recursion_error_in_a_log_call_is_counted_later_and_the_event_goes_on(self, own):
        """When the stack is exhausted, nothing can be called to count the row."""
        processor, _ = own

        def deeper():
            processor(None, "info", {"event": "deep"})
            deeper()

        with pytest.raises(RecursionError):
            deeper()

        stats = processor.stats()
        assert stats.dropped["internal"] >= 1
        assert stats.accepted == stats.queued + sum(stats.dropped.values())
        processor.flush()

    @pytest.mark.parametrize("kind", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
    def test_a_copied_or_unpickled_processor_has_the_same_pipeline(self, kind):
        """structlog's loggers are copied and pickled with their processors."""
        processor = AzureMonitorProcessor(*ADDRESS, level="WARNING", drop=True)
        log = kind(chain(processor, logger=structlog.PrintLogger(sys.stdout)))

        with capture() as rows:
            log.bind(order=7).info("below")
            log.bind(order=7).warning("above")

        assert [row["Properties"] for row in rows] == [{"order": 7}]
        assert kind(processor).pipeline is processor.pipeline
        processor.close()

    def test_a_processor_with_a_credential_object_cannot_be_pickled(self):
        """Secrets stay in their process; the error says what to do instead."""

        class Credential:
            def get_token(self, *scopes, **options):
                raise AssertionError

        processor = AzureMonitorProcessor("https://dce.example.org", *ADDRESS[1:], Credential())
        with pytest.raises(TypeError, match="name the credential, as in credential='managed_identity'"):
            pickle.dumps(processor)


def test_the_last_rows_are_delivered_at_exit_until_logging_is_shut_down():
    """Rows of atexit callbacks are, too; an event after the shutdown is reported."""
    source = """
import structlog
from logging_azmon import AzureMonitorProcessor
processor = AzureMonitorProcessor(**OPTIONS)
structlog.configure(processors=[processor, lambda *_: ((), {})], logger_factory=lambda *_: print_nothing)
class print_nothing:
    info = staticmethod(lambda: None)
structlog.get_logger().info("tail")
atexit.register(structlog.get_logger().info, "atexit, registered last")
"""
    early = """
import atexit
def late():
    import structlog
    structlog.get_logger().info("after logging")
atexit.register(late)
import logging
def before():
    import structlog
    structlog.get_logger().info("atexit, registered first")
atexit.register(before)
"""
    with Endpoint() as endpoint:
        stderr = run(source, endpoint, early=early)

    assert sorted_messages(endpoint.rows) == ["atexit, registered first", "atexit, registered last", "tail"]
    assert "1 row logged after close dropped: after_close" in stderr


@pytest.mark.parametrize("shared", [True, False])
def test_a_handler_that_shares_the_processors_pipeline_may_still_log_at_exit(shared):
    """A MemoryHandler in front of it is flushed when logging is shut down."""
    source = f"""
import logging.handlers
from logging_azmon import AzureMonitorProcessor
processor = AzureMonitorProcessor(**OPTIONS)
processor(None, "info", {{"event": "event"}})
handler = AzureMonitorHandler(**({{"pipeline": processor}} if {shared} else OPTIONS))
log.addHandler(logging.handlers.MemoryHandler(9, target=handler, flushLevel=99))
log.info("record")
"""
    with Endpoint() as endpoint:
        assert run(source, endpoint) == ""

    assert sorted_messages(endpoint.rows) == ["event", "record"]


def test_a_processor_in_a_forked_child_sends_the_childs_own_rows():
    source = """
import warnings
from logging_azmon import AzureMonitorProcessor
warnings.simplefilter("ignore", DeprecationWarning)
processor = AzureMonitorProcessor(**OPTIONS)
processor(None, "info", {"event": "parent"})
child = os.fork()
if not child:
    processor(None, "info", {"event": "child"})
    sys.exit()
assert os.waitpid(child, 0)[1] == 0
"""
    with Endpoint() as endpoint:
        assert run(source, endpoint) == ""

    assert sorted_messages(endpoint.rows) == ["child", "parent"]
    assert len({row["Instance"] for row in endpoint.rows}) == 2


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_a_bound_logger_pickled_with_each_task_makes_one_pipeline_per_worker(method):
    with Endpoint() as endpoint:
        source = f"from lifecycle_structlog import main\nmain({method!r}, **OPTIONS)"
        assert run(source, endpoint) == ""

    assert sorted_messages(endpoint.rows) == ["in a worker"] * 20 + ["in the parent"]
    assert sorted(row["Properties"].get("number", -1) for row in endpoint.rows) == [-1, *range(20)]
    assert {row["Properties"]["order"] for row in endpoint.rows} == {7}
    assert_each_once(endpoint.rows)

    assert len({row["Instance"] for row in endpoint.rows}) <= 3


def test_the_repr_of_a_processor_shows_its_level_and_pipeline():
    """As in structlog's configuration."""
    with FakeDestination() as destination:
        pipeline = Pipeline(**a_rule(), destination=destination, background=False)
        processor = AzureMonitorProcessor(pipeline=pipeline, level="INFO")
        assert repr(processor) == f"<AzureMonitorProcessor level=20 {pipeline!r}>"
        processor.close()
        pipeline.close()
