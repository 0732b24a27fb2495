"""Metrics of all pipelines of the process, for OpenTelemetry and Prometheus.

The names are those of OpenTelemetry's semantic conventions where they fit. Counters go on when handlers are replaced,
and begin at zero in a forked child. docs/operations.md lists them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from prometheus_client.registry import Collector

__all__ = ["collector", "observe"]


def observe(meter_provider: MeterProvider | None = None) -> None:
    """Give OpenTelemetry the metrics, as observable instruments; the reader asks for them whenever it exports.

    A `meter_provider` of None means the global one, which may also be set later. A second call does nothing.
    """
    try:
        from ._opentelemetry import observe_with
    except ImportError as error:
        raise ConfigurationError([_missing("observe", "OpenTelemetry's API", "opentelemetry")]) from error
    observe_with(meter_provider)


def collector() -> Collector:
    """Return a collector for prometheus_client: ``REGISTRY.register(metrics.collector())``.

    With PROMETHEUS_MULTIPROC_DIR, the metrics are written there after each request, so that prometheus_client's
    MultiProcessCollector adds up those of all processes. Then call it in each worker when it starts, or before the
    workers are forked.
    """
    try:
        from ._prometheus import make_collector
    except ImportError as error:
        raise ConfigurationError([_missing("collector", "prometheus_client", "prometheus")]) from error
    return make_collector()


def _missing(function: str, what: str, extra: str) -> str:
    return f"metrics.{function}() needs {what}: pip install 'logging-azmon[{extra}]'"
