"""Find the columns of a table that hold the time, the level and so on; filter rows by them, and format rows."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from ..._config.presets import DEFAULT
from ..._rows.levels import NUMBER_OF_WORD, STANDARD_NAMES, number_of_word
from ...local.kql.quoting import kql_name, kql_string
from ...table import Table
from .._shared.cells import printable

if TYPE_CHECKING:
    from rich.text import Text

Row = Mapping[str, Any]

# The usual names of these columns, in Azure's own tables and elsewhere.
_USUAL: Mapping[str, tuple[str, ...]] = {
    "time": ("TimeGenerated",),
    "level": ("Level", "SeverityLevel", "Severity", "LogSeverity", "LogLevel", "EventLevelName"),
    "logger": ("Logger", "LoggerName", "ProcessName", "Source", "Category"),
    "message": ("Message", "SyslogMessage", "RenderedDescription", "RawData", "Body"),
    "exception": ("Exception",),
    "*": ("Properties",),
}
# Columns left out because a reader has no use for them, or because they are equal in every row.
_QUIET = frozenset({"tenantid", "type", "_resourceid", "_subscriptionid", "_itemid", "sourcesystem", "mg", "instance"})
_QUIET_FIELDS = frozenset(
    {"module", "function", "line", "file", "process_id", "process_name", "thread_name", "thread_id", "host", "sequence"}
)


@dataclass(frozen=True, slots=True)
class Roles:
    """Name the column for each role; empty where the table has none."""

    time: str
    level: str
    logger: str
    message: str
    exception: str
    rest: str
    quiet: frozenset[str]


def find_roles(names: Sequence[str], table: Table | None) -> Roles:
    """Assign roles to a table's columns: by the columns that are sent to it if known, else by the usual names."""
    configured = {column.field: column.name for column in reversed(table.columns)} if table is not None else {}

    def find(role: str) -> str:
        candidates = [name for name in (configured.get(role, ""), *_USUAL[role]) if name in names]
        return candidates[0] if candidates else ""

    quiet = {column.name for column in table or DEFAULT if column.field in _QUIET_FIELDS}
    quiet |= {name for name in names if name.lower() in _QUIET}
    time, level, logger, message, exception, rest = map(find, _USUAL)
    return Roles(time, level, logger, message, exception, rest, frozenset(quiet))


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Filter rows by level, logger and text, as part of a query or row by row."""

    roles: Roles
    level: str | None
    logger: str | None
    text: str | None

    def problems(self) -> list[str]:
        """Return a problem for each option that needs a column which this table lacks."""
        wanted = {"--level": (self.level, self.roles.level), "--logger": (self.logger, self.roles.logger)}
        wanted["--grep"] = (self.text, self.roles.message)
        return [
            f"{option} has no column to filter by in this table: describe the columns with --columns or --config"
            for option, (value, column) in wanted.items()
            if value is not None and not column
        ]

    def _levels(self) -> list[str]:
        least = number_of_word(self.level or "")
        return [word for word, number in NUMBER_OF_WORD.items() if number >= least]

    def kql(self) -> str:
        """Return the conditions, each with a leading " and "."""
        parts = []
        if self.level is not None:
            parts.append(f"{kql_name(self.roles.level)} in~ ({', '.join(map(kql_string, self._levels()))})")
        if self.logger is not None:
            column = kql_name(self.roles.logger)
            parts.append(
                f"({column} == {kql_string(self.logger)} or {column} startswith_cs {kql_string(self.logger + '.')})"
            )
        if self.text is not None:
            columns = [kql_name(name) for name in (self.roles.message, self.roles.exception) if name]
            parts.append("(" + " or ".join(f"{column} contains {kql_string(self.text)}" for column in columns) + ")")
        return "".join(f" and {part}" for part in parts)

    def matches(self, row: Row) -> bool:
        """Return whether a row passes the filter."""
        roles = self.roles
        if self.level is not None and str(row.get(roles.level) or "").upper() not in self._levels():
            return False
        if self.logger is not None and not f"{row.get(roles.logger) or ''}.".startswith(f"{self.logger}."):
            return False
        if self.text is None:
            return True
        texts = (str(row.get(name) or "") for name in (roles.message, roles.exception) if name)
        return any(self.text.casefold() in each.casefold() for each in texts)


def format_row(row: Row, roles: Roles) -> Text:
    """Format a row as one line, with further lines of its message and its exception indented below."""
    from rich.text import Text

    level = str(row.get(roles.level) or "") if roles.level else ""
    style = _style(level)
    time = str(row.get(roles.time) or "")
    formatted = Text(_clock(time), "bright_black")
    if roles.level:
        formatted.append(f" {printable(level):<8}", f"bold {style}")
    if roles.logger and row.get(roles.logger):
        formatted.append(f" {printable(str(row[roles.logger]))}", "cyan")
    if roles.message:
        formatted.append(
            f" {_indented(str(row.get(roles.message) or ''))}", style if number_of_word(level) >= logging.ERROR else ""
        )
    placed = {roles.time, roles.level, roles.logger, roles.message, roles.exception, roles.rest} | roles.quiet
    more = {name: value for name, value in row.items() if name not in placed and value not in (None, "")}
    rest = row.get(roles.rest)
    more |= rest if isinstance(rest, dict) else {} if rest in (None, "") else {roles.rest: rest}
    for name, value in more.items():
        value_text = value if isinstance(value, str) else orjson.dumps(value).decode()
        formatted.append(f" {printable(name)}=", "bright_black")
        formatted.append(printable(value_text))
    exception = str(row.get(roles.exception) or "").rstrip()
    if exception:
        formatted.append(f"\n    {_indented(exception)}", "red")
    return formatted


def row_date(row: Row, roles: Roles) -> str:
    """Return the date of a row."""
    return str(row.get(roles.time) or "")[:10]


def _style(level: str) -> str:
    from .._shared.console import LEVEL_COLOURS

    number = number_of_word(level)
    name = next((name for name in reversed(STANDARD_NAMES) if number >= number_of_word(name)), "")
    return LEVEL_COLOURS.get(name, "")


def _clock(time: str) -> str:
    return f"{printable(time[11:].rstrip('Z')):<12.12}"


def _indented(text: str) -> str:
    return printable(text, lines=True).replace("\n", "\n    ")
