"""The format of a spool's files: their names, first lines and rows. Pure.

``DIR/20261120T202458.123456Z-0f3a9c51d2e84b76-000001.ndjson`` is a segment. It holds rows, one JSON object per line,
oldest first. Its name has the time at which it was begun, its owner (one pipeline of one process), and its number among
the owner's segments: sorting by name sorts by age. The first line has the version of the format and the rows' target:

    {"logging_azmon_spool":1,"endpoint":"https://…","rule_id":"dcr-…","stream":"Custom-…","cloud":"public"}

``DIR/0f3a9c51d2e84b76.lock`` is locked as long as that owner is alive. Files with other names are ignored.

``DIR/rejected/*.ndjson`` holds rows that the service rejected. Each line has the row, its target, and the answer.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from .owner import Owner

VERSION = 1
# The first line is looked for in this many bytes.
MAX_HEADER_BYTES = 8_192
_MARK = "logging_azmon_spool"
_SEGMENT = re.compile(r"(\d{8}T\d{6}\.\d{6}Z)-([0-9a-f]{16})-\d{6,}\.ndjson", re.ASCII)
_LOCK = re.compile(r"([0-9a-f]{16})\.lock", re.ASCII)
_STAMP = "%Y%m%dT%H%M%S.%fZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Identify where rows are sent; only a pipeline with the same target delivers them."""

    endpoint: str
    rule_id: str
    stream: str
    cloud: str

    def header(self) -> bytes:
        """Return a segment's first line."""
        return orjson.dumps({_MARK: VERSION} | asdict(self)) + b"\n"

    @classmethod
    def of_header(cls, line: bytes) -> Target | None:
        """Read a segment's first line; None if it is not of this version."""
        try:
            header = orjson.loads(line)
        except ValueError:
            return None
        if not isinstance(header, dict) or header.pop(_MARK, None) != VERSION:
            return None
        return cls.of(header)

    @classmethod
    def of(cls, mapping: dict[str, Any]) -> Target | None:
        """Read a target from a mapping; None if it is not one."""
        if mapping.keys() != cls.__dataclass_fields__.keys() or not all(isinstance(v, str) for v in mapping.values()):
            return None
        return cls(**mapping)

    def __str__(self) -> str:
        cloud = "" if self.cloud == "public" else f" ({self.cloud})"
        return f"{self.stream} of {self.rule_id} at {self.endpoint}{cloud}"


@dataclass(eq=False, slots=True)
class Segment:
    """Describe a segment, a file of rows."""

    path: str
    owner: Owner
    # How many bytes it counts for: while it is open, the size that it may grow to.
    size: int
    # Its descriptor while it is written, and then until its last rows are read; otherwise -1.
    fd: int = -1
    # How many unsettled batches have rows in it; it is removed with the last of them.
    parts: int = 1
    # Whether a dead owner left it.
    is_adopted: bool = False

    def share(self, more: int) -> None:
        """Count this many more batches that have rows in it."""
        self.parts += more

    def leave(self) -> bool:
        """Count one batch less; return whether it was the last."""
        self.parts -= 1
        return self.parts == 0


@dataclass(eq=False, slots=True)
class Stored:
    """Hold the place of a batch's rows on disk."""

    segment: Segment
    # The offset of its first row in the segment.
    start: int
    # The size of its rows in bytes.
    size: int
    # How many more bytes it takes, while it is open.
    capacity: int = 0
    # How many torn lines were counted as lost already, so that a retry does not count them again.
    torn: int = 0
    # Whether the batch is a part of a divided one: only some of the rows in these bytes are its rows then.
    is_part: bool = False
    # Whether reading failed, so that the segment must be kept.
    is_unreadable: bool = False


def new_owner() -> str:
    """Return the random name of a new owner."""
    return os.urandom(8).hex()


def segment_name(now: float, owner: str, number: int) -> str:
    """Return a segment's name."""
    return f"{dt.datetime.fromtimestamp(now, dt.UTC).strftime(_STAMP)}-{owner}-{number:06d}.ndjson"


def lock_name(owner: str) -> str:
    """Return the name of an owner's lock."""
    return f"{owner}.lock"


def owner_of(name: str) -> str | None:
    """Return the owner of a segment or lock by its name; None for other files."""
    segment = _SEGMENT.fullmatch(name)
    if segment is not None:
        return segment[2]
    lock = _LOCK.fullmatch(name)
    return lock[1] if lock is not None else None


def is_segment(name: str) -> bool:
    """Return whether a file of this name holds rows."""
    return _SEGMENT.fullmatch(name) is not None


def begun_at(name: str) -> float:
    """Return when a segment was begun, in seconds since the epoch; 0 if its name has an impossible date."""
    try:
        # Not strptime, which takes a lock that a forked child may inherit held.
        return dt.datetime.fromisoformat(name.partition("-")[0]).timestamp()
    except ValueError:
        return 0.0


def good_lines(data: bytes) -> tuple[bytes, int]:
    """Return the lines that are rows, and the number of torn ones, whose writer died before it was done."""
    lines = data.split(b"\n")[:-1]
    good = [line for line in lines if _is_row(line)]
    if len(good) == len(lines):
        return data, 0
    return b"".join(line + b"\n" for line in good), len(lines) - len(good)


def _is_row(line: bytes) -> bool:
    # Rows are never written like this. A line with a carriage return may be valid JSON, but would count as two.
    if not line.startswith(b"{") or b"\r" in line:
        return False
    try:
        orjson.loads(line)
    except ValueError:
        return False
    return True


def rejected_line(line: bytes, target: Target, answer: dict[str, Any]) -> bytes:
    """Return a rejected row with its target and the service's answer, as one line."""
    return orjson.dumps({"target": asdict(target), "answer": answer})[:-1] + b',"row":' + line.rstrip(b"\n") + b"}\n"


def row_of_rejected(line: bytes) -> tuple[Target, bytes] | None:
    """Return the target and the row of a line that `rejected_line` made; None if it is another."""
    try:
        kept = orjson.loads(line)
        target, row = Target.of(kept["target"]), kept["row"]
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
    return (target, orjson.dumps(row) + b"\n") if target is not None and isinstance(row, dict) else None
