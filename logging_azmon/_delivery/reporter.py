"""Tells people what went wrong, never through logging, and finds the words for it.

Rules: reports are made by delivering threads and by whoever flushes or closes; inside a log call only after close, for
a row that a bug of ours has cost, and where `pipeline` turns out to name no pipeline.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from .._process import feedback
from ..stats import Stats

# What a trouble can be; see `Trouble`. The type checker holds the code to these, a test README.
Kind = Literal["outage", "throttled", "configuration", "recovered", "rejected", "lost", "spool", "internal"]

REPORT_SECONDS = 60.0
_KINDS_REMEMBERED = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Tell a `report` callable what happened. ``str()`` gives the line that a person can act on.

    `kind` is "outage", "throttled", "configuration" (rows wait, nothing is lost), "recovered", "rejected" (the service
    refused rows for good; `rows_json` holds them as NDJSON), "lost" (`reason` says why), "spool" (something about the
    directory, `reason` says what; what it costs is "lost", too), or "internal".
    """

    kind: Kind
    text: str
    reason: str = ""
    rows: int = 0
    status: int | None = None
    code: str = ""
    rows_json: bytes = field(default=b"", repr=False)

    def __str__(self) -> str:
        return self.text


class Reporter:
    """Give troubles to the user's callable, or print them on stderr, each kind at most once a minute."""

    def __init__(self, report: Callable[[Trouble], Any] | None, monotonic: Callable[[], float]) -> None:
        self._report = report
        self._monotonic = monotonic
        self._silent_until: dict[tuple[str, str], float] = {}
        self._held_back: dict[tuple[str, str], int] = {}

    def __call__(self, trouble: Trouble, *, at_once: bool = False) -> None:
        """Report; never raises, and what the callable logs never enters a pipeline. `at_once` prints in any case."""
        with feedback.delivering():
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


def left_behind(stats: Stats, lost: int, *, close_seconds: float, spool: str | None) -> Iterator[Trouble]:
    """Say what a pipeline leaves behind that has been closed: on disk, lost so many, and of unknown end."""
    kept = stats.spooled + stats.handed_over
    if kept:
        said = f"{count(kept)} not delivered within close_seconds={close_seconds:g} stay in the spool"
        yield Trouble(kind="spool", text=f"{said} {spool} for the next process", reason="closed", rows=kept)
    if lost:
        said = f"{count(lost)} lost: not delivered within close_seconds={close_seconds:g}"
        yield Trouble(kind="lost", text=said, reason="closed", rows=lost)
    if stats.in_flight:
        known = "they may be sent again by the next process" if spool else "whether they arrived is not known"
        said = f"{count(stats.in_flight)} still on the way when the pipeline was closed: {known}"
        yield Trouble(kind="lost", text=said, reason="in_flight", rows=stats.in_flight)


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
