"""Every metric, and what it is for one pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from .._pipeline.lifecycle import Lifecycle
from .._queue.ledger import ON_PURPOSE

# "counter" only rises; "level" rises and falls, and those of all pipelines are added; of "age" the highest counts.
Kind = Literal["counter", "level", "age"]
Attributes = tuple[tuple[str, str | int], ...]


class Instrument(NamedTuple):
    """Describe a metric."""

    name: str
    kind: Kind
    # As OpenTelemetry writes it: in braces, unless it is a unit of measurement.
    unit: str
    text: str
    # The attributes that only some of its series have.
    attributes: tuple[str, ...] = ()
    # Whether its series name the endpoint.
    is_exporter: bool = False


Reading = dict[tuple[Instrument, Attributes], float]

_ROW = "{log_record}"
_OUTCOME = ("http.response.status_code", "error.type")

# OpenTelemetry's semantic conventions.
PROCESSED = Instrument(
    "otel.sdk.processor.log.processed",
    "counter",
    _ROW,
    "Rows that were sent, or dropped, which error.type says why.",
    ("error.type",),
)
QUEUE_SIZE = Instrument("otel.sdk.processor.log.queue.size", "level", _ROW, "Rows that wait, in memory or on disk.")
EXPORTED = Instrument(
    "otel.sdk.exporter.log.exported",
    "counter",
    _ROW,
    "Rows that the service has taken, or rejected, which error.type says.",
    ("error.type",),
    is_exporter=True,
)
INFLIGHT = Instrument("otel.sdk.exporter.log.inflight", "level", _ROW, "Rows that are being sent.", is_exporter=True)
# Our own.
ACCEPTED = Instrument("logging_azmon.accepted", "counter", _ROW, "Rows that log calls have offered.")
LEFT_OUT = Instrument(
    "logging_azmon.left_out",
    "counter",
    _ROW,
    "Rows that were left out on purpose, which is no failure.",
    ("logging_azmon.reason",),
)
ADOPTED = Instrument(
    "logging_azmon.adopted", "counter", _ROW, "Rows taken over from a spool that a dead process has left."
)
HANDED_OVER = Instrument(
    "logging_azmon.handed_over", "counter", _ROW, "Adopted rows that were left in the spool for the next process."
)
SPOOLED = Instrument("logging_azmon.spooled", "level", _ROW, "Rows that wait on disk.")
MISFITS = Instrument("logging_azmon.misfits", "counter", "{value}", "Values that did not fit their column.")
REDACTED = Instrument("logging_azmon.redacted", "counter", "{value}", "Values that were replaced, as redact= asks.")
REQUESTS = Instrument(
    "logging_azmon.requests", "counter", "{request}", "Requests, by their outcome.", _OUTCOME, is_exporter=True
)
RETRIES = Instrument(
    "logging_azmon.retries",
    "counter",
    "{request}",
    "Requests whose rows are sent again, by their outcome.",
    _OUTCOME,
    is_exporter=True,
)
SENT = Instrument(
    "logging_azmon.sent", "counter", "By", "Bytes of JSON that were sent, before compression.", is_exporter=True
)
BATCHES = Instrument(
    "logging_azmon.batches.inflight", "level", "{batch}", "Batches that are being sent.", is_exporter=True
)
OLDEST = Instrument(
    "logging_azmon.oldest_row.age", "age", "s", "Age of the oldest row that is neither delivered nor lost, or 0."
)

INSTRUMENTS = (
    PROCESSED,
    QUEUE_SIZE,
    EXPORTED,
    INFLIGHT,
    ACCEPTED,
    LEFT_OUT,
    ADOPTED,
    HANDED_OVER,
    SPOOLED,
    MISFITS,
    REDACTED,
    REQUESTS,
    RETRIES,
    SENT,
    BATCHES,
    OLDEST,
)
# The word of the conventions for a reason of ours.
_ERRORS: Mapping[str, str] = {"after_close": "already_shutdown"}


def counts(lifecycle: Lifecycle) -> Reading:
    """Return what only rises; nothing if the pipeline is switched off."""
    if not lifecycle.settings.enabled:
        return {}
    stats = lifecycle.stats()
    answers, retried = lifecycle.ledger.outcomes()
    own, exporter = _attributes(lifecycle)
    reading: Reading = {
        (PROCESSED, own): stats.delivered + stats.rejected,
        (EXPORTED, exporter): stats.delivered,
        (ACCEPTED, own): stats.accepted,
        (ADOPTED, own): stats.adopted,
        (HANDED_OVER, own): stats.handed_over,
        (MISFITS, own): stats.misfits,
        (REDACTED, own): stats.redacted,
        (SENT, exporter): stats.sent_bytes,
    }
    for reason, rows in stats.dropped.items():
        if reason in ON_PURPOSE:
            reading[LEFT_OUT, (*own, ("logging_azmon.reason", reason))] = rows
        else:
            reading[PROCESSED, (*own, ("error.type", _ERRORS.get(reason, reason)))] = rows
    if stats.rejected:
        reading[EXPORTED, (*exporter, ("error.type", "rejected"))] = stats.rejected
    for instrument, outcomes in ((REQUESTS, answers), (RETRIES, retried)):
        for outcome, number in outcomes.items():
            name = "error.type" if isinstance(outcome, str) else "http.response.status_code"
            reading[instrument, (*exporter, (name, outcome))] = number
    return reading


def levels(lifecycle: Lifecycle) -> Reading:
    """Return what rises and falls; nothing if the pipeline is switched off."""
    if not lifecycle.settings.enabled:
        return {}
    stats = lifecycle.stats()
    own, exporter = _attributes(lifecycle)
    return {
        (QUEUE_SIZE, own): stats.queued + stats.spooled,
        (INFLIGHT, exporter): stats.in_flight,
        (SPOOLED, own): stats.spooled,
        (BATCHES, exporter): lifecycle.queue.batches_in_flight,
        (OLDEST, own): lifecycle.health().oldest_row_seconds or 0.0,
    }


def _attributes(lifecycle: Lifecycle) -> tuple[Attributes, Attributes]:
    """Return the attributes of a pipeline, and those of its exporter: the same after every restart of the process."""
    settings = lifecycle.settings
    own = (
        ("otel.component.name", f"{settings.rule_id}/{settings.stream}"),
        ("otel.component.type", "logging_azmon"),
    )
    return own, (*own, ("server.address", urlsplit(settings.endpoint).hostname or ""))
