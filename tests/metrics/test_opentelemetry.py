"""`metrics.observe` gives OpenTelemetry's real SDK the metrics of all pipelines of the process."""

import gc
import logging
import os
import sys

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from logging_azmon import AzureMonitorHandler, ConfigurationError, Pipeline, metrics
from logging_azmon.metrics._readings import INSTRUMENTS
from logging_azmon.pipeline import lifecycle_of
from logging_azmon.testing import Answer, Failure, FakeDestination, ManualClock
from support.lifecycle import run
from support.pipelines import address

# The attributes that tell the series of one metric apart.
KEYS = ("error.type", "http.response.status_code", "logging_azmon.reason")
OUTAGE = Answer(failure=Failure.CONNECTION, message="refused")


def quiet(trouble):
    """Receive reports, and keep them from stderr."""


class Shop:
    """A pipeline without threads, whose metrics can be told from those of other tests by its rule."""

    def __init__(self, *answers, **options):
        self.destination = FakeDestination(*answers)
        self.clock = ManualClock()
        self.address = options.pop("address", None) or address()
        options = {"report": quiet, "background": False, "clock": self.clock} | options
        self.pipeline = Pipeline(*self.address, destination=self.destination, **options)
        self.component = f"{self.address[1]}/{self.address[2]}"

    def log(self, *messages):
        for message in messages:
            lifecycle_of(self.pipeline).intake.accept(logging.makeLogRecord({"msg": message}), None)

    def step(self):
        lifecycle_of(self.pipeline).make_all_due()
        lifecycle_of(self.pipeline).listeners.deliver_one(10)


@pytest.fixture
def reader():
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    metrics.observe(provider)
    yield reader
    provider.shutdown()


def points(reader, component, name):
    """Return a metric's values by the attributes that tell its series apart, for one component."""
    data = reader.get_metrics_data()
    (scope,) = data.resource_metrics[0].scope_metrics
    return {
        next((str(point.attributes[key]) for key in KEYS if key in point.attributes), ""): point.value
        for metric in scope.metrics
        if metric.name == name
        for point in metric.data.data_points
        if point.attributes["otel.component.name"] == component
    }


GLOBAL = """
from opentelemetry import metrics as api
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from logging_azmon.testing import FakeDestination

handler = AzureMonitorHandler(pipeline=Pipeline(destination=FakeDestination(), background=False))

from logging_azmon import metrics

metrics.observe()
reader = InMemoryMetricReader()
api.set_meter_provider(MeterProvider([reader]))
handler.handle(logging.makeLogRecord({"msg": "a"}))
(scope,) = reader.get_metrics_data().resource_metrics[0].scope_metrics
found = {metric.name: [point.value for point in metric.data.data_points] for metric in scope.metrics}
assert found["logging_azmon.accepted"] == [1], found
handler.close()
"""


