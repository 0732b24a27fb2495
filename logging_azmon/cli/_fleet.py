"""Works out on paper what a fleet asks of a rule, and what an outage asks of the fleet."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .._config.service_limits import QUOTA_BYTES, QUOTA_REQUESTS
from .._config.settings import Settings

# A plan leaves room for bursts and retries.
HEADROOM = 0.8
# The jitter of a batch's age, on average.
_MEAN_JITTER = 0.9
# Stored bytes are billed without JSON's names and punctuation: by Azure's own words a quarter less, on average.
BILLED_SHARE = 0.75
# Longer than that, rows of a process that is killed are many, and nobody wants to wait for a log.
_LONGEST_BATCH_SECONDS = 120.0
_DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Hold what somebody asks about: each process logs so many rows a second, each so long as JSON."""

    processes: int
    rows_per_second: float
    row_bytes: int
    rules: int
    outage_seconds: float


@dataclass(frozen=True, slots=True)
class Paper:
    """Hold the figures of a fleet."""

    need: Need
    settings: Settings

    @property
    def process_bytes(self) -> float:
        """Return the bytes of JSON that a process makes in a second."""
        return self.need.rows_per_second * self.need.row_bytes

    @property
    def interval(self) -> float:
        """Return the seconds between two requests of a process."""
        rate, wait = self.need.rows_per_second, self.settings.batch_seconds
        filled = (self.settings.batch_bytes - 1) // self.need.row_bytes / rate
        if 1 / rate >= wait:
            return 1 / rate  # each row goes alone
        return min(max(filled, 1 / rate), _MEAN_JITTER * wait + 0.5 / rate)

    @property
    def requests(self) -> float:
        """Return the requests a minute for one rule."""
        return self.need.processes / self.need.rules * 60 / self.interval

    @property
    def bytes(self) -> float:
        """Return the bytes a minute for one rule."""
        return self.need.processes / self.need.rules * 60 * self.process_bytes

    @property
    def fits(self) -> bool:
        """Tell whether a rule takes it, with room to spare."""
        return self.requests <= HEADROOM * QUOTA_REQUESTS and self.bytes <= HEADROOM * QUOTA_BYTES

    @property
    def rules_needed(self) -> int:
        """Return how many rules take it as it is."""
        fleet = self.need.rules
        requests = self.requests * fleet / (HEADROOM * QUOTA_REQUESTS)
        return max(1, math.ceil(requests), self.rules_for_bytes)

    @property
    def rules_for_bytes(self) -> int:
        """Return how many rules the bytes need, whatever the batches are."""
        return max(1, math.ceil(self.bytes * self.need.rules / (HEADROOM * QUOTA_BYTES)))

    @property
    def batch_seconds_needed(self) -> float | None:
        """Return the `batch_seconds` with which these rules take the requests; None if none would do."""
        interval = self.need.processes / self.need.rules * 60 / (HEADROOM * QUOTA_REQUESTS)
        seconds = math.ceil((interval - 0.5 / self.need.rows_per_second) / _MEAN_JITTER)
        filled = (self.settings.batch_bytes - 1) // self.need.row_bytes / self.need.rows_per_second
        if seconds > _LONGEST_BATCH_SECONDS or filled < interval:
            return None
        return float(max(seconds, math.ceil(1 / self.need.rows_per_second) + 1))

    @property
    def outage_bytes(self) -> float:
        """Return what a process must keep through the outage."""
        return self.process_bytes * self.need.outage_seconds + self.settings.batch_bytes

    @property
    def memory_lasts(self) -> float:
        """Return for how many seconds the queue in memory is enough."""
        return self.settings.queue_bytes / self.process_bytes

    @property
    def catching_up(self) -> float | None:
        """Return the seconds until the backlog of an outage is gone; None if it never is."""
        spare = QUOTA_BYTES - self.bytes
        backlog = self.bytes / 60 * self.need.outage_seconds
        return None if spare <= 0 else backlog / spare * 60

    @property
    def rows_a_day(self) -> float:
        """Return the rows of the fleet."""
        return self.need.processes * self.need.rows_per_second * _DAY

    @property
    def json_gigabytes_a_day(self) -> float:
        """Return what is sent, before compression; a gigabyte is 10^9 bytes, as on the bill."""
        return self.rows_a_day * self.need.row_bytes / 1e9

    @property
    def billed_gigabytes_a_day(self) -> float:
        """Return about what is stored."""
        return self.json_gigabytes_a_day * BILLED_SHARE
