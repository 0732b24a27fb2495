"""The task and the span of a log call are found, if the application uses asyncio or OpenTelemetry."""

import asyncio
import logging
import sys
import types

from logging_azmon._rows.context import span_ids, task_name
from support.rows import Rows, make_record


def test_the_task_is_the_records_own_or_else_the_current_one():
    """Python 3.12 and later set the task on the record."""

    async def main():
        asyncio.current_task().set_name("job")
        return (
            task_name(None),
            Rows({"Task": "task"}).event({"event": "x"}),
            Rows({"Task": "task"}).record(make_record()),
        )

    assert asyncio.run(main()) == ("job", {"Task": "job"}, {"Task": "job"})
    assert task_name(logging.makeLogRecord({"taskName": "other"})) == "other"


def test_there_is_no_task_name_outside_of_a_task(monkeypatch):
    """This holds with and without an event loop, and whether or not asyncio is imported."""

    async def main():
        done = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(lambda: done.set_result(task_name(None)))
        return await done

    assert asyncio.run(main()) is None
    assert task_name(None) is None
    monkeypatch.delitem(sys.modules, "asyncio")
    assert task_name(None) is None


def test_span_ids_are_in_a_row_only_while_a_span_is_current():
    from opentelemetry.sdk.trace import TracerProvider

    tracer = TracerProvider().get_tracer("tests")
    rows = Rows({"Trace": "trace_id", "Span": "span_id", "Message": "message"})

    with tracer.start_as_current_span("work") as span:
        context = span.get_span_context()
        inside = rows.record(make_record())
    outside = rows.record(make_record())

    assert inside["Trace"] == f"{context.trace_id:032x}"
    assert inside["Span"] == f"{context.span_id:016x}"
    assert outside == {"Message": "hello"}


def test_there_are_no_span_ids_if_opentelemetry_is_not_imported(monkeypatch):
    """OpenTelemetry is used only if the application has imported it."""
    monkeypatch.delitem(sys.modules, "opentelemetry.trace", raising=False)

    assert span_ids() is None
    assert Rows({"Trace": "trace_id", "Message": "message"}).record(make_record()) == {"Message": "hello"}


def test_a_row_arrives_if_the_tracer_raises(monkeypatch):
    """Another thread may be importing OpenTelemetry at this moment."""
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", types.ModuleType("opentelemetry.trace"))

    assert Rows({"Trace": "trace_id", "Message": "message"}).record(make_record()) == {"Message": "hello"}
