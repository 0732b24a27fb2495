"""`metrics.collector` gives prometheus_client's real registry the metrics of all pipelines, of all processes too."""

import logging
import re
import sys

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from logging_azmon import ConfigurationError, Pipeline, metrics
from logging_azmon.metrics._readings import INSTRUMENTS
from logging_azmon.pipeline import lifecycle_of
from logging_azmon.testing import Answer, FakeDestination, ManualClock
from support.endpoint import Endpoint
from support.lifecycle import run
from support.pipelines import address


def quiet(trouble):
    """Receive reports, and keep them from stderr."""


@pytest.fixture
def registry():
    registry = CollectorRegistry()
    registry.register(metrics.collector())
    return registry


def samples(registry, component):
    """Return the samples of one component, as they are scraped: by name and by what tells series apart."""
    found = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            if sample.labels.get("otel_component_name") == component:
                which = sample.labels.get("error_type") or sample.labels.get("http_response_status_code") or ""
                found[sample.name, which] = sample.value
    return found


class TestScrape:
    def test_the_names_are_those_of_opentelemetry_in_prometheus_writing(self, registry):
        """Dashboards work with either."""
        where = address()
        clock = ManualClock()
        destination = FakeDestination(Answer(status=503), Answer(status=204))
        pipeline = Pipeline(*where, destination=destination, clock=clock, background=False, report=quiet)
        for message in ("a", "b"):
            lifecycle_of(pipeline).intake.accept(logging.makeLogRecord({"msg": message}), None)
        for _ in range(2):
            lifecycle_of(pipeline).make_all_due()
            lifecycle_of(pipeline).listeners.deliver_one(10)
            clock.advance(60)
        lifecycle_of(pipeline).intake.accept(logging.makeLogRecord({"msg": "c"}), None)
        clock.advance(5)

        assert samples(registry, f"{where[1]}/{where[2]}") == {
            ("otel_sdk_processor_log_processed_total", ""): 2,
            ("otel_sdk_processor_log_queue_size", ""): 1,
            ("otel_sdk_exporter_log_exported_total", ""): 2,
            ("otel_sdk_exporter_log_inflight", ""): 0,
            ("logging_azmon_accepted_total", ""): 3,
            ("logging_azmon_adopted_total", ""): 0,
            ("logging_azmon_handed_over_total", ""): 0,
            ("logging_azmon_spooled", ""): 0,
            ("logging_azmon_misfits_total", ""): 0,
            ("logging_azmon_redacted_total", ""): 0,
            ("logging_azmon_requests_total", "503"): 1,
            ("logging_azmon_requests_total", "204"): 1,
            ("logging_azmon_retries_total", "503"): 1,
            ("logging_azmon_sent_bytes_total", ""): pipeline.stats().sent_bytes,
            ("logging_azmon_batches_inflight", ""): 0,
            ("logging_azmon_oldest_row_age_seconds", ""): 5,
        }
        pipeline.close(0)

    def test_every_metric_has_a_type_and_a_sentence(self, registry):
        """Also without a pipeline."""
        text = generate_latest(registry).decode()

        assert len(re.findall(r"^# TYPE \S+ (?:counter|gauge)$", text, re.MULTILINE)) == len(INSTRUMENTS)
        assert len(re.findall(r"^# HELP \S+ .+\.$", text, re.MULTILINE)) == len(INSTRUMENTS)

    def test_a_second_collector_in_a_registry_is_refused_by_it(self, registry):
        """The same series twice would be an invalid answer to a scrape."""
        with pytest.raises(ValueError, match="Duplicated timeseries"):
            registry.register(metrics.collector())


