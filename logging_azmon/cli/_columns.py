"""Finds which column of a table holds the time, the level and so on; chooses rows by them, and writes them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from .._config.presets import DEFAULT
from .._rows.levels import NUMBER_OF_WORD, STANDARD_NAMES, number_of_word
from ..table import Table
from ._cells import visible

if TYPE_CHECKING:
    from rich.text import Text

Row = Mapping[str, Any]

# What the columns are called in Azure's own tables and by others.
_USUAL: Mapping[str, tuple[str, ...]] = {
    "time": ("TimeGenerated",),
    "level": ("Level", "SeverityLevel", "Severity", "LogSeverity", "LogLevel", "EventLevelName"),
    "logger": ("Logger", "LoggerName", "ProcessName", "Source", "Category"),
    "message": ("Message", "SyslogMessage", "RenderedDescription", "RawData", "Body"),
    "exception": ("Exception",),
    "*": ("Properties",),
}
# What says nothing to who reads along, or the same in each line.
_QUIET = frozenset({"tenantid", "type", "_resourceid", "_subscriptionid", "_itemid", "sourcesystem", "mg", "instance"})
_QUIET_FIELDS = frozenset(
    {"module", "function", "line", "file", "process_id", "process_name", "thread_name", "thread_id", "host", "sequence"}
)


@dataclass(frozen=True, slots=True)
class Roles:
    """Name the column for each purpose; empty where there is none."""

    time: str
    level: str
    logger: str
    message: str
    exception: str
    rest: str
    quiet: frozenset[str]


def find_roles(names: Sequence[str], table: Table | None) -> Roles:
    """Look in the columns that are sent, then for the usual names, among those that there are."""
    configured = {str(column.source): column.name for column in reversed(table.columns)} if table is not None else {}

    def find(role: str) -> str:
        candidates = [name for name in (configured.get(role, ""), *_USUAL[role]) if name in names]
        return candidates[0] if candidates else ""

    quiet = {column.name for column in table or DEFAULT if column.source in _QUIET_FIELDS}
    quiet |= {name for name in names if name.lower() in _QUIET}
    time, level, logger, message, exception, rest = map(find, _USUAL)
    return Roles(time, level, logger, message, exception, rest, frozenset(quiet))


@dataclass(frozen=True, slots=True)
class Choice:
    """Choose rows by level, logger and text: as part of a query, and row by row."""

    roles: Roles
    level: str | None
    logger: str | None
    text: str | None

    def problems(self) -> list[str]:
        """Say what cannot be chosen by in this table."""
        wanted = {"--level": (self.level, self.roles.level), "--logger": (self.logger, self.roles.logger)}
        wanted["--grep"] = (self.text, self.roles.message)
        return [
            f"{option} has no column to look at in this table: give --columns or --config, which say what is sent there"
            for option, (value, column) in wanted.items()
            if value is not None and not column
        ]

    def _levels(self) -> list[str]:
        least = number_of_word(self.level or "")
        return [word for word, number in NUMBER_OF_WORD.items() if number >= least]

    def kql(self) -> str:
        """Return the conditions, to stand behind others."""
        parts = []
        if self.level is not None:
            parts.append(f"{_column(self.roles.level)} in~ ({', '.join(map(_quoted, self._levels()))})")
        if self.logger is not None:
            name = _column(self.roles.logger)
            parts.append(f"({name} == {_quoted(self.logger)} or {name} startswith_cs {_quoted(self.logger + '.')})")
        if self.text is not None:
            places = [_column(name) for name in (self.roles.message, self.roles.exception) if name]
            parts.append("(" + " or ".join(f"{name} contains {_quoted(self.text)}" for name in places) + ")")
        return "".join(f" and {part}" for part in parts)

    def takes(self, row: Row) -> bool:
        """Tell whether a row is one of them."""
        roles = self.roles
        if self.level is not None and str(row.get(roles.level) or "").upper() not in self._levels():
            return False
        if self.logger is not None and not f"{row.get(roles.logger) or ''}.".startswith(f"{self.logger}."):
            return False
        if self.text is None:
            return True
        said = (str(row.get(name) or "") for name in (roles.message, roles.exception) if name)
        return any(self.text.casefold() in text.casefold() for text in said)


def _column(name: str) -> str:
    return f"['{name}']"


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()


def line(row: Row, roles: Roles) -> Text:
    """Write a row in a line, and what it has of more lines below."""
    from rich.text import Text

    level = str(row.get(roles.level) or "") if roles.level else ""
    style = _style(level)
    time = str(row.get(roles.time) or "")
    said = Text(_clock(time), "bright_black")
    if roles.level:
        said.append(f" {visible(level):<8}", f"bold {style}")
    if roles.logger and row.get(roles.logger):
        said.append(f" {visible(str(row[roles.logger]))}", "cyan")
    if roles.message:
        said.append(
            f" {_indented(str(row.get(roles.message) or ''))}", style if number_of_word(level) >= logging.ERROR else ""
        )
    shown = {roles.time, roles.level, roles.logger, roles.message, roles.exception, roles.rest} | roles.quiet
    more = {name: value for name, value in row.items() if name not in shown and value not in (None, "")}
    rest = row.get(roles.rest)
    more |= rest if isinstance(rest, dict) else {} if rest in (None, "") else {roles.rest: rest}
    for name, value in more.items():
        written = value if isinstance(value, str) else orjson.dumps(value).decode()
        said.append(f" {visible(name)}=", "bright_black")
        said.append(visible(written))
    exception = str(row.get(roles.exception) or "").rstrip()
    if exception:
        said.append(f"\n    {_indented(exception)}", "red")
    return said


def date(row: Row, roles: Roles) -> str:
    """Return a row's day."""
    return str(row.get(roles.time) or "")[:10]


def _style(level: str) -> str:
    from ._pictures import LEVELS

    number = number_of_word(level)
    name = next((name for name in reversed(STANDARD_NAMES) if number >= number_of_word(name)), "")
    return LEVELS.get(name, "")


def _clock(time: str) -> str:
    return f"{visible(time[11:].rstrip('Z')):<12.12}"


def _indented(text: str) -> str:
    return visible(text, lines=True).replace("\n", "\n    ")
