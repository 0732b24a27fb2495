"""Estimate a fleet's load on a rule's quota, the backlog of an outage, and the volume a day."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..._config.service_limits import QUOTA_BYTES, QUOTA_REQUESTS
from ..._config.settings import Settings

# Share of the quota to plan for: the rest is room for bursts and retries.
HEADROOM = 0.8
# Average jitter of the time a batch waits, as a factor.
_MEAN_JITTER = 0.9
# Stored bytes are billed without JSON's names and punctuation: on average a quarter less, says Azure's documentation.
BILLED_SHARE = 0.75
# With longer batches, a killed process loses many rows, and logs arrive late.
_LONGEST_BATCH_SECONDS = 120.0
_DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Describe the fleet to plan: its processes, the rows that each logs, its rules, and the outage to survive."""

    processes: int
    rows_per_second: float
    row_bytes: int
    rules: int
    outage_seconds: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """Work out the figures for a workload with given settings."""

    workload: Workload
    settings: Settings

    @property
    def process_bytes(self) -> float:
        """Return the bytes of JSON that a process logs in a second."""
        return self.workload.rows_per_second * self.workload.row_bytes

    @property
    def interval(self) -> float:
        """Return the seconds between two requests of a process."""
        rate, wait = self.workload.rows_per_second, self.settings.batch_seconds
        filled = (self.settings.batch_bytes - 1) // self.workload.row_bytes / rate
        if 1 / rate >= wait:
            return 1 / rate  # each row is a batch of its own
        return min(max(filled, 1 / rate), _MEAN_JITTER * wait + 0.5 / rate)

    @property
    def requests(self) -> float:
        """Return the requests a minute to one rule."""
        return self.workload.processes / self.workload.rules * 60 / self.interval

    @property
    def bytes(self) -> float:
        """Return the bytes a minute to one rule."""
        return self.workload.processes / self.workload.rules * 60 * self.process_bytes

    @property
    def fits(self) -> bool:
        """Return whether requests and bytes are within a rule's quota, with room to spare."""
        return self.requests <= HEADROOM * QUOTA_REQUESTS and self.bytes <= HEADROOM * QUOTA_BYTES

    @property
    def rules_needed(self) -> int:
        """Return how many rules the workload needs with these settings."""
        fleet = self.workload.rules
        requests = self.requests * fleet / (HEADROOM * QUOTA_REQUESTS)
        return max(1, math.ceil(requests), self.rules_for_bytes)

    @property
    def rules_for_bytes(self) -> int:
        """Return how many rules the bytes alone need, however they are batched."""
        return max(1, math.ceil(self.bytes * self.workload.rules / (HEADROOM * QUOTA_BYTES)))

    @property
    def batch_seconds_needed(self) -> float | None:
        """Return the `batch_seconds` with which the requests fit these rules; None if no value does."""
        interval = self.workload.processes / self.workload.rules * 60 / (HEADROOM * QUOTA_REQUESTS)
        seconds = math.ceil((interval - 0.5 / self.workload.rows_per_second) / _MEAN_JITTER)
        filled = (self.settings.batch_bytes - 1) // self.workload.row_bytes / self.workload.rows_per_second
        if seconds > _LONGEST_BATCH_SECONDS or filled < interval:
            return None
        return float(max(seconds, math.ceil(1 / self.workload.rows_per_second) + 1))

    @property
    def outage_bytes(self) -> float:
        """Return the bytes that a process must keep during the outage."""
        return self.process_bytes * self.workload.outage_seconds + self.settings.batch_bytes

    @property
    def memory_lasts_seconds(self) -> float:
        """Return how many seconds of an outage the queue in memory can hold."""
        return self.settings.queue_bytes / self.process_bytes

    @property
    def catch_up_seconds(self) -> float | None:
        """Return the seconds until the backlog of an outage is delivered; None if it never is."""
        spare = QUOTA_BYTES - self.bytes
        backlog = self.bytes / 60 * self.workload.outage_seconds
        return None if spare <= 0 else backlog / spare * 60

    @property
    def rows_a_day(self) -> float:
        """Return the rows that the fleet logs in a day."""
        return self.workload.processes * self.workload.rows_per_second * _DAY

    @property
    def json_gigabytes_a_day(self) -> float:
        """Return the volume sent, before compression; a gigabyte is 10^9 bytes, as on the bill."""
        return self.rows_a_day * self.workload.row_bytes / 1e9

    @property
    def billed_gigabytes_a_day(self) -> float:
        """Return the approximate volume that is stored and billed."""
        return self.json_gigabytes_a_day * BILLED_SHARE