SHOP = """
import gc
from logging_azmon import metrics
from logging_azmon.testing import Answer, FakeDestination
from prometheus_client import CollectorRegistry, generate_latest, multiprocess

def deliver(*messages, destination=None):
    handler = handle(destination) if destination else handle()
    for message in messages:
        log.info(message)
    assert handler.flush()
    return handler

def scrape():
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    registry.register(metrics.collector())
    lines = generate_latest(registry).decode().splitlines()
    return {line.rpartition(" ")[0].partition("{")[0]: float(line.rpartition(" ")[2]) for line in lines
            if line.startswith(("otel", "logging_azmon")) and 'error_type="' not in line.replace('error_type=""', "")}

def check(expected):
    found = scrape()
    assert {name: found.get(name) for name in expected} == expected, found
"""


@pytest.fixture
def shared(monkeypatch, tmp_path):
    """Name the directory that processes share; prometheus_client looks at the variable when it is imported."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.usefixtures("shared")
class TestSeveralProcesses:
    def test_a_scrape_of_one_process_adds_up_all_of_them(self):
        """Those that have ended count too; the collector was made before the fork, as with --preload."""
        source = """
metrics.collector()
handler = deliver("a", "b")
root.removeHandler(handler)
handler.close()
for number in range(2):
    if not (child := os.fork()):
        deliver("c")
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0
check({
    "otel_sdk_exporter_log_exported_total": 2 + 2,
    "logging_azmon_accepted_total": 2 + 2,
    "otel_sdk_processor_log_queue_size": 0,
    "logging_azmon_requests_total": 1 + 2,
})
"""
        with Endpoint() as endpoint:
            run(SHOP + source, endpoint)

    def test_counters_of_replaced_handlers_are_written_once(self):
        """A counter in a file can only be increased."""
        source = """
metrics.collector()
for number in range(3):
    handler = deliver("a", "b")
    root.removeHandler(handler)
    handler.close()
    del handler
    gc.collect()
metrics.collector()
check({"otel_sdk_exporter_log_exported_total": 6, "logging_azmon_accepted_total": 6})
"""
        with Endpoint() as endpoint:
            run(SHOP + source, endpoint)

    def test_what_the_exit_delivers_is_written(self):
        """The worker is stopped before its batch is due."""
        source = """
if not (child := os.fork()):
    metrics.collector()
    handle(batch_seconds=3_000)
    log.info("first")
    assert root.handlers[0].flush()
    log.info("last")
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
check({"otel_sdk_exporter_log_exported_total": 2})
"""
        with Endpoint() as endpoint:
            run(SHOP + source, endpoint)

    def test_a_directory_that_cannot_be_written_costs_no_row_and_is_told_once(self, monkeypatch, tmp_path):
        """It was removed, or the disk is full."""
        source = """
import shutil
metrics.collector()
shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"])
handler = deliver("a", "b")
assert handler.stats().delivered == 2
assert handler.flush()
"""
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "metrics"))
        tmp_path.joinpath("metrics").mkdir()
        with Endpoint() as endpoint:
            said = run(SHOP + source, endpoint)

        assert len(said.splitlines()) == 1
        assert said.startswith("logging_azmon: metrics cannot be written: FileNotFoundError(")

    def test_a_thread_that_finds_the_writing_busy_does_not_wait(self):
        """The thread that writes does its work too."""
        source = """
from logging_azmon._process import feedback
from logging_azmon.metrics import _prometheus
metrics.collector()
mirror = _prometheus._mirror
written = []
def write(reading):
    written.append(reading)
    if len(written) == 1:
        mirror.update()  # as another listener would
mirror._write = write
with feedback.listening():
    mirror.update()
assert len(written) == 2
mirror.update()  # on a thread that is no listener's
assert len(written) == 2
"""
        run(SHOP + source)


class TestMisuse:
    def test_without_prometheus_client_the_extra_is_named(self, monkeypatch):
        """It is not a dependency."""
        monkeypatch.delitem(sys.modules, "logging_azmon.metrics._prometheus", raising=False)
        monkeypatch.setitem(sys.modules, "prometheus_client", None)

        with pytest.raises(ConfigurationError, match=r"needs prometheus_client: pip install 'logging-azmon\[prom"):
            metrics.collector()
