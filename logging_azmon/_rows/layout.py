"""Sort a table's columns, once, by how often their values change and by what fills them.

fixed      constants, host, instance: the same in every row of a process
thread     process and thread: the same in every row of a thread
site       level, logger, module, function, line: the same for every call from one place
times      the time, in the form that each column takes
sequence, message          at most one column each, written by a shortcut
exception, stack, spans    filled in few rows
extras     filled by names among the extras
rest       the column that takes all remaining extras
always     all others, computed for every row
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ..table import FIELD_OF_ATTRIBUTE, YIELDING_FIELDS, Column, Constant, Extra, Source, Table
from . import service, tracebacks
from .column_writer import ColumnWriter
from .context import task_name
from .extra_columns import ExtraColumns
from .fields import SITE_FIELDS, THREAD_FIELDS, Fields, WantedFields, message_of, origin_of
from .levels import DERIVED_FIELDS
from .read_event import FIELD_OF_KEY
from .values import ENCODERS

if TYPE_CHECKING:
    from .redaction.redactor import Redactor

TEXT_TYPES = ("string", "dynamic")


class Slot(NamedTuple):
    """Fill a column with the value at a position of a site or thread, or with a value derived from it."""

    writer: ColumnWriter
    position: int
    derive: Callable[[Any], Any] | None


@dataclass
class Layout:
    """Hold a table's columns, sorted."""

    fixed: list[tuple[ColumnWriter, str | Constant]] = field(default_factory=list)
    thread: list[Slot] = field(default_factory=list)
    site: list[Slot] = field(default_factory=list)
    times: list[ColumnWriter] = field(default_factory=list)
    sequence: ColumnWriter | None = None
    message: ColumnWriter | None = None
    exception: list[tuple[ColumnWriter, Callable[[Any], Any]]] = field(default_factory=list)
    stack: list[ColumnWriter] = field(default_factory=list)
    spans: list[tuple[ColumnWriter, int]] = field(default_factory=list)
    extras: ExtraColumns = field(default_factory=ExtraColumns)
    rest: ColumnWriter | None = None
    always: list[tuple[ColumnWriter, Callable[[Fields], Any]]] = field(default_factory=list)
    wanted: WantedFields = field(init=False)
    redactor: Redactor | None = None

    @classmethod
    def of(cls, table: Table, *, for_events: bool = False, redactor: Redactor | None = None) -> Layout:
        """Sort a table's columns, for records or for event dicts, in which a LogRecord's names are ordinary keys."""
        layout = cls(redactor=redactor)
        columns = [(column, _source(column, for_events=for_events)) for column in table]
        layout.wanted = WantedFields(
            (source for _, source in columns if isinstance(source, str)),
            extras=(name for _, source in columns if isinstance(source, Extra) for name in source.names),
            attributes=(
                column.source
                for column, source in columns
                if isinstance(column.source, str) and column.source in FIELD_OF_ATTRIBUTE and isinstance(source, Extra)
            ),
        )
        for column, source in columns:
            layout._place(column, source)
        return layout

    def _place(self, column: Column, source: Source) -> None:
        name = source if isinstance(source, str) else column.name
        encode = self._encoder(column, source)
        writer = ColumnWriter(b'"%b":' % column.name.encode(), encode, column.type, name)
        if isinstance(source, Extra):
            self._place_extra(writer, source)
        elif isinstance(source, Constant):
            self.fixed.append((writer, source))
        elif isinstance(source, str):
            self._place_field(writer, source)
        else:
            self.always.append((writer, lambda fields: _call(source, origin_of(fields))))

    def _encoder(self, column: Column, source: Source) -> Callable[[Any], bytes | None]:
        """Return a column's encoder, which redacts what comes from the application."""
        encode, redactor = ENCODERS[column.type], self.redactor
        if redactor is None or isinstance(source, Constant) or (isinstance(source, str) and source not in _REDACTED):
            return encode
        names = (column.name, *(source.names if isinstance(source, Extra) else ()))
        if any(redactor.is_secret(name) or redactor.is_secret(name.rpartition(".")[2]) for name in names):
            return lambda _: encode(redactor.whole()) or b"null"
        prepare = {"string": redactor.string, "dynamic": redactor.value}.get(column.type)
        return encode if prepare is None else lambda value: encode(prepare(value))

    def _place_extra(self, writer: ColumnWriter, source: Extra) -> None:
        """Place a column that extras fill; its field, if there is one, fills it only if its values fit the column."""
        self.extras.add(writer, source)
        if source.field == "template" and writer.type in TEXT_TYPES:
            self.extras.templates.append(writer)
        elif source.field in service.FIELDS:
            value = service.find(os.environ).get(source.field)
            if value is not None and writer.encode(value) is not None:
                self.extras.defaults[writer] = value

    def _place_field(self, writer: ColumnWriter, source: str) -> None:
        if source in ("host", "instance"):
            self.fixed.append((writer, source))
        elif source in DERIVED_FIELDS:
            self.site.append(Slot(writer, self.wanted.site.index("level_number"), DERIVED_FIELDS[source]))
        elif source in SITE_FIELDS:
            self.site.append(Slot(writer, self.wanted.site.index(source), None))
        elif source in THREAD_FIELDS:
            self.thread.append(Slot(writer, self.wanted.thread.index(source), None))
        elif source in _OF_EXCEPTION:
            self.exception.append((writer, _OF_EXCEPTION[source]))
        elif source == "stack":
            self.stack.append(writer)
        elif source in _SPAN_FIELDS:
            self.spans.append((writer, _SPAN_FIELDS.index(source)))
        elif source == "*":
            self.rest = writer
        elif source == "sequence":
            self.sequence = writer
        else:
            self._place_time_or_message(writer, source)

    def _place_time_or_message(self, writer: ColumnWriter, source: str) -> None:
        if source == "time":
            self.times.append(writer)
        elif source == "message" and writer.type == "string" and self.message is None:
            self.message = writer
        else:
            self.always.append((writer, _COMPUTED[source]))


# The fields that hold what the application says; the others are names, numbers and ids of the process.
_REDACTED = frozenset({"message", "template", "exception", "exception_message", "exceptions", "stack", "*"})


def _source(column: Column, *, for_events: bool) -> Source:
    """Return what fills a column of records, or of event dicts."""
    source = column.source
    if not isinstance(source, str):
        return source
    if source in YIELDING_FIELDS:
        return Extra((source,), field=source)
    if for_events and source in FIELD_OF_ATTRIBUTE and source not in FIELD_OF_KEY:
        return Extra((source,))
    return column.field or source


def _call(source: Callable[[Any], Any], origin: Any) -> Any:
    """Call a column's callable, but not for a notice, which has no record or event to pass."""
    return None if origin is None else source(origin)


_OF_EXCEPTION: Mapping[str, Callable[[Any], Any]] = {
    "exception": tracebacks.exception_text,
    "exception_type": tracebacks.exception_type,
    "exception_message": tracebacks.exception_message,
    "exceptions": tracebacks.exceptions,
}
_SPAN_FIELDS = ("trace_id", "span_id")
_COMPUTED: Mapping[str, Callable[[Fields], Any]] = {
    "message": message_of,
    "task": lambda fields: task_name(origin_of(fields)),
}