class TestValues:
    def test_delivered_waiting_and_in_flight_rows_are_told(self, reader):
        """As they are in `stats`, at the moment at which the reader asks."""
        seen = []

        def look(rows):
            seen.append([points(reader, shop.component, f"otel.sdk.{name}") for name in names])
            seen.append(points(reader, shop.component, "logging_azmon.batches.inflight"))
            return Answer(status=204)

        names = ["processor.log.queue.size", "exporter.log.inflight", "exporter.log.exported"]
        shop = Shop(look)
        shop.log("a", "b")
        before = [points(reader, shop.component, f"otel.sdk.{name}") for name in names]
        shop.step()
        after = [points(reader, shop.component, f"otel.sdk.{name}") for name in names]

        assert before == [{"": 2}, {"": 0}, {"": 0}]
        assert seen == [[{"": 0}, {"": 2}, {"": 0}], {"": 1}]
        assert after == [{"": 0}, {"": 0}, {"": 2}]
        assert points(reader, shop.component, "logging_azmon.accepted") == {"": 2}
        assert points(reader, shop.component, "otel.sdk.processor.log.processed") == {"": 2}
        shop.pipeline.close(0)

    def test_dropped_rows_have_their_reason_as_error_type(self, reader):
        """As the conventions have it: queue_full, and already_shutdown for rows after close."""
        shop = Shop(queue_bytes=8_192, batch_bytes=4_096)
        shop.log("x" * 3_000, "x" * 3_000, "x" * 3_000)
        shop.pipeline.close(0)
        shop.log("late")

        assert points(reader, shop.component, "otel.sdk.processor.log.processed") == {
            "": 0,
            "queue_full": 1,
            "closed": 2 + 1,  # and the notice of the first loss
            "already_shutdown": 1,
        }

    def test_rows_left_out_on_purpose_are_no_failures(self, reader):
        """An alert asks for any dropped row."""
        shop = Shop(before_send=lambda row: None)
        shop.log("a", "b")

        assert points(reader, shop.component, "otel.sdk.processor.log.processed") == {"": 0}
        assert points(reader, shop.component, "logging_azmon.left_out") == {"filtered": 2}
        assert shop.pipeline.health().status == "ok"
        shop.pipeline.close(0)

    def test_rejected_rows_are_failed_exports(self, reader):
        """The conventions give the word for it."""
        shop = Shop(Answer(status=400, code="InvalidPayload", message="bad"))
        shop.log("a")
        shop.step()

        assert points(reader, shop.component, "otel.sdk.exporter.log.exported") == {"": 0, "rejected": 1}
        assert points(reader, shop.component, "logging_azmon.retries") == {}
        shop.pipeline.close(0)

    def test_requests_and_retries_are_told_by_status(self, reader):
        """A 401 is retried with another token; without a response, the failure has a name."""
        shop = Shop(OUTAGE, Answer(status=429), Answer(status=401), Answer(status=204))
        shop.log("a")
        for _ in range(3):
            shop.step()
            shop.clock.advance(600)

        assert points(reader, shop.component, "logging_azmon.requests") == {
            "connection": 1,
            "429": 1,
            "401": 1,
            "204": 1,
        }
        assert points(reader, shop.component, "logging_azmon.retries") == {"connection": 1, "429": 1, "401": 1}
        assert points(reader, shop.component, "logging_azmon.sent")[""] == shop.pipeline.stats().sent_bytes > 0
        shop.pipeline.close(0)

    def test_the_age_of_the_oldest_row_is_told_and_0_if_there_is_none(self, reader):
        """An alert asks for more than a number of seconds."""
        shop = Shop()
        assert points(reader, shop.component, "logging_azmon.oldest_row.age") == {"": 0}
        shop.log("a")
        shop.clock.advance(7)

        assert points(reader, shop.component, "logging_azmon.oldest_row.age") == {"": 7}
        shop.pipeline.close(0)

    def test_spooled_rows_are_told(self, reader, tmp_path):
        """They wait as well, so they count in the queue."""
        shop = Shop(spool=tmp_path)
        shop.log("a", "b")

        assert points(reader, shop.component, "logging_azmon.spooled") == {"": 2}
        assert points(reader, shop.component, "otel.sdk.processor.log.queue.size") == {"": 2}
        shop.pipeline.close(0)

    def test_a_pipeline_that_is_switched_off_has_no_metrics(self, reader):
        """It has neither rule nor stream."""
        off = Pipeline(rule_id="dcr-off", stream="Custom-Off", enabled=False)
        off.close()

        assert points(reader, "dcr-off/Custom-Off", "logging_azmon.accepted") == {}

    def test_every_metric_has_a_unit_and_a_sentence(self, reader):
        """And the name of the endpoint, if it is the exporter's."""
        shop = Shop(Answer(status=429))
        shop.log("a")
        shop.step()
        (scope,) = reader.get_metrics_data().resource_metrics[0].scope_metrics
        found = {metric.name: metric for metric in scope.metrics}

        assert list(found) == [instrument.name for instrument in INSTRUMENTS]
        assert [
            metric.name for metric in found.values() if not (metric.unit and metric.description.endswith("."))
        ] == []
        for instrument in INSTRUMENTS:
            for point in found[instrument.name].data.data_points:
                assert ("server.address" in point.attributes) == instrument.is_exporter
                assert point.attributes["otel.component.type"] == "logging_azmon"
        shop.pipeline.close(0)


