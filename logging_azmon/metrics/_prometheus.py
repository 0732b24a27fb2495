"""The metrics for prometheus_client, under the names that OpenTelemetry's own exporter for Prometheus would give them.

In one process, they are read when they are collected. If several processes share PROMETHEUS_MULTIPROC_DIR, each writes
them there by prometheus_client's own means after each batch, because a scrape reaches only one of the processes.

Rules for the writing:
- prometheus_client's lock is not re-entrant, so only listeners write, and the exit of the process.
- Our lock is never waited for: a thread that finds it taken leaves the work to the thread that holds it. A fork holds
  it, so that no child inherits prometheus_client's lock while it is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client import Counter, Gauge, values
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .._process import at_exit, at_fork, feedback
from .._process.real_threads import Lock
from ._readings import INSTRUMENTS, Attributes, Instrument, Reading
from ._totals import totals

_UNITS = {"By": "bytes", "s": "seconds"}


def make_collector() -> Collector:
    """Return the collector that this process needs."""
    if not values.ValueClass._multiprocess:  # noqa: SLF001 - decided by the environment when the client is imported
        return ScrapedCollector()
    global _mirror  # noqa: PLW0603 - one per process, and for its forked children
    if _mirror is None:
        _mirror = Mirror()
        at_fork.register(at_fork.Turn.PROCESS, locks=_mirror.locks, restart=_mirror.restart)
        totals.on_note = _mirror.update
    # The files are made now, if possible: prometheus_client fails a scrape that finds one that is just being made.
    _mirror.write()
    return MirroredCollector()


class ScrapedCollector(Collector):
    """Read the metrics whenever they are collected."""

    def collect(self) -> Iterator[Metric]:
        """Return all metrics."""
        reading = totals.read()
        for instrument in INSTRUMENTS:
            family = _family(instrument)
            for (its_instrument, attributes), number in reading.items():
                if its_instrument is instrument:
                    family.add_metric(_values(instrument, attributes), number)
            yield family

    def describe(self) -> Iterator[Metric]:
        """Return all metrics without values, by which a registry finds two of one name."""
        return map(_family, INSTRUMENTS)


class MirroredCollector(Collector):
    """Return nothing: the metrics are in the directory, where MultiProcessCollector finds those of all processes."""

    def collect(self) -> Iterator[Metric]:
        """Return nothing."""
        return iter(())


class Mirror:
    """Write the metrics of this process into the directory that all processes share."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._is_outdated = False
        self._metrics: dict[Instrument, Any] = {instrument: _metric(instrument) for instrument in INSTRUMENTS}
        # What was written last; a counter can only be increased.
        self._written: Reading = {}

    def locks(self) -> list[Any]:
        """Return the lock that a fork must hold."""
        return [self._lock]

    def update(self) -> None:
        """Write the metrics, if this thread may; otherwise the next listener does."""
        if feedback.is_listener() or at_exit.seconds_left() is not None:
            self.write()

    def write(self) -> None:
        """Write the metrics, or leave that to the thread that is writing."""
        self._is_outdated = True
        while self._is_outdated and self._lock.acquire(blocking=False):
            try:
                self._is_outdated = False
                self._write(totals.read())
            finally:
                self._lock.release()

    def _write(self, reading: Reading) -> None:
        # What is gone, such as the rows that wait in a pipeline that has ended, is 0.
        for key in {**self._written, **reading}:
            instrument, attributes = key
            number, before = reading.get(key, 0), self._written.get(key, 0)
            metric = self._metrics[instrument].labels(*_values(instrument, attributes))
            if instrument.kind != "counter":
                metric.set(number)
            elif number > before:
                metric.inc(number - before)
        self._written = reading

    def restart(self) -> None:
        """Begin anew in a forked child, which has files of its own."""
        self._lock = Lock()
        self._written = {}


_mirror: Mirror | None = None


def _name(instrument: Instrument) -> str:
    unit = _UNITS.get(instrument.unit)
    name = instrument.name.replace(".", "_")
    return f"{name}_{unit}" if unit else name


def _labels(instrument: Instrument) -> list[str]:
    names = ["otel.component.name", "otel.component.type"]
    names += ["server.address"] if instrument.is_exporter else []
    return [name.replace(".", "_") for name in (*names, *instrument.attributes)]


def _values(instrument: Instrument, attributes: Attributes) -> list[str]:
    """Return the values of all labels, in their order; an empty one counts as missing."""
    given = {name.replace(".", "_"): str(value) for name, value in attributes}
    return [given.get(name, "") for name in _labels(instrument)]


def _family(instrument: Instrument) -> CounterMetricFamily | GaugeMetricFamily:
    kind = CounterMetricFamily if instrument.kind == "counter" else GaugeMetricFamily
    return kind(_name(instrument), instrument.text, labels=_labels(instrument))


def _metric(instrument: Instrument) -> Counter | Gauge:
    name, labels = _name(instrument), _labels(instrument)
    if instrument.kind == "counter":
        return Counter(name, instrument.text, labels, registry=None)
    mode: Any = "livemax" if instrument.kind == "age" else "livesum"
    return Gauge(name, instrument.text, labels, registry=None, multiprocess_mode=mode)
