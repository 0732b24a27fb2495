"""The metrics as OpenTelemetry's observable instruments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

from opentelemetry import metrics as api

from ..errors import ConfigurationError
from ._readings import INSTRUMENTS, Instrument
from ._totals import totals


def observe_with(meter_provider: Any) -> None:
    """Make the instruments with this provider, or the global one."""
    provider = api.get_meter_provider() if meter_provider is None else meter_provider
    if not callable(getattr(provider, "get_meter", None)):
        raise ConfigurationError(
            [f"meter_provider is not accepted: {type(provider).__name__} has no get_meter(); give a MeterProvider"]
        )
    meter = provider.get_meter("logging_azmon", version("logging-azmon"))
    make = {
        "counter": meter.create_observable_counter,
        "level": meter.create_observable_up_down_counter,
        "age": meter.create_observable_gauge,
    }
    for instrument in INSTRUMENTS:
        make[instrument.kind](
            instrument.name, callbacks=[_observing(instrument)], unit=instrument.unit, description=instrument.text
        )


def _observing(instrument: Instrument) -> Callable[[api.CallbackOptions], Iterator[api.Observation]]:
    def observe(_: api.CallbackOptions) -> Iterator[api.Observation]:
        for (its_instrument, attributes), number in totals.read().items():
            if its_instrument is instrument:
                yield api.Observation(number, dict(attributes))

    return observe
