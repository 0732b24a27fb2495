"""Convert an entry of ``journalctl -o json`` to one like those of other programs.

Fields that begin with an underscore are the journal's own: about two dozen in each entry, often longer than the
message, and all of them billed. Only those that fill one of our fields are taken, and those that a column names.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

# The priorities 0 to 7 of syslog(3) as logging's levels.
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
    """Return whether an entry comes from the journal."""
    return "__REALTIME_TIMESTAMP" in entry


def read_journal(entry: Mapping[str, Any], wanted: Collection[str]) -> dict[str, Any]:
    """Return the entry with our names for its fields; `wanted` are journal fields that columns name."""
    fields: dict[str, Any] = {}
    taken = {"PRIORITY", *_TIMES}
    for field, names in _NAMES.items():
        for name in names:
            value = _text(entry.get(name))
            if value is not None:
                fields[field] = int(value) if field in _WHOLE_NUMBERS and str(value).isdecimal() else value
                taken.add(name)
                break
    priority = str(entry.get("PRIORITY", ""))
    fields["level"] = _LEVELS[int(priority)] if priority in set("01234567") else "INFO"
    microseconds = str(entry["__REALTIME_TIMESTAMP"])
    if microseconds.isdecimal():
        fields["timestamp"] = int(microseconds) / 1_000_000
    for name, value in entry.items():
        if name in wanted or (name not in taken and not name.startswith("_")):
            fields.setdefault(name, _text(value))
    return fields


def _text(value: Any) -> Any:
    """Decode a value: the journal writes bytes that are not text as a list of numbers, a repeated field as a list."""
    if isinstance(value, list):
        if value and all(isinstance(part, int) and 0 <= part < 256 for part in value):
            return bytes(value).decode(errors="replace")
        return [_text(part) for part in value]
    return value
