"""Reads what ``journalctl -o json`` writes into an entry like those of other programs.

Fields that begin with an underscore are the journal's own: some two dozen in each entry, often longer than the message,
and all of them billed. Those that say what a column holds are taken, the others only where a column asks for one by
its name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

# Priorities of syslog(3) in the words of logging.
_LEVELS = ("CRITICAL", "CRITICAL", "CRITICAL", "ERROR", "WARNING", "INFO", "INFO", "DEBUG")
_NAMES: Mapping[str, tuple[str, ...]] = {
    "message": ("MESSAGE",),
    "logger": ("_SYSTEMD_UNIT", "_SYSTEMD_USER_UNIT", "SYSLOG_IDENTIFIER", "_COMM"),
    "host": ("_HOSTNAME",),
    "process_id": ("_PID", "SYSLOG_PID"),
    "process_name": ("_COMM",),
    "thread_id": ("TID",),
    "thread_name": ("THREAD_NAME",),
    "file": ("CODE_FILE",),
    "function": ("CODE_FUNC",),
    "line": ("CODE_LINE",),
    "exception": ("EXCEPTION_TEXT", "TRACEBACK"),
}
_WHOLE_NUMBERS = frozenset({"process_id", "thread_id", "line"})
_TIMES = ("_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP")


def is_journal(entry: Mapping[str, Any]) -> bool:
    """Tell whether an entry comes from the journal."""
    return "__REALTIME_TIMESTAMP" in entry


def read_journal(entry: Mapping[str, Any], wanted: Collection[str]) -> dict[str, Any]:
    """Return the entry in the words of other programs; `wanted` are names that columns ask for."""
    found: dict[str, Any] = {}
    taken = {"PRIORITY", *_TIMES}
    for field, names in _NAMES.items():
        for name in names:
            value = _text(entry.get(name))
            if value is not None:
                found[field] = int(value) if field in _WHOLE_NUMBERS and str(value).isdecimal() else value
                taken.add(name)
                break
    priority = str(entry.get("PRIORITY", ""))
    found["level"] = _LEVELS[int(priority)] if priority in set("01234567") else "INFO"
    microseconds = str(entry["__REALTIME_TIMESTAMP"])
    if microseconds.isdecimal():
        found["timestamp"] = int(microseconds) / 1_000_000
    for name, value in entry.items():
        if name in wanted or (name not in taken and not name.startswith("_")):
            found.setdefault(name, _text(value))
    return found


def _text(value: Any) -> Any:
    """Read a value as it was written: bytes that are no text come as numbers, a field that is there twice as a list."""
    if isinstance(value, list):
        if value and all(isinstance(part, int) and 0 <= part < 256 for part in value):
            return bytes(value).decode(errors="replace")
        return [_text(part) for part in value]
    return value