class TestLifetime:
    def test_counters_go_on_when_handlers_are_replaced(self, reader):
        """dictConfig closes the old handler, whose pipeline is then gone."""
        first = Shop(address=address())
        first.log("a", "b")
        first.step()
        first.pipeline.close()
        component, where = first.component, first.address
        del first
        gc.collect()
        assert points(reader, component, "otel.sdk.exporter.log.exported") == {"": 2}
        second = Shop(address=where)
        second.log("c")
        second.step()

        assert points(reader, component, "otel.sdk.exporter.log.exported") == {"": 3}
        assert points(reader, component, "logging_azmon.accepted") == {"": 3}
        assert points(reader, component, "otel.sdk.processor.log.queue.size") == {"": 0}
        second.pipeline.close()

    def test_what_was_lost_at_the_close_is_counted_although_nobody_asked_before_the_pipeline_was_gone(self, reader):
        """The last note is made when the pipeline is closed."""
        shop = Shop()
        shop.log("a")
        shop.pipeline.close(0)
        component = shop.component
        del shop
        gc.collect()

        assert points(reader, component, "otel.sdk.processor.log.processed") == {"": 0, "closed": 1}

    def test_pipelines_of_one_stream_are_added_up_and_the_highest_age_counts(self, reader):
        """Two handlers may have a pipeline each."""
        first = Shop()
        second = Shop(address=first.address)
        first.log("a")
        second.log("b", "c")
        first.clock.advance(3)
        second.clock.advance(9)

        assert points(reader, first.component, "otel.sdk.processor.log.queue.size") == {"": 3}
        assert points(reader, first.component, "logging_azmon.oldest_row.age") == {"": 9}
        first.pipeline.close(0)
        second.pipeline.close(0)

    def test_a_second_observe_changes_nothing(self, reader):
        """Libraries and applications may both call it."""
        provider = MeterProvider([again := InMemoryMetricReader()])
        metrics.observe(provider)
        metrics.observe(provider)
        shop = Shop()
        shop.log("a")

        assert points(again, shop.component, "logging_azmon.accepted") == {"": 1}
        shop.pipeline.close(0)
        provider.shutdown()

    def test_without_a_provider_the_global_one_is_used_also_if_it_is_set_later(self):
        """Set-up code may run in any order, so pipelines from before count too."""
        run(GLOBAL)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
class TestFork:
    def test_a_child_counts_from_zero_and_its_parent_goes_on(self, reader):
        """The child's rows are its own."""
        shop = Shop()
        shop.log("a", "b")
        shop.step()
        read, write = os.pipe()
        child = os.fork()
        if not child:
            try:
                shop.log("c")
                shop.step()
                counted = [points(reader, shop.component, "otel.sdk.exporter.log.exported")]
                counted.append(points(reader, shop.component, "logging_azmon.accepted"))
                os.write(write, repr(counted).encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        os.close(write)
        with os.fdopen(read) as told:
            assert told.read() == "[{'': 1}, {'': 1}]"

        assert points(reader, shop.component, "otel.sdk.exporter.log.exported") == {"": 2}
        shop.pipeline.close(0)


class TestMisuse:
    def test_something_else_than_a_provider_is_refused(self):
        """A meter, for instance."""
        with pytest.raises(ConfigurationError, match=r"meter_provider is not accepted: object has no get_meter\(\)"):
            metrics.observe(object())

    def test_without_opentelemetry_the_extra_is_named(self, monkeypatch):
        """It is not a dependency."""
        monkeypatch.delitem(sys.modules, "logging_azmon.metrics._opentelemetry", raising=False)
        monkeypatch.setitem(sys.modules, "opentelemetry.metrics", None)
        monkeypatch.setitem(sys.modules, "opentelemetry", None)

        with pytest.raises(ConfigurationError, match=r"needs OpenTelemetry's API: pip install 'logging-azmon\[opent"):
            metrics.observe()


def test_a_log_call_does_nothing_for_the_metrics(reader, monkeypatch):
    """They are noted after a batch, and read when the reader asks."""
    shop = Shop()
    noted = []
    monkeypatch.setattr("logging_azmon.metrics._totals.counts", lambda lifecycle: noted.append(1) or {})
    handler = AzureMonitorHandler(pipeline=shop.pipeline)
    for _ in range(10):
        handler.handle(logging.makeLogRecord({"msg": "a"}))

    assert noted == []
    shop.pipeline.close(0)
