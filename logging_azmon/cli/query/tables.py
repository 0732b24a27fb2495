"""Print the rows of an answer: as a table if it fits, else with a line for each value; or as JSON or CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any

import orjson
from rich import box
from rich.table import Table
from rich.text import Text

from .._shared.cells import for_csv, for_display, for_json, is_number, json_for_terminal, printable
from .._shared.console import LEVEL_COLOURS
from .._shared.workspace import Result

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

# If a text column would be narrower than this, the rows are printed value by value instead.
_MIN_WIDTH = 12
_MAX_LINES = 12
# In a file or a pipe, cells are padded up to this width: padded to a traceback, each line would be as long as that.
_MAX_PADDED = 40
_GAP = "   "


class Rows:
    """Render rows for people, without the columns that have no value; `empty` names those."""

    def __init__(self, result: Result) -> None:
        filled = [
            index for index in range(len(result.names)) if any(row[index] not in (None, "") for row in result.rows)
        ]
        # If no column has a value, all are shown.
        self._indexes = filled or list(range(len(result.names)))
        self._result = result
        self.empty = [printable(name) for index, name in enumerate(result.names) if index not in self._indexes]

    def lines(self, *, rule: str = "─") -> Iterator[str]:
        """Yield lines for a file or a pipe: each row whole on one line, in columns as far as the cells are short."""
        names, kinds = self._result.names, self._result.kinds
        rows = [[printable(names[index]) for index in self._indexes]]
        rows += [[for_display(row[index], kinds[index]) for index in self._indexes] for row in self._result.rows]
        widths = [min(_MAX_PADDED, max(map(len, cells))) for cells in zip(*rows, strict=True)]
        for number, row in enumerate(rows):
            cells = (
                cell.rjust(width) if is_number(kinds[index]) else cell.ljust(width)
                for index, cell, width in zip(self._indexes, row, widths, strict=True)
            )
            yield f" {_GAP.join(cells)}".rstrip()
            if number == 0:
                yield f" {rule * (sum(widths) + len(_GAP) * (len(widths) - 1))}"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render a table if the narrowest useful one fits, else records."""
        names, kinds = self._result.names, self._result.kinds
        texts = {index: [for_display(row[index], kinds[index]) for row in self._result.rows] for index in self._indexes}
        widths = {index: max([len(names[index]), *map(len, texts[index])], default=0) for index in self._indexes}
        least = sum(
            width if is_number(kinds[index]) or kinds[index] == "datetime" else min(width, _MIN_WIDTH)
            for index, width in widths.items()
        )
        if least + 2 * (len(self._indexes) - 1) <= options.max_width:
            yield self._table(texts)
        else:
            yield from self._records(options)

    def _table(self, texts: dict[int, list[str]]) -> Table:
        kinds = self._result.kinds
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
        for index in self._indexes:
            is_fixed = is_number(kinds[index]) or kinds[index] == "datetime"
            table.add_column(
                Text(printable(self._result.names[index])),
                justify="right" if is_number(kinds[index]) else "left",
                overflow="fold",
                no_wrap=is_fixed,
            )
        for number in range(len(self._result.rows)):
            table.add_row(*(self._styled(index, texts[index][number]) for index in self._indexes))
        return table

    def _records(self, options: ConsoleOptions) -> Iterable[Any]:
        width = max(len(printable(self._result.names[index])) for index in self._indexes)
        for number, row in enumerate(self._result.rows, 1):
            yield Text(f"row {number:,} ".ljust(options.max_width, "-" if options.ascii_only else "─"), "bright_black")
            grid = Table.grid(padding=(0, 2, 0, 0))
            grid.add_column(style="bold", no_wrap=True, width=width)
            grid.add_column(overflow="fold")
            for index in self._indexes:
                if row[index] not in (None, ""):
                    text = for_display(row[index], self._result.kinds[index], lines=True)
                    grid.add_row(Text(printable(self._result.names[index])), self._styled(index, _cut(text)))
            yield grid

    def _styled(self, index: int, text: str) -> Text:
        return Text(text, LEVEL_COLOURS.get(text, "") if self._result.kinds[index] == "string" else "")


def _cut(text: str) -> str:
    lines = text.split("\n")
    more = len(lines) - _MAX_LINES
    return text if more <= 0 else "\n".join([*lines[:_MAX_LINES], f"… {more:,} more lines (see --json)"])


def write_json(result: Result, out: IO[str]) -> None:
    """Write a JSON array with one object a line; escape control characters if they would reach a terminal."""
    keys = _distinct(result.names)
    lines = (
        orjson.dumps(
            {key: for_json(value, kind) for key, kind, value in zip(keys, result.kinds, row, strict=True)}
        ).decode()
        for row in result.rows
    )
    text = "[\n" + ",\n".join(lines) + "\n]\n" if result.rows else "[]\n"
    out.write(json_for_terminal(text) if out.isatty() else text)


def write_csv(result: Result, out: IO[str]) -> None:
    """Write a header and a line for each row; escape control characters if they would reach a terminal."""
    is_terminal = out.isatty()
    writer = csv.writer(out, lineterminator="\n")
    for row in (result.names, *result.rows):
        cells = map(for_csv, row)
        writer.writerow(
            [printable(cell, lines=True) if isinstance(cell, str) else cell for cell in cells] if is_terminal else cells
        )


def _distinct(names: Sequence[str]) -> list[str]:
    """Return the names with repeated ones numbered: as keys of one object, only the last would survive."""
    seen: dict[str, int] = {}
    keys = []
    for name in names:
        seen[name] = seen.get(name, -1) + 1
        keys.append(f"{name}_{seen[name]}" if seen[name] else name)
    return keys
