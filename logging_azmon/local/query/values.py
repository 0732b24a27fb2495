"""Convert the cells of a result: to the JSON of the query API, to Python values, to rows for the page."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

Convert = Callable[[Any], Any]


def json_writer(kind: str) -> Convert:
    """Return the function that writes a cell of a Kusto type as the query API does."""
    return _TO_JSON.get(kind, _as_is)


def python_reader(kind: str) -> Convert:
    """Return the function that converts a cell of a Kusto type to a Python value."""
    return _TO_PYTHON.get(kind, _as_is)


def page_row(columns: Mapping[str, str], row: Iterable[Any]) -> dict[str, Any]:
    """Return a row for the page, by column name: JSON values as in the query API, but dynamic values as plain JSON."""
    return {
        name: _fragment(cell) if kind == "dynamic" else json_writer(kind)(cell)
        for (name, kind), cell in zip(columns.items(), row, strict=True)
    }


def _as_is(cell: Any) -> Any:
    return cell


def _long(cell: Any) -> Any:
    return cell if cell is None or -(2**63) <= cell < 2**63 else str(cell)


def _real(cell: Any) -> Any:
    if cell is None or math.isfinite(cell):
        return cell
    return "NaN" if math.isnan(cell) else "Infinity" if cell > 0 else "-Infinity"


def _time(cell: Any) -> Any:
    if not isinstance(cell, dt.datetime):
        return cell if cell is None or isinstance(cell, str) else f"{cell.isoformat()}T00:00:00Z"
    text = cell.isoformat()
    return f"{text.rstrip('0')}Z" if "." in text else f"{text}Z"


def _span(cell: Any) -> Any:
    """Write a timespan as ``[-][d.]hh:mm:ss[.fffffff]``."""
    if not isinstance(cell, dt.timedelta):
        return cell if cell is None else str(cell)
    ticks = abs(cell) // dt.timedelta(microseconds=1)
    days, rest = divmod(ticks, 86_400_000_000)
    seconds, fraction = divmod(rest, 1_000_000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    text += f".{fraction:06}0" if fraction else ""
    return ("-" if cell < dt.timedelta() else "") + (f"{days}." if days else "") + text


def _text(cell: Any) -> Any:
    return cell if cell is None else str(cell)


_TO_JSON: Mapping[str, Convert] = {
    "long": _long,
    "real": _real,
    "datetime": _time,
    "timespan": _span,
    "guid": _text,
    "decimal": _text,
    "string": _text,
    # JSON already: the service sends it as a string, too.
    "dynamic": _text,
}


def _decoded(cell: Any) -> Any:
    return orjson.loads(cell) if isinstance(cell, str) else cell


def _aware(cell: Any) -> Any:
    return cell.replace(tzinfo=dt.UTC) if isinstance(cell, dt.datetime) else cell


_TO_PYTHON: Mapping[str, Convert] = {"datetime": _aware, "dynamic": _decoded}


def _fragment(cell: Any) -> Any:
    return orjson.Fragment(cell) if isinstance(cell, str) else cell
