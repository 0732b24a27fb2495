"""Reports of trouble, in words that an operator can act on.

Each `Trouble` is given to the `report` callable; without one, its text is printed on stderr.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Kind", "Trouble"]

# The kinds of trouble; see `Trouble`. mypy checks the code against these values, and a test checks
# docs/operations.md.
Kind = Literal["outage", "throttled", "configuration", "recovered", "rejected", "lost", "spool", "internal"]

# The same trouble is reported at most once in this time.
REPORT_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Describe to a `report` callable what happened. ``str()`` gives one line that a person can act on.

    `kind` is one of:

    - "outage", "throttled", "configuration": rows wait, and nothing is lost. With the reason "columns", "configuration"
      says that the table's columns leave the message out.
    - "recovered": the service accepts rows again.
    - "rejected": the service refused rows for good; `rows_json` holds them as NDJSON.
    - "lost": rows were dropped; `reason` says why.
    - "spool": the spool directory needs attention; `reason` says why. Lost rows are also reported as "lost".
    - "internal": an unexpected error, or no thread could be started.

    `text` is the line for a person, and `rows` the number of rows concerned. `status` and `code` are the service's,
    if it answered.
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


def count(rows: int) -> str:
    """Return a number of rows in words: "1 row", "1,234 rows"."""
    return "1 row" if rows == 1 else f"{rows:,} rows"


def described(error: BaseException) -> str:
    """Return an error's `repr`, or its type's name if that raises."""
    try:
        return repr(error)
    except Exception:  # noqa: BLE001 - a foreign `__repr__` may raise anything
        return type(error).__name__


def one_line(value: object, limit: int) -> str:
    """Put foreign text on one line that is safe to show: no control characters, at most `limit` characters."""
    line = " ".join(str(value).split())
    safe = "".join(character if character.isprintable() else "?" for character in line[:limit])
    return safe if len(line) <= limit else f"{safe}…"


def utc_time(moment: float) -> str:
    """Return a time since the epoch as an ISO 8601 date and time in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def clock_time(moment: float) -> str:
    """Return a time since the epoch as a time of day, in UTC as in the rows."""
    return time.strftime("%H:%M:%S", time.gmtime(moment))
