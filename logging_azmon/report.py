"""Counts every row once, and tells people what went wrong, off-pipeline.

Rules: the ledger's lock is re-entrant and short; no network I/O happens under it, so a log call may take it. The buffer
shares it, because a row's way from one counter to the next must be one step for `snapshot`; a spool writes rows under
it. Reports are made by delivering threads and by whoever flushes or closes; inside a log call only after close, and for
a row that a bug of ours has cost. Never through logging.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import guard

REPORT_SECONDS = 60.0
_KINDS_REMEMBERED = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Show where every row of a pipeline is.

    ``accepted + adopted == delivered + queued + in_flight + spooled + rejected + sum(dropped.values()) + handed_over``
    holds in every snapshot.
    """

    accepted: int
    delivered: int
    queued: int
    in_flight: int
    rejected: int
    dropped: Mapping[str, int]
    adopted: int = 0
    spooled: int = 0
    handed_over: int = 0
    # Values that did not fit their column, and what delivery took.
    misfits: int = 0
    requests: int = 0
    retries: int = 0
    sent_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Tell a `report` callable what happened. ``str()`` gives the line that a person can act on.

    `kind` is "outage", "throttled", "configuration" (rows wait, nothing is lost), "recovered", "rejected" (the service
    refused rows for good; `rows_json` holds them as NDJSON), "lost" (`reason` says why), "spool" (something about the
    directory, `reason` says what; what it costs is "lost", too), or "internal".
    """

    kind: str
    text: str
    reason: str = ""
    rows: int = 0
    status: int | None = None
    code: str = ""
    rows_json: bytes = field(default=b"", repr=False)

    def __str__(self) -> str:
        return self.text


@dataclass(slots=True)
class Loss:
    """Sum up losses of one reason until they are told."""

    rows: int
    first: float
    last: float


class Ledger:
    """Hold the counters of one pipeline in one process."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.accepted = self.delivered = self.queued = self.in_flight = self.rejected = 0
        self.adopted = self.spooled = self.handed_over = 0
        self.misfits = self.requests = self.retries = self.sent_bytes = 0
        # Counts without a call, so that nothing of the same thread can come in between.
        self.dropped: defaultdict[str, int] = defaultdict(int)
        # Losses that no row of the library's own has told yet.
        self._untold: dict[str, Loss] = {}

    def drop(
        self,
        reason: str,
        rows: int,
        now: float,
        *,
        accepted: int = 0,
        queued: int = 0,
        spooled: int = 0,
        in_flight: int = 0,
        is_notice: bool = False,
    ) -> None:
        """Count rows as lost: offered only now, or taken from the counter where they were until then.

        The library's own notices are counted, but breed no further notice.
        """
        with self.lock:
            self.accepted += accepted
            self.queued -= queued
            self.spooled -= spooled
            self.in_flight -= in_flight
            if rows:
                self.dropped[reason] += rows
            if rows and not is_notice:
                loss = self._untold.setdefault(reason, Loss(0, now, now))
                loss.rows += rows
                loss.last = now

    def misfit(self) -> None:
        """Count a value that did not fit its column."""
        with self.lock:
            self.misfits += 1

    def sent(self, size: int, *, is_retry: bool) -> None:
        """Count a request and the bytes of its rows."""
        with self.lock:
            self.requests += 1
            self.retries += is_retry
            self.sent_bytes += size

    def take_untold(self) -> dict[str, Loss]:
        """Hand over the losses to be told, once."""
        with self.lock:
            untold, self._untold = self._untold, {}
            return untold

    def untell(self, reason: str, loss: Loss) -> None:
        """Take a loss back that could not be told."""
        with self.lock:
            later = self._untold.get(reason)
            if later is None:
                self._untold[reason] = loss
            else:
                later.rows += loss.rows
                later.first = min(later.first, loss.first)

    @property
    def has_untold(self) -> bool:
        """Tell whether there are losses that no row has told."""
        return bool(self._untold)

    def snapshot(self) -> Stats:
        """Return all counters as they are at one moment."""
        with self.lock:
            return Stats(
                accepted=self.accepted,
                delivered=self.delivered,
                queued=self.queued,
                in_flight=self.in_flight,
                rejected=self.rejected,
                dropped=dict(self.dropped),
                adopted=self.adopted,
                spooled=self.spooled,
                handed_over=self.handed_over,
                misfits=self.misfits,
                requests=self.requests,
                retries=self.retries,
                sent_bytes=self.sent_bytes,
            )


class Reporter:
    """Give troubles to the user's callable, or print them on stderr, each kind at most once a minute."""

    def __init__(self, report: Callable[[Trouble], Any] | None, monotonic: Callable[[], float]) -> None:
        self._report = report
        self._monotonic = monotonic
        self._silent_until: dict[tuple[str, str], float] = {}
        self._held_back: dict[tuple[str, str], int] = {}

    def __call__(self, trouble: Trouble, *, at_once: bool = False) -> None:
        """Report; never raises, and what the callable logs never enters a pipeline. `at_once` prints in any case."""
        with guard.delivering():
            if self._report is not None:
                try:
                    self._report(trouble)
                except KeyboardInterrupt:
                    raise
                except BaseException as error:  # noqa: BLE001 - the user's; its failure is told in its stead
                    self._print(("internal", "report"), f"report= raised {described(error)} for: {trouble}")
            elif at_once:
                print_line(trouble.text)
            else:
                self._print((trouble.kind, trouble.reason or trouble.code or str(trouble.status)), trouble.text)

    def _print(self, key: tuple[str, str], text: str) -> None:
        now = self._monotonic()
        if now < self._silent_until.get(key, now):
            self._held_back[key] = self._held_back.get(key, 0) + 1
            return
        if len(self._silent_until) >= _KINDS_REMEMBERED:
            self._silent_until.clear()
            self._held_back.clear()
        self._silent_until[key] = now + REPORT_SECONDS
        held_back = self._held_back.pop(key, 0)
        more = f" ({held_back:,} more like this since the last line)" if held_back else ""
        print_line(f"{text}{more}")


def print_line(text: str) -> None:
    """Write a line to the process's own stderr: `sys.stderr` may be one that logs, as Celery's is.

    Past the buffer where there is one: a daemon thread that holds its lock when the interpreter ends takes the process
    down with it.
    """
    try:
        stream: Any = sys.__stderr__
        line = f"logging_azmon: {text}\n"
        raw = getattr(getattr(stream, "buffer", None), "raw", None)
        if raw is not None:
            raw.write(line.encode(stream.encoding, "backslashreplace"))
        else:
            stream.write(line)
            stream.flush()
    except (AttributeError, OSError, ValueError):
        return  # no stderr, or a closed one: there is nobody to tell


def described(error: BaseException) -> str:
    """Say what was raised, even if it cannot say so itself."""
    try:
        return repr(error)
    except Exception:  # noqa: BLE001 - a __repr__ of somebody else's
        return type(error).__name__


def count(rows: int) -> str:
    """Say a number of rows."""
    return "1 row" if rows == 1 else f"{rows:,} rows"


def utc_time(moment: float) -> str:
    """Say a moment as it stands in rows."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def clock_time(moment: float) -> str:
    """Say a time of day, in UTC as in the rows."""
    return time.strftime("%H:%M:%S", time.gmtime(moment))
