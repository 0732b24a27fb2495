"""Behind gunicorn, a scrape of any worker tells what all of them have delivered."""

import contextlib
import signal
import time
import urllib.error

import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.pipelines import LIMIT_SECONDS
from support.serving import python, serving


def scraped(server, name):
    """Return the sum of a metric's samples, as one worker tells it.

    prometheus_client answers 500 while another process makes its file; Prometheus would ask again as well.
    """
    deadline = time.monotonic() + LIMIT_SECONDS
    while True:
        with contextlib.suppress(urllib.error.HTTPError):
            families = text_string_to_metric_families(server.read("/metrics"))
            break
        assert time.monotonic() < deadline
    return sum(sample.value for family in families for sample in family.samples if sample.name == name)


def scraped_until(server, name, number):
    """Scrape until a metric has a value: the last batch may still be on its way."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while (found := scraped(server, name)) != number:
        assert time.monotonic() < deadline, f"{name} is {found}, not {number}"
        assert found < number, f"{name} is {found}, more than {number}"
    return True


@pytest.mark.parametrize("options", [[], ["--preload"]], ids=["loaded by each worker", "preloaded"])
def test_two_workers_of_gunicorn_are_added_up(tmp_path, options):
    """Also after one of them has ended and another has taken its place."""
    command = python("-m", "gunicorn", "--bind=fd://FD", "--workers=2", *options, "server_metrics:application")
    with serving(command, PROMETHEUS_MULTIPROC_DIR=str(tmp_path)) as server:
        first = server.ask_until(2)
        assert scraped_until(server, "otel_sdk_exporter_log_exported_total", 2 * len(server.asked))
        server.process.send_signal(signal.SIGHUP)  # replaces both workers
        server.ask_until(2, others=first)
        rows = 2 * len(server.asked)

        assert scraped_until(server, "otel_sdk_exporter_log_exported_total", rows)
        assert scraped(server, "logging_azmon_accepted_total") == rows
        assert scraped(server, "otel_sdk_processor_log_queue_size") == 0
        assert len({row["Instance"] for row in server.endpoint.rows}) == 4
        server.stop()
        assert "logging_azmon:" not in server.output, server.output
